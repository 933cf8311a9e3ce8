"""Spans applied to texts: what a policy says to mask or to cut, when a dataset is tokenised, exported or shown.

A text is stored as ingested; a span (kind, start, end in characters) stands in an annotation. `mask: {pii: tag}` puts a tag
such as <EMAIL> in a span's place, `{pii: pseudonym}` one that says which of the text's addresses it is (<EMAIL_1>, <EMAIL_2>), `{pii: none}`
leaves what stands there; `cut: [c4.cuts]` takes it out. `pii` alone means the column `spans` of the family.

Pseudonyms count the values of a kind in a text by first mention, from 1, so the same value has the same one all through a text and nothing can be
read back from it. Values are the same that differ in case alone, or, where they have no @, in spaces, hyphens and brackets too.

Spans that overlap are one stretch: taken out if any of them is a cut, else one tag, that of the span which starts first
(the longest of those). Spans that only touch are not merged. What reaches outside the text is clipped.
"""

from collections.abc import Mapping
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from catalog.errors import PolicyError, near
from catalog.schema import mix64, text_bytes

MASKS = ("tag", "pseudonym", "none")
CUT = 0

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Hashes = npt.NDArray[np.uint64]


def families(policy: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the annotation families whose spans a policy masks or cuts: what to read beside the text."""
    return tuple(dict.fromkeys(name.partition(".")[0] for name in [*_masks(policy), *_cuts(policy)]))


def apply(batch: pl.DataFrame, policy: Mapping[str, Any], column: str = "text") -> pl.Series:
    """Return the texts of `column` with the policy's spans masked and cut; same rows, nulls stay null.

    The batch holds each family of `families(policy)` as a struct column. A null list of spans is an empty one.
    Raises PolicyError for a family or span column that is not there, and for a mask that is not known.
    """
    texts = batch[column]
    found = [_spans(batch, name, how) for name, how in _masks(policy).items()] + [_spans(batch, name, None) for name in _cuts(policy)]
    spans = pl.concat(found) if found else None
    if spans is None or not spans.height:
        return texts
    tags = sorted(set(spans["tag"].drop_nulls()))
    codes = spans["tag"].replace_strict({tag: i + 1 for i, tag in enumerate(tags)}, default=CUT, return_dtype=pl.Int64)
    counted = np.array([False, *(tag.endswith("_") for tag in tags)])
    spans = spans.with_columns(code=codes, length=pl.col("start") - pl.col("end")).sort("row", "start", "length", "code")
    data, offsets = text_bytes(texts)
    tag_data, tag_ends = text_bytes(pl.Series(["", *tags]))
    room = int((np.diff(tag_ends) + counted * (1 + len(str(spans.height))))[spans["code"].to_numpy()].sum())
    places = [spans[name].to_numpy() for name in ("row", "start", "end", "code")]
    out, ends = _rewrite(data, offsets, *places, tag_data, tag_ends, counted, room)
    return _series(out, ends, texts)


def covered(batch: pl.DataFrame, policy: Mapping[str, Any]) -> pl.DataFrame:
    """Return the stretches that a policy masks or cuts as row (place in the batch), start and end: those that meet as one, in order."""
    found = [_spans(batch, name, how) for name, how in _masks(policy).items()] + [_spans(batch, name, None) for name in _cuts(policy)]
    empty = pl.DataFrame(schema={"row": pl.Int64, "start": pl.Int64, "end": pl.Int64})
    gone = pl.concat([empty, *(one.select("row", "start", "end") for one in found)]).sort("row", "start", "end")
    reached = pl.col("end").cum_max().shift(1).over("row")
    gone = gone.with_columns(stretch=(reached.is_null() | (pl.col("start") > reached)).cum_sum().over("row"))
    return gone.group_by("row", "stretch", maintain_order=True).agg(pl.col("start").min(), pl.col("end").max()).select("row", "start", "end")


def _masks(policy: Mapping[str, Any]) -> dict[str, str]:
    masks = policy.get("mask") or {}
    for name, how in masks.items():
        if how not in MASKS:
            raise PolicyError(f"mask: {name}: no mask {how!r}{near(str(how), MASKS)}")
    return {name: how for name, how in masks.items() if how != "none"}


def _cuts(policy: Mapping[str, Any]) -> list[str]:
    cuts = policy.get("cut") or []
    return [cuts] if isinstance(cuts, str) else list(cuts)


def _spans(batch: pl.DataFrame, name: str, mask: str | None) -> pl.DataFrame:
    """Return row, start, end and tag (null for a cut, open at its end for a pseudonym) of every span of one column that is not empty."""
    family, _, inner = name.partition(".")
    inner = inner or "spans"
    if family not in batch.columns:
        raise PolicyError(f"{'mask' if mask else 'cut'}: no family {family!r} on this dataset{near(family, batch.columns)}")
    fields = batch.schema[family].fields if isinstance(batch.schema[family], pl.Struct) else []  # type: ignore[attr-defined]
    if inner not in [field.name for field in fields]:
        raise PolicyError(f"{'mask' if mask else 'cut'}: family {family!r} has no spans {inner!r}{near(inner, [f.name for f in fields])}")
    listed = pl.DataFrame({"row": pl.int_range(batch.height, dtype=pl.Int64, eager=True), "span": batch[family].struct.field(inner)})
    flat = listed.filter(pl.col("span").list.len() > 0).explode("span").unnest("span")
    kind = pl.col("kind").str.to_uppercase()
    tag = pl.format("<{}_" if mask == "pseudonym" else "<{}>", kind) if mask else pl.lit(None, pl.String)
    wanted = flat.select("row", pl.col("start").clip(0), pl.col("end").cast(pl.Int64), tag=tag)
    return wanted.filter(pl.col("start") < pl.col("end"))


@numba.njit(cache=True, nogil=True)
def _rewrite(
    data: Bytes, offsets: Ints, rows: Ints, starts: Ints, ends: Ints, codes: Ints, tags: Bytes, tag_ends: Ints, counted: Bytes, room: int
) -> tuple[Bytes, Ints]:
    """Copy n texts with their stretches replaced; spans are sorted by row, start and falling length. A counted tag is given its value's number.

    Returns the new bytes and n + 1 offsets. One pass: code points are counted only up to a text's last span.
    """
    out = np.empty(data.size + room, np.uint8)
    out_ends = np.zeros(offsets.size, np.int64)
    keys, numbers, totals = _table(0), np.zeros(0, np.int64), np.zeros(counted.size, np.int64)
    to = span = 0
    for row in range(offsets.size - 1):
        at, end = offsets[row], offsets[row + 1]
        char = 0
        if counted.any() and span < rows.size and rows[span] == row:
            keys = _table(np.searchsorted(rows, row + 1) - span)
            numbers = np.zeros(keys.size, np.int64)
            totals[:] = 0
        while span < rows.size and rows[span] == row:
            start, stop, code = starts[span], ends[span], codes[span]
            span += 1
            while span < rows.size and rows[span] == row and starts[span] < stop:
                stop = max(stop, ends[span])
                code = 0 if codes[span] == 0 else code
                span += 1
            head = _seek(data, at, end, start - char)
            out[to : to + head - at] = data[at:head]
            to += head - at
            at = _seek(data, head, end, stop - start)
            char = stop
            if at > head:  # a span wholly past the end of the text replaces nothing
                size = tag_ends[code + 1] - tag_ends[code]
                out[to : to + size] = tags[tag_ends[code] : tag_ends[code + 1]]
                to += size
                if counted[code]:
                    to = _write(out, to, _number(keys, numbers, totals, code, _value(data, head, at)))
        out[to : to + end - at] = data[at:end]
        to += end - at
        out_ends[row + 1] = to
    return out[:to], out_ends


@numba.njit(cache=True, nogil=True)
def _table(values: int) -> Hashes:
    """Return an empty table of keys for so many values, at most half full."""
    size = 2
    while size < 2 * values:
        size *= 2
    return np.zeros(size, np.uint64)


@numba.njit(cache=True, nogil=True)
def _value(data: Bytes, start: int, end: int) -> np.uint64:
    """Return the hash of a value, whatever the case of its ASCII letters, and without spaces, hyphens and brackets where it has no @."""
    address = False
    for i in range(start, end):
        address |= data[i] == 0x40
    h = np.uint64(0xCBF29CE484222325)
    for i in range(start, end):
        b = data[i]
        if address or b not in (0x20, 0x28, 0x29, 0x2D):
            h = (h ^ np.uint64(b | 0x20 if 0x41 <= b <= 0x5A else b)) * np.uint64(0x100000001B3)
    out: np.uint64 = mix64(h)
    return out


@numba.njit(cache=True, nogil=True)
def _number(keys: Hashes, numbers: Ints, totals: Ints, code: int, value: np.uint64) -> int:
    """Return the number of a value among those of its tag in this text, a new one if it is new; `totals` are the numbers given."""
    key = mix64(value + np.uint64(code)) | np.uint64(1)
    place = np.int64((key >> np.uint64(1)) & np.uint64(keys.size - 1))
    while keys[place] != 0 and keys[place] != key:
        place = (place + 1) & (keys.size - 1)
    if keys[place] == 0:
        totals[code] += 1
        keys[place], numbers[place] = key, totals[code]
    return int(numbers[place])


@numba.njit(cache=True, nogil=True)
def _write(out: Bytes, to: int, number: int) -> int:
    """Write a number and > at a byte and return the byte after them."""
    power = 1
    while power * 10 <= number:
        power *= 10
    while power:
        out[to] = 0x30 + number // power % 10
        to, power = to + 1, power // 10
    out[to] = 0x3E
    return to + 1


@numba.njit(cache=True, nogil=True)
def _seek(data: Bytes, at: int, end: int, chars: int) -> int:
    """Return the byte `chars` code points after byte `at`, at most `end`. UTF-8 continuation bytes are 10xxxxxx."""
    while chars > 0 and at < end:
        at += 1
        while at < end and (data[at] & 0xC0) == 0x80:
            at += 1
        chars -= 1
    return at


def _series(data: Bytes, ends: Ints, before: pl.Series) -> pl.Series:
    array = pa.LargeStringArray.from_buffers(len(before), pa.py_buffer(ends), pa.py_buffer(data))
    after = pl.Series(before.name, pl.from_arrow(array))
    return after.set(before.is_null(), None) if before.null_count() else after
