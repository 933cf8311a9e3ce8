"""ARPA files, the text form of n-gram models that SRILM, KenLM and others read and write; plain or gzip."""

import gzip
import io
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt
import polars as pl

from catalog.errors import InputError
from catalog.files import publish, temporary
from catalog.schema import hash_column
from curate.listed.promised import verified
from curate.models.lookup import Gram, Model, assemble, grams
from curate.models.vocabulary import MOST, SPECIAL, Ids, look_up, word_table

LARGEST = 16 << 30
"""Bytes that an ARPA file may have when unpacked: a small gzip can hold any number."""
ORDERS = 10
UNKNOWN = -100.0
"""What <unk> gets in a file that does not have it, as in kenlm."""
LOWEST = -1000.0
"""What -inf becomes, which some write for the logarithm of nothing (SRILM: -99)."""

Levels = list[tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]]


def write(model: Model, path: str | Path) -> None:
    """Write a model as an ARPA file, gzip where the name ends in .gz. Words and n-grams are in the order of the words' numbers."""
    written = temporary(path)
    try:
        with cast(IO[bytes], gzip.open(written, "wb", 6) if str(path).endswith(".gz") else open(written, "wb")) as file:
            counts = "".join(f"ngram {n}={count}\n" for n, count in enumerate(model.meta["ngrams"], 1))
            file.write(f"\\data\\\n{counts}".encode())
            for n, (numbers, logs, backoffs) in enumerate(grams(model), 1):
                file.write(f"\n\\{n}-grams:\n".encode())
                for start in range(0, logs.size, 1 << 20):
                    rows = slice(start, start + (1 << 20))
                    _rows(model.words, numbers[rows], logs[rows], backoffs[rows] if n < model.order else None).write_csv(
                        file, include_header=False, separator="\t", quote_style="never"
                    )
            file.write(b"\n\\end\\\n")
        publish(written, path)
    finally:
        written.unlink(missing_ok=True)


def _rows(words: pl.Series, numbers: Ids, logs: npt.NDArray[np.float32], backoffs: npt.NDArray[np.float32] | None) -> pl.DataFrame:
    """Return the lines of some n-grams: log10 probability, words with a space between, backoff."""
    spelt = pl.select(pl.concat_str([pl.lit(words.gather(column)) for column in numbers.T], separator=" ")).to_series()
    columns = [pl.Series("log", logs), spelt.rename("words")]
    return pl.DataFrame(columns if backoffs is None else [*columns, pl.Series("backoff", backoffs)])


def read(path: str | Path, *, case: str | None = None, about: Mapping[str, Any] | None = None, digest: str | None = None) -> Model:
    """Return the model in an ARPA file.

    `case` says whether words of texts are looked for in small letters (`lower`) or as `written`; without it, in small letters if no
    word of the model has a capital. Only words as our splitter parts them are ever found. `digest` is the one that the file must have, if any.
    Raises InputError, with file and line, on what is no ARPA file, on counts that do not hold, words and contexts that are not there.
    """
    data = _bytes(Path(path), digest)
    counts, at = _counts(data, str(path))
    words, first = pl.Series("word", [], pl.String), None
    found: list[Gram] = []
    levels: Levels = []
    closed = True
    for n, count in enumerate(counts, 1):
        where = f"{path}:{_line(data, at)}"
        start, end = _section(data, at, n, len(counts), where)
        lines = _Lines(str(path), _line(data, start), _table(data[start:end], n, where))
        if lines.table.height != count:
            raise InputError(f"{where}: \\data\\ says {count} {n}-grams, but there are {lines.table.height}; is the file whole?")
        if n == 1:
            words, gram = _unigrams(lines)
            first = word_table(words, str(path))
        else:
            assert first is not None, "unigrams come first"
            numbers = _numbers(lines, n, first)
            gram = lines.gram(_places(levels, numbers[:, :-1], lines), numbers[:, -1])
            levels.append(_level(gram, lines))
            closed &= n == 2 or bool((_search(levels[:-1], numbers[:, 1:]) >= 0).all())
        found.append(gram)
        at = end
    if not re.match(rb"\s*\\end\\", data[at : at + 1000]):
        raise InputError(f"{path}:{_line(data, at)}: \\end\\ is missing; is the file whole?")
    if case is None:
        case = "written" if bool((words != words.str.to_lowercase()).any()) else "lower"
    return assemble(words, found, {"case": case, "closed": closed, "about": dict(about or {"arpa": str(path)})})


