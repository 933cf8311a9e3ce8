"""The n-gram model: smoothing by hand, probabilities that sum to one, kenlm's scores, and ARPA files good and bad."""

import gzip
import json
import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ngram_making import FOREIGN, SMALL, TEXTS, probabilities, read, scored, signals, trained

from catalog.errors import InputError
from curate.models import arpa, lookup, ngrams
from curate.models.vocabulary import BOS, UNK, look_up, paragraphs, spell, split_texts

HOME = Path(__file__).resolve().parent.parent


def test_bigrams_are_smoothed_as_by_hand() -> None:
    """Chen and Goodman 1998, section 3, on the sentences `a b`, `a b`, `b`; four words can be predicted: a, b, </s>, <unk>.

    2-grams: <s> a 2, a b 2, b </s> 3, <s> b 1. So n1 = 1, n2 = 2, n3 = 1, n4 = 0 and by eq. 26 Y = 1 / (1 + 4) = .2,
    D1 = 1 - 2 * .2 * 2 / 1 = .2, D2 = 2 - 3 * .2 * 1 / 2 = 1.7, D3+ = 3 - 4 * .2 * 0 / 1 = 3.
    1-grams count the words before them: a 1, b 2, </s> 1; no n3, so the discounts are those for such cases: .5, 1, 1.5.
    Freed are (.5 + 1 + .5) / 4 = .5, spread over four words, .125 each.
    """
    model = trained(SMALL, order=2)
    assert model.meta["fallback"] == [1]
    assert np.allclose(model.meta["discounts"], [[0.5, 1, 1.5], [0.2, 1.7, 3]])
    gamma = 1.9 / 3  # of <s>: D2 for `<s> a` and D1 for `<s> b`, out of 3; of a: 1.7 out of 2; of b: 3 out of 3
    expected = {
        "<unk>": (0.125, 1), "<s>": (1, gamma), "</s>": (0.5 / 4 + 0.125, 1), "a": (0.5 / 4 + 0.125, 0.85), "b": (1 / 4 + 0.125, 1),
        "<s> a": ((2 - 1.7) / 3 + gamma * 0.25, 1), "<s> b": ((1 - 0.2) / 3 + gamma * 0.375, 1),
        "a b": ((2 - 1.7) / 2 + 0.85 * 0.375, 1), "b </s>": (0 + 1 * 0.25, 1),
    }  # fmt: skip
    found = probabilities(model)
    assert found.keys() == expected.keys()
    assert all(found[gram] == pytest.approx(expected[gram], rel=1e-6) for gram in expected)


def test_what_is_pruned_leaves_its_mass_to_shorter_ones() -> None:
    """Without `<s> b`, <s> frees D2 + 1 of 3: .9."""
    found = probabilities(trained(SMALL, order=2, prune=(0, 1)))
    assert "<s> b" not in found
    assert found["<s>"][1] == pytest.approx(0.9)
    assert found["<s> a"][0] == pytest.approx(0.1 + 0.9 * 0.25)


def test_trigrams_end_in_what_bigrams_say() -> None:
    """In the middle order `a b` stands behind two words (<s>, b): its count is 2; `<s> a`, which nothing can precede, has all its 3."""
    model = trained("a b\na b\na b c\nb a b", order=3)
    stream = np.array([1, 1, 3, 4, 2, 1, 1, 3, 4, 2, 1, 1, 3, 4, 5, 2, 1, 1, 4, 3, 4, 2], np.uint32)
    places = ngrams.suffix_order(stream, 3, 6)
    firsts, counts, _, _ = ngrams.runs(stream, places, ngrams.shared_words(stream, places, 3), 2, 3, 0)
    assert {(int(stream[p - 1]), int(stream[p])): int(c) for p, c in zip(firsts, counts, strict=True)} == {
        (1, 3): 3, (1, 4): 1, (3, 4): 2, (4, 3): 1, (4, 5): 1, (4, 2): 1, (5, 2): 1,
    }  # fmt: skip
    found = probabilities(model)
    assert {gram for gram in found if gram.count(" ") == 2} == {"<s> a b", "a b </s>", "a b c", "b c </s>", "<s> b a", "b a b"}


@pytest.mark.parametrize(("counts", "discounts"), [([1] * 4 + [2] * 2 + [3, 4], [0, 0.5, 1.25, 1]), ([1, 1, 1], None), ([1, 2, 3, *[4] * 9], None)])
def test_discounts_are_those_of_equation_26(counts: list[int], discounts: list[float] | None) -> None:
    found, defined = ngrams.discounts_of(np.array(counts, np.uint32), 2, (0.5, 1, 1.5))
    assert defined == (discounts is not None)
    assert found.tolist() == (discounts or [0, 0.5, 1, 1.5])
    if discounts is None:
        with pytest.raises(InputError, match="no discounts for 2-grams.*give more text"):
            ngrams.discounts_of(np.array(counts, np.uint32), 2, None)


