"""Decisions of data-prep-kit and of DCLM against clauses over our signals, on the 21,000 texts of test_curate_parity and on our words.

Where a peer's rule is another rule, the difference is named here: a text on which no cause holds must be decided alike. Causes that lie in the lines
of a text are proven too: the peer is asked again about texts without them, and must then decide as ours does of the texts as they are.
"""

import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import plain_dclm
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from peers_making import Causes, corpus, holds, installed, proper_words, same_decisions, spelt

from catalog.split import TERMINAL, characters
from curate import c4, dclm, fineweb, gopher, nemo, policy, refinedweb

HOME = Path(__file__).resolve().parent.parent
ORACLE = HOME / "tests/oracle_dpk.py"
STAGES = {each.__name__.rpartition(".")[2]: each.signals for each in (c4, dclm, fineweb, gopher, nemo, refinedweb)}
GOPHER = {"dup_line_char_frac": "dup_line_chars", "dup_para_char_frac": "dup_para_chars"}
GOPHER |= {f"top_{n}_grams": f"top_{n}gram" for n in (2, 3, 4)} | {f"dup_{n}_grams": f"dup_{n}gram" for n in range(5, 11)}
GOPHER |= {name: name for name in ("dup_line_frac", "dup_para_frac")}
STOPS = gopher.ENGLISH
OURS = frozenset(chr(code) for code in range(0x110000) if characters()[0][code] & TERMINAL)
ENDS = OURS ^ frozenset(".?!\"'")


def lines(text: str) -> list[str]:
    return text.split("\n")


def bare(text: str, line_of: Callable[[str], str] = str) -> str:
    """The text without blank lines; `line_of` changes the others."""
    return "\n".join(line_of(line) for line in lines(text) if line.strip())


def ended(text: str) -> str:
    """Lines end in a full stop where they end in a sign that ends a sentence to us, else in a letter where that is one to the peer."""
    return bare(text, lambda line: line[:-1] + ("." if line[-1] in OURS else "x") if line[-1] in ENDS else line)


def bulleted(text: str) -> str:
    return bare(text, lambda line: "-" + line.strip()[1:] if line.strip()[0] in "●•" else line.strip())


def trailing(text: str) -> str:
    return bare(text, lambda line: line.strip() + "..." * line.strip().endswith(("…", ". . .")))


def goes_before(line: str) -> bool:
    words = line.split()
    return len(words) < 3 or max(map(len, words)) > 1000


def only_before(sign: str, *before: str) -> Callable[[str], bool]:
    """Whether a sign stands in a text, and in those lines alone that C4's rules take out before they look for it, `before` for what they hold."""

    def goes(line: str) -> bool:
        return goes_before(line) or any(sign in line.lower() for sign in before)

    return lambda text: sign in text.lower() and all(goes(line) for line in text.splitlines() if sign in line.lower())


def inside_words(text: str) -> bool:
    """Whether two stop words stand in a text, and not two as words."""
    return sum(stop in text for stop in STOPS) >= 2 > sum(bool(re.search(rf"(?<![\w.]){stop}(?!\w)", text)) for stop in STOPS)