def _bytes(path: Path, digest: str | None) -> bytes:
    """Return what a file holds, read once, unpacked, with newlines alone at the ends of lines."""
    try:
        with open(path, "rb") as raw:
            data = verified(raw.read(LARGEST + 1), digest, str(path))
        if data.startswith(b"\x1f\x8b"):
            data = gzip.GzipFile(fileobj=io.BytesIO(data)).read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error}); give an ARPA file, plain or gzip") from error
    if len(data) > LARGEST:
        raise InputError(f"{path}: more than {LARGEST >> 30} GB unpacked; prune the model")
    return data.replace(b"\r\n", b"\n") if b"\r\n" in data[:4096] else data


def _line(data: bytes, at: int) -> int:
    """Return the number of the line that holds a byte."""
    return data.count(b"\n", 0, at) + 1


def _counts(data: bytes, path: str) -> tuple[list[int], int]:
    """Return how many n-grams of each order the head announces, and where it ends."""
    head = re.search(rb"^\\data\\[ \t]*\n", data[: 1 << 20], re.MULTILINE)
    if head is None:
        raise InputError(f"{path}:1: no line \\data\\; this is no ARPA file")
    counts: list[int] = []
    line, at = _line(data, head.end()), head.end()
    while match := re.compile(rb"[ \t]*(?:ngram[ \t]+(\d{1,3})[ \t]*=[ \t]*(\d{1,19})[ \t]*)?\n").match(data, at):
        if match[1] and int(match[1]) != len(counts) + 1:
            raise InputError(f"{path}:{line}: counts of {int(match[1])}-grams where those of {len(counts) + 1}-grams should be")
        counts += [int(match[2])] if match[1] else []
        line, at = line + 1, match.end()
    if not 1 <= len(counts) <= ORDERS or sum(counts) > MOST:
        raise InputError(f"{path}:{line}: {len(counts)} orders with {sum(counts)} n-grams; 1 to {ORDERS} orders and at most {MOST} n-grams can be read")
    return counts, at


def _section(data: bytes, at: int, n: int, order: int, where: str) -> tuple[int, int]:
    """Return where the lines of an order begin and end."""
    title = re.compile(rb"\s*\\%d-grams:[ \t]*(?:\n|$)" % n).match(data, at)
    if title is None:
        raise InputError(f"{where}: \\{n}-grams: should stand here; there is {data[at : at + 40].strip()!r}")
    begin = title.end()
    end = data.find(b"\n\\", begin - 1)
    if end < 0:
        comes = "end\\" if n == order else f"{n + 1}-grams:"
        raise InputError(f"{where}: \\{comes} never comes; is the file whole?")
    return begin, max(begin, end + 1)


def _table(section: bytes, n: int, where: str) -> pl.DataFrame:
    """Return the columns of a section as strings: log, words, backoff."""
    lines = section.rstrip(b" \t\n")
    if not lines:
        return pl.DataFrame(schema=dict.fromkeys(("log", "words", "backoff"), pl.String))
    schema = dict.fromkeys(("log", "words", "backoff"), pl.String)
    try:
        return pl.read_csv(
            io.BytesIO(b"-\t-\t-\n" + lines), has_header=True, new_columns=list(schema), schema_overrides=[pl.String] * 3, separator="\t", quote_char=None
        )  # fmt: skip
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        raise InputError(f"{where}: the {n}-grams are no lines of log, words and backoff with tabs between ({str(error).splitlines()[0]})") from error


class _Lines:
    """The n-grams of one order as read, each in a line of the file."""

    def __init__(self, path: str, first: int, table: pl.DataFrame) -> None:
        self.path, self.first, self.table = path, first, table

    def refuse(self, wrong: npt.NDArray[np.bool_] | pl.Series, what: str) -> None:
        """Raise InputError for the first line of which `wrong` is true."""
        rows = np.flatnonzero(np.asarray(wrong))
        if rows.size:
            row = int(rows[0])
            raise InputError(f"{self.path}:{self.first + row}: {what}: {str(self.table.row(row))[:120]}; mend the line or make the file again")

    def numbers(self, name: str, empty: float | None) -> npt.NDArray[np.float32]:
        """Return a column of numbers; a missing one is `empty`, or refused."""
        given = self.table[name]
        parsed = given.cast(pl.Float64, strict=False)
        strange = (parsed.is_null() & given.is_not_null()) | (parsed.is_nan() | (parsed == np.inf)).fill_null(False)
        self.refuse(strange, f"the {name} is no number")
        if empty is None:
            self.refuse(given.is_null(), f"the {name} is missing")
        out: npt.NDArray[np.float32] = np.maximum(parsed.fill_null(empty or 0.0).to_numpy(), LOWEST).astype(np.float32)
        return out

    def gram(self, contexts: Ids, words: Ids) -> Gram:
        logs = self.numbers("log", None)
        self.refuse(logs > 0, "a probability above 1")
        return Gram(contexts, words, logs, self.numbers("backoff", 0.0))