@given(TEXTS, st.integers(1, 4), st.integers(1, 2), st.sampled_from([(0,), (0, 1), (0, 0, 1)]), st.lists(st.integers(0, 9), max_size=4))
@settings(max_examples=60, deadline=None)
def test_probabilities_of_all_words_sum_to_one(texts: list[str], order: int, min_count: int, prune: tuple[int, ...], context: list[int]) -> None:
    """Behind any words, begun by <s> or not, met in training or not."""
    model = trained(*texts, order=order, min_count=min_count, prune=prune)
    words = [word for word in range(len(model.words)) if word != BOS]
    before = [words[number % len(words)] for number in context]
    for start in ([BOS], []):
        rows = np.array([[*start, *before, word] for word in words], np.uint32)
        stream = np.concatenate([np.append(row, np.uint32(BOS)) for row in rows])  # <s> parts the rows
        logs = lookup.token_logs(model, stream).reshape(len(words), -1)[:, -2]
        if start:  # without it the row's context is the <s> that parts: the same but for the first row
            assert (10.0**logs).sum() == pytest.approx(1, abs=1e-6)


@given(TEXTS, st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_a_model_is_the_same_however_texts_are_batched(texts: list[str], order: int) -> None:
    whole = trained(*texts, order=order)
    single = ngrams.train((pl.Series([text]) for text in [*texts, ""]), order=order, min_count=1, prune=(0,))
    assert single.meta["digest"] == whole.meta["digest"]


def test_rare_words_are_unknown_and_unknown_is_a_word() -> None:
    model = trained("the cat sat\nthe dog sat\nthe cow sat", order=2, min_count=2)
    assert model.words.to_list() == ["<unk>", "<s>", "</s>", "sat", "the"]
    assert probabilities(model)["the <unk>"][0] > 0.5
    assert trained("a a b b c", max_words=1).words.to_list()[3:] == ["a"]


def test_case_is_kept_or_not() -> None:
    text = "Straße ÉCOLE Straße 東京 نص"
    assert trained(text, case="written").words.to_list()[3:] == ["Straße", "ÉCOLE", "نص", "京", "東"]
    lower = trained(text)
    assert lower.words.to_list()[3:] == ["straße", "école", "نص", "京", "東"]
    split = split_texts(pl.Series([text]))
    assert (look_up(split.lowers, lower.vocabulary) != UNK).all(), "a word is found by the hash of its small letters"


@pytest.mark.parametrize(
    ("knobs", "what"),
    [({"order": 0}, "order is 0"), ({"prune": (1,)}, "must begin with 0"), ({"prune": (0, 2, 1)}, "never fall"), ({"case": "upper"}, "case is 'upper'")],
)
def test_knobs_out_of_range_are_refused(knobs: dict[str, object], what: str) -> None:
    with pytest.raises(InputError, match=what):
        trained("a b c", **knobs)


@pytest.mark.parametrize("texts", [[], [""], [" \n\t\n"]])
def test_no_words_no_model(texts: list[str]) -> None:
    with pytest.raises(InputError, match="no word in the texts"):
        trained(*texts)


@given(TEXTS, st.integers(1, 4), st.sampled_from(["model.arpa", "model.arpa.gz"]))
@settings(max_examples=25, deadline=None)
def test_models_come_back_from_their_files(tmp_path_factory: pytest.TempPathFactory, texts: list[str], order: int, name: str) -> None:
    folder = tmp_path_factory.mktemp("models")
    model = trained(*texts, order=order, about={"query": "SELECT 1"})
    lookup.save(model, folder / "model")
    loaded = lookup.load(folder / "model")
    assert loaded.meta == model.meta
    assert lookup.digest(loaded.words, loaded.unigrams, loaded.tables) == model.meta["digest"]
    arpa.write(model, folder / name)
    assert arpa.read(folder / name).meta["digest"] == model.meta["digest"], "an ARPA file says all that a model does"


def test_a_saved_model_stays_what_it_is(tmp_path: Path) -> None:
    name = lookup.save(trained("a b c", order=3), tmp_path / "model")
    assert lookup.save(trained("a b c", order=3), tmp_path / "model") == name
    with pytest.raises(InputError, match="give another name"):
        lookup.save(trained("x y", order=2), tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model.json", b"{"), ("model.json", b"[]"), ("model.json", b'{"order": 99}'), ("model.json", b'{"order": 2, "format": "other"}'),
        ("words.npy", b"<unk>\n"), ("words.npy", None), ("grams2.npy", b"junk"), ("grams2.npy", None), ("grams1.npy", b""),
    ],
)  # fmt: skip
def test_damaged_models_are_refused(tmp_path: Path, file: str, content: bytes | None) -> None:
    lookup.save(trained(SMALL, order=2), tmp_path / "model")
    if content is None:
        np.save(tmp_path / "model" / file, np.zeros((7, 3)))
    else:
        (tmp_path / "model" / file).write_bytes(content)
    with pytest.raises(InputError, match=r"/model: no model that can be used: .*; fit it again"):
        lookup.load(tmp_path / "model")


def test_pickled_tables_are_never_read(tmp_path: Path) -> None:
    lookup.save(trained(SMALL, order=2), tmp_path / "model")
    np.save(tmp_path / "model" / "grams2.npy", np.array([print], object), allow_pickle=True)
    with pytest.raises(InputError, match="no model that can be used"):
        lookup.load(tmp_path / "model")


def test_arpa_files_of_others_are_read(tmp_path: Path) -> None:
    """What backs off was added up by hand: p(c | a b) is there, p(c | b) is not."""
    model = read(tmp_path, FOREIGN)
    assert model.case == "lower"
    assert not model.meta["closed"]
    assert np.allclose(
        scored(model, [["a", "b", "c"], ["b", "c"], ["zzz"], []]),
        [-0.4 - 0.05 - 0.1 - 0.2, (-0.3 - 0.8) + (-0.125 - 0.6) - 0.2, (-0.3 - 1.5) - 0.9, -0.3 - 0.9],
    )
    written = read(tmp_path, FOREIGN.replace("\tc", "\tC").replace("b c\n", "b C\n").replace("\n", "\r\n"))
    assert written.case == "written"
    with gzip.open(tmp_path / "small.arpa.gz", "wb") as file:
        file.write(FOREIGN.encode())
    assert arpa.read(tmp_path / "small.arpa.gz", case="written").case == "written"


def test_without_an_unknown_word_kenlms_number_stands_in(tmp_path: Path) -> None:
    model = read(tmp_path, FOREIGN.replace("-1.5\t<UNK>\n", "").replace("1=6", "1=5"))
    assert model.unigrams[UNK].tolist() == [-100, 0]


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("\\data\\", "\\date\\", ":1: no line .data.; this is no ARPA file"),
        ("ngram 2=3", "ngram 4=3", ":5: counts of 4-grams where"),
        ("ngram 2=3", "ngram 2=4", ":16: .data. says 4 2-grams, but there are 3"),
        ("ngram 3=2", "ngram 3=99999999999", "3 orders with 100000000008 n-grams; 1 to 10 orders"),
        ("\\2-grams:", "\\3-grams:", "2-grams: should stand here"),
        ("-0.7\ta", "-0,7\ta", ":11: the log is no number"),
        ("-0.7\ta", "nan\ta", ":11: the log is no number"),
        ("-0.7\ta", "0.7\ta", ":11: a probability above 1"),
        ("-0.7\ta", "\ta", ":11: the log is missing"),
        ("a\t-0.25", "a\tx", ":11: the backoff is no number"),
        ("a\t-0.25", "a\tinf", ":11: the backoff is no number"),
        ("-0.7\ta", "-0.7\ta a", ":11: one word should stand there"),
        ("-0.7\ta\t-0.25", "-0.7\ta\t-0.25\t1", "no lines of log, words and backoff"),
        ("-0.8\tb", "-0.8\ta", "the word 'a' stands there twice"),
        ("-0.8\tb", "-0.8\t<s>", "special word stands there twice"),
        ("-99\t<s>", "-99\t<t>", ":9: the word <s> is not among the 1-grams"),
        ("<s> a\t", "<s>  a\t", ":17: 2 words with a space between"),
        ("c </s>", "c d", ":19: a word that is not among the 1-grams"),
        ("<s> a b", "b c a", ":22: all but its last word is no n-gram"),
        ("-0.35\ta b\t", "-0.35\t<s> a\t", ":18: the n-gram stood there before"),
        ("\\end\\\n", "", "end. never comes"),
        ("\\end\\\n", "\\eof\\\n", "end. is missing"),
    ],
)
def test_what_is_wrong_with_an_arpa_file_is_said_with_its_line(tmp_path: Path, old: str, new: str, what: str) -> None:
    assert old in FOREIGN
    with pytest.raises(InputError, match=what) as raised:
        read(tmp_path, FOREIGN.replace(old, new, 1))
    assert str(raised.value).startswith(f"{tmp_path}/model.arpa:")
    assert "\n" not in str(raised.value)