BLANKS: Causes = {"blank lines are lines to it": lambda text: any(not line.strip() for line in lines(text))}
WHITE: Causes = {"of white space alone": lambda text: not text.strip()}
NO_WORDS: Causes = {"without words it says 0": lambda text: not text.split()}
RULES: dict[str, tuple[str, str, Causes]] = {                # our clause, the same over data-prep-kit's columns at its limits, and why the two may differ
    "FineWeb: lines that end": (
        "fineweb.line_punct_ratio <= 0.12", "dpk.fwq_frac_line_punct <= 0.12",
        BLANKS | {". ? ! \" ' end a line, and no other sign": lambda text: any(line and line[-1] in ENDS for line in lines(text))},
    ),
    "FineWeb: short lines": ("fineweb.short_line_ratio >= 0.67", "dpk.fwq_short_line_frac >= 0.67", BLANKS),
    "FineWeb: repeated lines": ("fineweb.char_dup_ratio >= 0.1", "dpk.fwq_dup_line_char_frac >= 0.1", {}),
    "FineWeb: newlines": ("fineweb.newline_ratio >= 0.3", "dpk.fwq_new_line_ratio >= 0.3", {}),
    "words": ("nemo.n_words NOT BETWEEN 50 AND 100000", "dpk.docq_total_words NOT BETWEEN 50 AND 100000", {}),
    "length of words": ("dclm.mean_word_length NOT BETWEEN 3 AND 10", "dpk.docq_mean_word_len NOT BETWEEN 3 AND 10", NO_WORDS),
    "letters": ("dclm.alpha_words <= 0.8", "dpk.docq_alphabet_word_ratio <= 0.8", NO_WORDS),
    "symbols": (
        "dclm.symbol_ratio > 0.1", "dpk.docq_symbol_to_word_ratio > 0.1",
        {
            "words with a sign count, not signs": lambda text: any(word.count("#") + word.count("...") > 1 for word in text.split()),
            "… and . . . are none": lambda text: "…" in text or ". . ." in text,
        },
    ),
    "bullets": (
        "dclm.bullet_lines > 0.9", "dpk.docq_bullet_point_ratio > 0.9",
        BLANKS
        | {
            "● and • are none": lambda text: "●" in text or "•" in text,
            "lines are not stripped": lambda text: any(line.lstrip()[:1] in ("-", "*") and line[:1].isspace() for line in lines(text) if line.strip()),
        },
    ),
    "ellipses": (
        "dclm.ellipsis_lines > 0.3", "dpk.docq_ellipsis_line_ratio > 0.3",
        BLANKS
        | {
            "… and . . . are none": lambda text: any(line.rstrip().endswith(("…", ". . .")) for line in lines(text)),
            "lines are not stripped": lambda text: any(line.rstrip().endswith("...") and line[-1:].isspace() for line in lines(text)),
        },
    ),
    "stop words": (
        "gopher.stop_words < 2", "NOT dpk.docq_contain_common_en_words",
        {"a stop word inside another word counts (the in other)": inside_words},
    ),
    "curly brackets": (
        "c4.curly_lines > 0", "dpk.docq_curly_bracket_ratio > 0",
        {
            "C4 has dropped the lines before: few words, a long one, javascript, lorem ipsum": only_before("{", "javascript", "lorem ipsum"),
            "a closing bracket alone is none to C4": lambda text: "}" in text and "{" not in text,
        },
    ),
    "lorem ipsum": (
        "c4.lorem_lines > 0", "dpk.docq_lorem_ipsum_ratio > 0",
        {"C4 has dropped the lines before: few words, a long one": only_before("lorem ipsum")},
    ),
}  # fmt: skip

DCLM = {                                                     # its filters in its order, over our families
    "length": "dclm.n_words NOT BETWEEN 50 AND 100000",
    "word_length": "dclm.mean_word_length NOT BETWEEN 3 AND 10",
    "symbols": "dclm.symbol_ratio > 0.1",
    "bullets": "dclm.bullet_lines > 0.9",
    "ellipses": "dclm.ellipsis_lines > 0.3",
    "letters": "dclm.alpha_words < 0.8",
    "stop_words": "dclm.stop_word_uses < 2",
    "line": "dclm.dup_line_frac > 0.3",
    "paragraph": "dclm.dup_para_frac > 0.3",
    "line_chars": "dclm.dup_line_chars > 0.2",
    "paragraph_chars": "dclm.dup_para_chars > 0.2",
    **{f"runs of {n}": f"dclm.{'top' if n < 5 else 'dup'}_{n}gram > {most}" for n, most in plain_dclm.MOST_OF_RUNS.items()},
    "lines": "refinedweb.cut_words > 0.05",
}

MENDED: dict[str, Callable[[str], str]] = {"FineWeb: lines that end": ended, "FineWeb: short lines": bare, "bullets": bulleted, "ellipses": trailing}
"""Rules of which all causes lie in lines, and what takes these causes away."""


@pytest.fixture(scope="module")
def texts(examples: Path) -> list[str]:
    assert examples.is_dir()
    return corpus()


@pytest.fixture(scope="module")
def signals(texts: list[str]) -> pl.DataFrame:
    """Our families, a struct column each."""

    def parts() -> Iterator[pl.DataFrame]:
        for start in range(0, len(texts), 2000):
            batch = pl.DataFrame({"text": texts[start : start + 2000]})
            yield pl.DataFrame({name: stage(batch).to_struct(name) for name, stage in STAGES.items()})

    return pl.concat(parts())


