"""What the knobs of the jobs of `dedup:` may be. Nothing heavy is imported: a recipe is checked with this before anything starts."""

from collections.abc import Callable, Mapping
from typing import Any

from catalog.errors import RecipeError, near

Limit = tuple[Callable[[Any], bool], str]

PRESETS = {"fineweb": (14, 8), "dolma3": (26, 11), "nemo": (20, 13), "rpv2": (9, 13), "dclm": (93, 15), "refinedweb": (450, 20)}
"""Bands and rows. The probability that a pair becomes a candidate at Jaccard .5, .7, .8 and .9:

fineweb      .053  .565  .924  1      FineWeb (Penedo et al. 2024, arXiv 2406.17557, appendix)
dolma3       .013  .405  .903  1      OLMo 3's corpus, as configured in allenai/duplodocus; true Jaccard checked
nemo         .002  .177  .677  .997   NeMo Curator's defaults; there over 24 characters, here over words
rpv2         .001  .084  .399  .929   RedPajama-V2's signature for Jaccard .8 (its data card)
dclm         .003  .358  .964  1      DataComp-LM (Li et al. 2024, arXiv 2406.11794)
refinedweb   0     .302  .995  1      RefinedWeb (Penedo et al. 2023, arXiv 2306.01116): 9,000 hash functions
"""

BY = ("text", "origin", "url")
TOKENS = ("words", "code")
"""What `tokens:` may say: words in small letters without signs, or words and signs as written."""
KEEP = ("none", "first")

CHOICES = {"preset": PRESETS, "tokens": TOKENS, "keep": KEEP, "by": BY}


MOST = 1 << 30
"""What a count may be: kernels take 32 bits."""


def _number(low: float, high: float, *, above: bool = False) -> Callable[[Any], bool]:
    return lambda value: not isinstance(value, bool) and isinstance(value, int | float) and (low < value if above else low <= value) and value <= high


BANDS: dict[str, Limit] = {
    "threshold": (_number(0.1, 0.99), "a Jaccard, .1 to .99, or preset: names the bands"),
    "ngram": (_number(1, 1000), "1 to 1,000 words"),
}
LINES: dict[str, Limit] = {
    "documents": (_number(2, MOST), "2 or more: what stands in one document is not repeated"),
    "share": (_number(0, 1), "a share of documents, 0 to 1"),
    "min_words": (_number(0, MOST), "0 words or more"),
}
LIMITS: dict[str, dict[str, Limit]] = {
    "minhash": {**BANDS, "verify": (_number(0, 1), "a Jaccard, 0 (candidates are taken as they are) to 1")},
    "bloom": {**BANDS, "false_alarms": (lambda value: _number(0, 1, above=True)(value) and value < 1, "a share of documents between 0 and 1")},
    "forks": {"least": (_number(0, 1, above=True), "a share of a repository's files, above 0"), "files": (_number(1, MOST), "1 file or more")},
    "substring": {"tokens": (_number(2, MOST), "2 words or more")},
    "lines": LINES,
    "paragraphs": LINES,
    "semantic": {"threshold": (_number(0, 1, above=True), "a cosine, above 0 and at most 1"), "clusters": (_number(1, MOST), "1 or more")},
}
"""For each knob of a job whether a value will do, and what will, in words. Null stands for what a job chooses itself."""


def check(job: str, knobs: Mapping[str, Any], where: str = "") -> None:
    """Raise RecipeError for the first knob of a job whose value it cannot use. That a knob exists is for `catalog.stage.bind`."""
    for name, value in knobs.items():
        fits, words = LIMITS.get(job, {}).get(name, (None, ""))
        if value is not None and fits and not fits(value):
            raise RecipeError(f"{where}{job}: {name}: {value!r}; it is {words}")
        if value is not None and not fits and name in CHOICES:
            if name == "by" and len(set(value)) < len(value):
                raise RecipeError(f"{where}{job}: by: names {next(one for one in value if value.count(one) > 1)} twice")
            for one in value if name == "by" else [value]:
                if one not in CHOICES[name]:
                    raise RecipeError(f"{where}{job}: {name}: {one!r}{near(str(one), CHOICES[name])}")
    if not knobs.get("by", BY):
        raise RecipeError(f"{where}{job}: by: is empty; name some of {', '.join(BY)}")
    if knobs.get("preset") is not None and knobs.get("threshold") is not None:
        raise RecipeError(f"{where}{job}: give preset: or threshold:, not both")
