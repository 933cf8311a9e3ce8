"""Spans applied to texts: tags, cuts, overlaps, any Unicode, and what is refused."""

import re
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import PolicyError
from catalog.spans import apply, families

POLICY: dict[str, Any] = {"mask": {"pii": "tag"}, "cut": ["c4.cuts"]}
SPAN = pl.List(pl.Struct({"kind": pl.String, "start": pl.Int64, "end": pl.Int64}))


def batch(texts: list[str | None], pii: list[Any], cuts: list[Any]) -> pl.DataFrame:
    """Rows with the families `pii` (spans) and `c4` (cuts)."""
    return pl.DataFrame(
        {"text": texts, "pii": [{"spans": one} for one in pii], "c4": [{"cuts": one} for one in cuts]},
        schema={"text": pl.String, "pii": pl.Struct({"spans": SPAN}), "c4": pl.Struct({"cuts": SPAN})},
    )


def span(kind: str, start: int, end: int) -> dict[str, Any]:
    return {"kind": kind, "start": start, "end": end}


def test_a_mask_becomes_a_tag_and_a_cut_goes() -> None:
    rows = batch(["mail a@b.c now", "keep\ndrop me\nkeep"], [[span("email", 5, 10)], []], [[], [span("line", 5, 13)]])
    assert apply(rows, POLICY).to_list() == ["mail <EMAIL> now", "keep\nkeep"]


def test_offsets_are_characters_not_bytes() -> None:
    rows = batch(["hé 🙂 世 1.2.3.4 ü", "🙂🙂🙂"], [[span("ip", 7, 14)], [span("face", 1, 2)]], [[], []])
    assert apply(rows, POLICY).to_list() == ["hé 🙂 世 <IP> ü", "🙂<FACE>🙂"]


def test_overlapping_spans_are_one_and_a_cut_wins() -> None:
    text = "0123456789"
    two_masks = [span("email", 2, 5), span("ip", 4, 8)]
    touching = [span("email", 2, 5), span("ip", 5, 8)]
    rows = batch([text] * 4, [two_masks, touching, [span("ip", 2, 6)], [span("ip", 3, 5)]], [[], [], [span("x", 4, 8)], [span("x", 2, 6)]])
    assert apply(rows, POLICY).to_list() == ["01<EMAIL>89", "01<EMAIL><IP>89", "0189", "016789"]


def test_nulls_and_empty_texts_stay_and_ends_are_clipped() -> None:
    rows = batch([None, "", "abc", "abc"], [[span("ip", 0, 1)], [span("ip", 0, 3)], [span("ip", 1, 99)], [span("ip", 7, 9)]], [None, None, [], []])
    assert apply(rows, POLICY).to_list() == [None, "", "a<IP>", "abc"]


def test_a_policy_without_spans_changes_nothing() -> None:
    rows = batch(["a"], [[span("ip", 0, 1)]], [[]])
    assert apply(rows, {}).to_list() == ["a"]
    assert families(POLICY) == ("pii", "c4")
    assert families({"drop": {}, "mask": None}) == ()


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"mask": {"pie": "tag"}}, "mask: no family 'pie' on this dataset; did you mean 'pii'?"),
        ({"cut": ["c4.cut"]}, "cut: family 'c4' has no spans 'cut'; did you mean 'cuts'?"),
        ({"mask": {"pii": "hash"}}, "mask: pii: no mask 'hash'; there is none, pseudonym, tag"),
    ],
)
def test_mistakes_name_what_is_near(policy: dict[str, Any], message: str) -> None:
    with pytest.raises(PolicyError, match="^" + message.replace("?", r"\?") + "$"):
        apply(batch(["a"], [[]], [[]]), policy)