@given(st.integers(0, len(FOREIGN) - 1), st.integers(0, 30), st.binary(max_size=6))
@settings(max_examples=400, deadline=None)
def test_damaged_arpa_files_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, at: int, cut: int, put: bytes) -> None:
    raw = FOREIGN.encode()
    try:
        read(tmp_path_factory.getbasetemp(), raw[:at] + put + raw[at + cut :])
    except InputError as error:
        assert "model.arpa" in str(error)


def test_packed_files_are_read_no_further_than_the_cap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arpa, "LARGEST", 1 << 20)
    with pytest.raises(InputError, match="more than 0 GB unpacked"):
        read(tmp_path, gzip.compress(FOREIGN.encode() + b"\n" * (1 << 21)))
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path, gzip.compress(FOREIGN.encode())[:-20])
    with pytest.raises(InputError, match="cannot be read"):
        arpa.read(tmp_path / "none.arpa")


@pytest.mark.oracle
@pytest.mark.slow
@pytest.mark.parametrize(
    "knobs", [{"order": 3}, {"order": 5, "prune": (0, 0, 1, 1, 2), "case": "written"}, {"order": 4, "min_count": 2, "prune": (0,)}], ids=["3", "5", "4"]
)
def test_kenlm_says_the_same_under_our_models(knobs: dict[str, object], examples: Path, oracles: Path, tmp_path: Path) -> None:
    """kenlm loads what we write and scores thousands of sentences, half of them never seen in training, to the same number."""
    book = (examples / "books/the-adventures-of-sherlock-holmes.txt").read_text(encoding="utf-8")
    pages = [json.loads(line)["text"] for line in (examples / "web/c4.jsonl").read_text(encoding="utf-8").splitlines()]
    model = ngrams.train([pl.Series([book]), pl.Series(pages[:150])], **knobs)  # type: ignore[arg-type]
    split = split_texts(pl.Series(pages))
    firsts, _ = paragraphs(split.data, split.starts, split.ends, split.documents)
    spelt = spell(split, np.arange(split.starts.size), model.case).split("\n")
    sentences = [spelt[start:end] for start, end in pairwise(firsts)]
    assert len(sentences) > 2000
    arpa.write(model, tmp_path / "model.arpa")
    said = asked(oracles, tmp_path, sentences)
    logs, unknown = lookup.score(model, split.lowers if model.case == "lower" else split.hashes, firsts)
    sizes = np.diff(firsts) + 1
    assert np.abs((logs - [row["log10"] for row in said]) / sizes).max() < 1e-5  # kenlm adds up in 32 bits
    assert unknown.tolist() == [row["unknown"] for row in said]
    frame = signals(model, *pages, folder=tmp_path)
    assert frame["paragraphs"].explode().to_list() == pytest.approx([row["perplexity"] for row in said], rel=1e-4)
    assert frame["n_paragraphs"].sum() == len(said)


