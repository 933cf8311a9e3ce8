"""Where a paper's list of references begins and ends, in a text that has no mark-up for it."""

import re
from collections.abc import Sequence

HEADING = re.compile(
    r"^(?:#+\s*)?\W{0,3}(?:\d{1,2}\.?\s+|[IVX]{1,5}\.\s+)?(?:references?(?: cited| and notes| list)?|bibliograph(?:y|ie)|literature(?: cited| references)?"
    r"|works cited|literatur(?:verzeichnis)?|r[ée]f[ée]rences? bibliographiques|références|bibliografía|bibliografia|referencias|referências"
    r"|notes and references|citations)\W{0,3}$",
    re.I,
)
AFTER = re.compile(
    r"^(?:#+\s*)?(?:\d{1,2}\.?\s+|[A-H]\.?\s+)?(?:appendi(?:x|ces)\b|supplement(?:ary|al)\b|supporting information\b"
    r"|fig(?:ure)? (?:captions|legends)\b|figures?$|tables?$|annex(?:e)?\b"
    r"|acknowledge?ments?\W*$|author(?:s[’']?)? contributions?\W*$|about the authors?\b)", re.I,
)  # fmt: skip
YEAR = re.compile(r"\b(?:1[6-9]|20)\d\d[a-z]?\b|\bin press\b|\barXiv:|\bdoi\b|https?://", re.I)
LOOKED_AT = 40


def references(said: Sequence[str]) -> tuple[int, int] | None:
    """Return [start, end) of the references among a paper's paragraphs or lines; None where there are none.

    They begin with a heading that says so, the last one behind which entries follow (a year, a DOI or an address in a quarter of what
    comes next), and go on to the end or to what may stand behind them: an appendix, captions, thanks.
    """
    for start in range(len(said) - 1, -1, -1):
        if len(said[start]) > 60 or not HEADING.match(said[start].strip()):
            continue
        entries = [line for line in said[start + 1 : start + 1 + LOOKED_AT] if line.strip()]
        if entries and sum(YEAR.search(line[:2000]) is not None for line in entries) >= max(1, len(entries) / 6):
            end = next((i for i in range(start + 1, len(said)) if len(said[i]) < 80 and AFTER.match(said[i].strip())), len(said))
            return start, end
    return None