@pytest.fixture(scope="module")
def dpk(texts: list[str], oracles: Path, tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """What data-prep-kit's annotators say of the texts, split as we split them."""
    installed(oracles, "dpk_doc_quality")
    folder = tmp_path_factory.mktemp("dpk")
    pq.write_table(pa.table({"text": texts, "words": spelt(texts)}), folder / "texts.parquet", row_group_size=2048)
    subprocess.run([str(oracles), str(ORACLE), str(folder / "texts.parquet"), str(folder / "said.parquet")], check=True)
    return pl.read_parquet(folder / "said.parquet")


@pytest.fixture(scope="module")
def dpk_lines(texts: list[str], oracles: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, pl.DataFrame]:
    """What data-prep-kit's annotators of lines say of the texts without the causes of MENDED."""
    installed(oracles, "dpk_doc_quality")
    folder = tmp_path_factory.mktemp("dpk_lines")
    mended = {name: [mend(text) for text in texts] for name, mend in MENDED.items()}
    asked = sorted({text for column in mended.values() for text in column})
    pq.write_table(pa.table({"text": asked}), folder / "texts.parquet", row_group_size=2048)
    subprocess.run([str(oracles), str(ORACLE), "lines", str(folder / "texts.parquet"), str(folder / "said.parquet")], check=True)
    said, place = pl.read_parquet(folder / "said.parquet"), {text: row for row, text in enumerate(asked)}
    return {name: said[[place[text] for text in column]] for name, column in mended.items()}


@pytest.mark.oracle
@pytest.mark.slow
def test_gophers_repetition_is_data_prep_kits(texts: list[str], signals: pl.DataFrame, dpk: pl.DataFrame) -> None:
    theirs = pl.DataFrame({ours: dpk[f"gra_{name}"] for name, ours in GOPHER.items()}).with_columns(n_chars=pl.Series(list(map(len, texts))))
    clauses = [clause.text for clause in policy.load(HOME / "recipes/policies/gopher.yaml").drop if clause.reason.startswith("repetition_")]
    assert len(clauses) == 14
    every = " OR ".join(f"coalesce({clause}, FALSE)" for clause in clauses)
    blank: Causes = {"of white space alone it says -1": lambda text: not text.strip()}
    same_decisions("Gopher: repetition", texts, holds(signals, every), holds(pl.DataFrame({"gopher": theirs.to_struct()}), every), blank)
    filled = pl.Series([bool(text.strip()) for text in texts])
    for name, ours in GOPHER.items():
        assert signals["gopher"].struct.field(ours).fill_null(0).filter(filled).equals(dpk[f"gra_{name}"].filter(filled)), name


@pytest.mark.oracle
@pytest.mark.slow
@pytest.mark.parametrize("name", RULES)
def test_decisions_are_data_prep_kits(name: str, texts: list[str], signals: pl.DataFrame, dpk: pl.DataFrame) -> None:
    ours, theirs, causes = RULES[name]
    same_decisions(name, texts, holds(signals, ours), holds(pl.DataFrame({"dpk": dpk.to_struct()}), theirs), causes)


@pytest.mark.oracle
@pytest.mark.slow
@pytest.mark.parametrize("name", MENDED)
def test_what_differs_in_lines_differs_for_the_causes_named(name: str, texts: list[str], signals: pl.DataFrame, dpk_lines: dict[str, pl.DataFrame]) -> None:
    ours, theirs, _ = RULES[name]
    same_decisions(f"{name}, mended", texts, holds(signals, ours), holds(pl.DataFrame({"dpk": dpk_lines[name].to_struct()}), theirs), WHITE)


@pytest.mark.slow
def test_decisions_are_dclms(texts: list[str], signals: pl.DataFrame) -> None:
    """Which filter drops a page, too: the first of DCLM's order."""
    words = proper_words(texts)
    rests = [plain_dclm.lines_left(text) for text in texts]
    left = map(len, proper_words(rests))
    theirs = [plain_dclm.dropped(*page) for page in zip(texts, words, left, strict=True)]
    cases = " ".join(f"WHEN {clause} THEN '{name}'" for name, clause in DCLM.items())
    ours = pl.SQLContext(texts=signals).execute(f"SELECT CASE {cases} END AS reason FROM texts", eager=True)["reason"].to_list()
    otherwise = {row: (mine, its) for row, (mine, its) in enumerate(zip(ours, theirs, strict=True)) if mine != its}
    print(f"DCLM: {len(texts)} texts, {sum(map(bool, ours))} dropped, for {Counter(theirs)}; otherwise {otherwise}")
    assert len({*theirs}) > 15 and len(otherwise) <= .001 * len(texts)