def test_a_pseudonym_counts_the_values_of_its_kind_in_a_text_from_one() -> None:
    texts: list[str | None] = ["a@b.c wrote to d@e.f at 1.2.3.4; A@B.C says", "d@e.f alone", None]
    found = [[span("email", 0, 5), span("email", 15, 20), span("ip", 24, 31), span("email", 33, 38)], [span("email", 0, 5)], []]
    rows = batch(texts, found, [[], [], []])
    said = ["<EMAIL_1> wrote to <EMAIL_2> at <IP_1>; <EMAIL_1> says", "<EMAIL_1> alone", None]
    assert apply(rows, {"mask": {"pii": "pseudonym"}}).to_list() == said
    assert apply(rows, {"mask": {"pii": "none"}}).to_list() == texts
    assert families({"mask": {"pii": "none"}, "cut": ["c4.cuts"]}) == ("c4",)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("(212) 555-0100", "212-555 0100", True),
        ("DE89 3704 0044 0532 0130 00", "de89370400440532013000", True),
        ("jo-ann@b.org", "joann@b.org", False),
        ("1.2.3.45", "12.3.4.5", False),
        ("ü@b.org", "Ü@b.org", False),
    ],
)
def test_values_are_the_same_whatever_their_case_and_spacing(left: str, right: str, same: bool) -> None:
    text = f"{left}, {right}"
    rows = batch([text], [[span("x", 0, len(left)), span("x", len(left) + 2, len(text))]], [[]])
    assert apply(rows, {"mask": {"pii": "pseudonym"}}).to_list() == ["<X_1>, <X_1>" if same else "<X_1>, <X_2>"]


def test_a_thousand_values_have_a_thousand_pseudonyms() -> None:
    values = [f"user{number}@mail.org" for number in [*range(1000), *reversed(range(1000))]]
    text, places, at = " ".join(values), [], 0
    for value in values:
        places.append(span("email", at, at + len(value)))
        at += len(value) + 1
    said = apply(batch([text], [places], [[]]), {"mask": {"pii": "pseudonym"}}).to_list()[0].split()
    assert said == [f"<EMAIL_{number + 1}>" for number in [*range(1000), *reversed(range(1000))]]


def plainly(text: str, masks: list[tuple[str, int, int]], cuts: list[tuple[int, int]], how: str) -> str:
    """The same in plain Python, one character list at a time."""
    numbers: dict[str, dict[str, int]] = {}
    spans = [(s, -e, kind) for kind, s, e in masks] + [(s, -e, "") for s, e in cuts]
    out, at, spans = "", 0, sorted((s, e, k) for s, e, k in spans if s < -e)
    while spans:
        start, end, kind = spans.pop(0)
        stop, cut = -end, kind == ""
        while spans and spans[0][0] < stop:
            _, end, other = spans.pop(0)
            stop, cut = max(stop, -end), cut or other == ""
        out += text[at:start]
        if not cut and start < len(text):
            value = "".join(char.lower() if char.isascii() else char for char in text[start:stop])
            value = value if "@" in value else re.sub("[ ()-]", "", value)
            known = numbers.setdefault(kind, {})
            out += f"<{kind.upper()}>" if how == "tag" else f"<{kind.upper()}_{known.setdefault(value, len(known) + 1)}>"
        at = stop
    return out + text[at:]


places = st.tuples(st.integers(0, 14), st.integers(0, 14))
masked = st.tuples(st.sampled_from(["email", "ip"]), places)
texts = st.text(st.one_of(st.sampled_from("aA1 -(@é"), st.characters(codec="utf-8")), max_size=12)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(texts, st.lists(masked, max_size=4), st.lists(places, max_size=3)), min_size=1, max_size=5), st.sampled_from(["tag", "pseudonym"]))
def test_any_text_and_any_spans_come_out_as_in_plain_python(rows: list[Any], how: str) -> None:
    made = batch(
        [text for text, _, _ in rows],
        [[span(kind, *at) for kind, at in masks] for _, masks, _ in rows],
        [[span("line", *at) for at in cuts] for _, _, cuts in rows],
    )
    policy = {**POLICY, "mask": {"pii": how}}
    assert apply(made, policy).to_list() == [plainly(text, [(kind, *at) for kind, at in masks], cuts, how) for text, masks, cuts in rows]