def _unigrams(lines: _Lines) -> tuple[pl.Series, Gram]:
    """Return the words, the special ones first, and their n-grams."""
    given = lines.table["words"].fill_null("").str.replace("^<UNK>$", SPECIAL[0])
    lines.refuse((given == "") | given.str.contains(" ", literal=True), "one word should stand there")
    gram = lines.gram(np.zeros(len(given), np.uint32), np.zeros(len(given), np.uint32))
    places = [int(np.flatnonzero(given == name)[:1].sum()) if (given == name).any() else -1 for name in SPECIAL]
    for name, place in zip(SPECIAL[1:], places[1:], strict=True):
        if place < 0:
            raise InputError(f"{lines.path}:{lines.first}: the word {name} is not among the 1-grams; the model has no sentences and cannot be used")
    logs, backoffs = np.append(gram.logs, np.float32(UNKNOWN)), np.append(gram.backoffs, np.float32(0))
    rest = np.flatnonzero(~given.is_in(SPECIAL).to_numpy())
    order = np.concatenate([places, rest]).astype(np.int64)
    words = pl.concat([pl.Series("word", SPECIAL, pl.String), given.gather(rest).rename("word")])
    numbers = np.arange(len(words), dtype=np.uint32)
    if len(given) != len(rest) + sum(place >= 0 for place in places):
        raise InputError(f"{lines.path}:{lines.first}: a special word stands there twice; a model names each word once")
    return words, Gram(numbers, numbers, logs[order], backoffs[order])


def _numbers(lines: _Lines, n: int, first: npt.NDArray[np.uint64]) -> Ids:
    """Return the words of n-grams by their numbers, a row each."""
    split = lines.table["words"].fill_null("").str.replace_all("<UNK>", SPECIAL[0], literal=True).str.split(" ")
    lines.refuse(split.list.len() != n, f"{n} words with a space between them should stand there")
    flat = split.explode() if len(split) else pl.Series([], dtype=pl.String)
    numbers = look_up(hash_column(flat), first)
    strange = (numbers == 0) & (flat != SPECIAL[0]).to_numpy()
    lines.refuse(strange.reshape(-1, n).any(axis=1), "a word that is not among the 1-grams")
    rows: Ids = numbers.reshape(-1, n)
    return rows


def _search(levels: Levels, numbers: Ids) -> npt.NDArray[np.int64]:
    """Return the places of n-grams of one order, of which `levels` holds the keys; -1 where there is none."""
    place = numbers[:, 0].astype(np.int64)
    for (keys, places), words in zip(levels, numbers.T[1:], strict=True):
        wanted = place.astype(np.uint64) << np.uint64(32) | words
        at = np.minimum(np.searchsorted(keys, wanted), max(0, keys.size - 1))
        found = (keys[at] == wanted) & (place >= 0) if keys.size else np.zeros(place.size, np.bool_)
        place = np.where(found, places[at] if keys.size else -1, -1)
    return place


def _places(levels: Levels, contexts: Ids, lines: _Lines) -> Ids:
    """Return the places of the n-grams' contexts in the order below."""
    found = _search(levels, contexts)
    lines.refuse(found < 0, "all but its last word is no n-gram of this file")
    places: Ids = found.astype(np.uint32)
    return places


def _level(gram: Gram, lines: _Lines) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Return the keys of n-grams, sorted, and the places that they had."""
    keys = gram.contexts.astype(np.uint64) << np.uint64(32) | gram.words
    places = np.argsort(keys, kind="stable")
    again = np.zeros(keys.size, np.bool_)
    again[places[1:]] = keys[places[1:]] == keys[places[:-1]]
    lines.refuse(again, "the n-gram stood there before")
    return keys[places], places