@pytest.mark.oracle
def test_kenlm_says_the_same_of_models_of_others(oracles: Path, tmp_path: Path) -> None:
    more = "-0.7\tb a\n-0.6\tc a\n-0.9\tc b\n-0.5\ta a\t-0.1\n"  # or kenlm's table has no room for what it puts in for `b c`
    model = read(tmp_path, FOREIGN.replace("2=3", "2=7").replace("-0.2\tc </s>\n", "-0.2\tc </s>\n" + more))
    chosen = np.random.default_rng(1).choice(["a", "b", "c", "d"], (300, 5)).tolist()
    said = asked(oracles, tmp_path, [*chosen, [], ["a", "b", "c"]])
    assert scored(model, [*chosen, [], ["a", "b", "c"]]).tolist() == pytest.approx([row["log10"] for row in said], abs=1e-5)


def asked(oracles: Path, folder: Path, sentences: list[list[str]]) -> list[dict[str, float]]:
    """What kenlm says of sentences under folder/model.arpa."""
    (folder / "sentences.json").write_text(json.dumps(sentences), encoding="utf-8")
    command = [str(oracles), str(HOME / "tests/oracle_kenlm.py"), *(str(folder / name) for name in ("model.arpa", "sentences.json", "scores.json"))]
    subprocess.run(command, check=True, capture_output=True)
    said: list[dict[str, float]] = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    return said
