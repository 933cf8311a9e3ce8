"""Lines made whole: words broken at the end of a line, lines of a paragraph, and what a printed page puts between them.

A hyphen at a line's end is either the word's own (`well-\\nknown`) or the typesetter's (`impor-\\ntant`). The text itself is asked: the
form that stands elsewhere in it, away from a line's end, wins. Where neither does, what is typeset (a PDF, a scan) and what is
transcribed by hand (Project Gutenberg, which undoes the breaks) have a rule each.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import accumulate, pairwise
from statistics import median

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*(?:[-‐‑][^\W\d_]+)*")
ENDS_BROKEN = re.compile(r"([^\W\d_]+(?:[-‐‑][^\W\d_]+)*)([-‐‑¬\u00ad])$")
SECONDS = {
    "activated", "associated", "based", "binding", "dependent", "derived", "driven", "dimensional", "free", "friendly", "independent", "induced", "level",
    "like", "linear", "mediated", "negative", "positive", "related", "resistant", "rich", "scale", "sensitive", "specific", "sponsored", "term", "type", "wide",
}  # fmt: skip
"""Words that compounds end in: before one of them a line's break falls at the compound's own hyphen, as a rule."""
LINKS = ("to", "of", "the", "by", "in", "and", "on", "at")
SUSPENDING = ("and", "or", "und", "oder", "et", "ou")
"""Behind one of these a hyphen stands for the rest of a word: `high- and low-level`."""
HYPHENS = ("-", "\u2010", "\u2011", "¬", "\u00ad")
BEGINS = re.compile(r"([^\W_]+)")
LIGATURES = str.maketrans({"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st", "\u00a0": " ", "\u2010": "-", "\u2011": "-"})
UNSEEN_SPACES = {0x00A0: " ", 0x2002: " ", 0x2003: " ", 0x2009: " ", 0x200A: " ", 0x202F: " ", 0x200B: None, 0x2060: None, 0xFEFF: None}
WIDE = re.compile("[\u2e80-\u312f\u3190-\ua4cf\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff9f\U00020000-\U0003ffff]")
"""Characters of Chinese and Japanese, which have no blanks between words; a Korean line breaks at one."""
WIDE_MARK = re.compile("[\u3001-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]")
TAIL = 80
"""Characters at the end of a line in which a broken word is looked for: lines may have any length."""
PAGE_SIZE = 5000
"""Characters from one page number to the next at most, by the middle of a book: chapters that are numbered lie further apart."""
FEW_PAGES, MANY_PAGES = 5, 20
NUMBER_LINE = re.compile(r"^\W{0,3}(?:(?:p(?:age|g|\.)?)\s*)?(\d{1,4})\W{0,3}$", re.I)
MARK = re.compile(r"(?:\[(?:Pg|Page|p\.?|S\.?|Seite)\s?|\{(?:Pg|Page|p\.?)?\s?)(\d{1,4})[\]}]")
NO_HEAD = re.compile(r"(?:chapter|kapitel|chapitre|letter|book|part|section|canto|act|scene|stave|vol(?:ume)?|figure|fig|table|no|note)\b", re.I)
CHAPTER = re.compile(r"(?:chapter|kapitel|chapitre|letter|book|part|canto|stave|volume)\s+(?:[ivxlc]+|\d+|[a-z]{3,12})\b\W{0,3}(?:\s|$)", re.I)
HEAD = re.compile(r"^\s*(?:(\d{1,4})\s{1,40}(\S.{2,70}?)|(\S.{2,70}?)\s{1,40}(\d{1,4}))\s*$")


def breadth(line: str) -> int:
    """Return a line's width in columns: Chinese and Japanese characters take two."""
    return len(line) if line.isascii() else len(line) + len(WIDE.findall(line))


def vocabulary(lines: Iterable[str]) -> Counter[str]:
    """How often each word stands in the lines, lower-case, hyphens kept; a word that is broken at a line's end does not count."""
    said = list(lines)
    whole_text = " ".join(said).lower()
    tokens = Counter((whole_text if whole_text.isascii() else whole_text.translate(LIGATURES)).split())
    for line, then in pairwise(said):
        if _broken(line) and (rest := then.split(None, 1)):
            tokens[rest[0].lower().translate(LIGATURES)] -= 1
    seen: Counter[str] = Counter()
    for token, count in tokens.items():
        if token[-1] in "-\u00ad¬" and ENDS_BROKEN.search(token):
            continue
        for word in [token] if token.isalpha() else WORD.findall(token):
            seen[word] += count
    return +seen


def _broken(line: str) -> re.Match[str] | None:
    """The word that the end of a line may have broken."""
    said = line.rstrip()
    return ENDS_BROKEN.search(said[-TAIL:]) if said[-1:] in HYPHENS and said else None


def join(head: str, tail: str, seen: Mapping[str, int], *, typeset: bool) -> str:
    """Return two lines of a paragraph as one, the word that is broken between them repaired.

    Chinese and Japanese are closed up. A soft hyphen goes. A hyphen goes where the joined word is `seen` more often than the hyphenated one,
    and stays where that is seen. Where neither is seen it stays in a text that is not `typeset`; in one that is, it goes, unless both halves
    are words of the text with three letters or more, the second is one that compounds end in (`-based`), or what follows is a capital or a digit.
    """
    head, tail = head.rstrip(), tail.lstrip()
    if not head or not tail:
        return head + tail
    wide = bool(WIDE.match(head[-1])) + bool(WIDE.match(tail[0]))
    if wide == 2 or (wide and (WIDE_MARK.match(head[-1]) or WIDE_MARK.match(tail[0]))):
        return head + tail
    broken, begins = _broken(head), BEGINS.match(tail)
    if broken is None or begins is None:
        glued = head.endswith(("-", "—", "–", "/", "\u00ad")) and not head.endswith((" -", " —", " –", " /"))
        return head.rstrip("\u00ad") + tail if glued else f"{head} {tail}"
    if begins[1].lower() in SUSPENDING:
        return f"{head} {tail}"
    body, left, right = head[:-1], broken[1].translate(LIGATURES).lower(), begins[1].translate(LIGATURES).lower()
    if broken[2] in "\u00ad¬":
        return body + tail
    if len(left.rpartition("-")[2]) == 1 or (right in LINKS and tail[len(right) : len(right) + 1] == "-"):
        return f"{body}-{tail}"                              # no typesetter breaks behind one letter; `cell-to-cell`
    return body + tail if _is_break(left, broken[1], begins[1], right, seen, typeset) else f"{body}-{tail}"


def _is_break(left: str, before: str, after: str, right: str, seen: Mapping[str, int], typeset: bool) -> bool:
    """Whether a hyphen at a line's end is the typesetter's; `left` and `right` are what stands `before` and `after` it, in lower case."""
    capital = len(before) > 1 and before.isupper()
    lower, capitals = after[0].islower() and not capital, capital and after.isupper()
    last = left.rpartition("-")[2]
    joined, hyphened = max(seen.get(left + right, 0), seen.get(last + right, 0)), max(seen.get(f"{left}-{right}", 0), seen.get(f"{last}-{right}", 0))
    if joined or hyphened:
        return joined > hyphened and (lower or capitals)
    if not typeset or not lower:
        return False
    compound = right in SECONDS or (last in LINKS and last != left)
    return not compound and not (len(last) >= 3 and len(right) >= 3 and last in seen and right in seen)


def whole(lines: Iterable[str], seen: Mapping[str, int], *, typeset: bool) -> str:
    """Return the lines of a paragraph as one."""
    text: list[str] = []                                     # pieces: a paragraph may have any number of lines
    held = ""
    for line in lines:
        joined = join(held, line, seen, typeset=typeset)
        cut = len(joined) - len(line.strip())
        text.append(joined[:cut])
        held = joined[cut:]
    return "".join(text) + held


def without_pages(lines: list[str], *, size: int = PAGE_SIZE) -> list[str]:
    """Return the lines without page numbers and running heads, as a scan or a transcription leaves them.

    A number alone in its line is a page's where at least five such go up, by three at most and `size` characters apart at most by the
    median. A line with a number at one end is a running head where its words recur with numbers that go up so, or where it stands beside
    a page's number and recurs. Marks such as `[Pg 12]` go where they go up so. A paragraph that goes on over a page is closed up again.
    """
    numbered: list[tuple[int, int]] = []
    marks: list[tuple[int, int]] = []
    headed: dict[str, list[tuple[int, int]]] = {}
    for i, line in enumerate(lines):
        if len(line) < 200 and (line.rstrip()[-1:].isdigit() or line.lstrip()[:1].isdigit() or NUMBER_LINE.match(line.strip())):
            said = line.strip()
            if found := NUMBER_LINE.match(said) if len(said) < 20 else None:
                numbered.append((i, int(found[1])))
            elif (found := HEAD.match(line)) and (words := _words(found[2] or found[3])):
                headed.setdefault(words, []).append((i, int(found[1] or found[4])))
        if "[" in line or "{" in line:
            marks += [(i, int(found[1])) for found in MARK.finditer(line)]
    if len(numbered) + len(marks) + sum(map(len, headed.values())) < FEW_PAGES:
        return lines
    starts = [0, *accumulate(len(line) + 1 for line in lines)]
    gone = _numbers(numbered, starts, size)
    for places in headed.values():
        gone |= _numbers(places, starts, size)
    gone |= _beside(lines, gone)
    marked = _numbers(marks, starts, size)
    kept = [MARK.sub("", line) if i in marked else line for i, line in enumerate(lines)] if marked else lines
    return _closed(kept, gone | {i for i in marked if not kept[i].strip()}) if gone or marked else lines


def _words(said: str) -> str:
    """What a running head says without its number; empty for what is no line of words."""
    words = " ".join(re.sub(r"[\W\d_]+", " ", said).lower().split())
    return words if len(words) >= 3 and not NO_HEAD.match(words) else ""


def _numbers(places: list[tuple[int, int]], starts: list[int], size: int) -> set[int]:
    """The lines of those numbers that count pages: a run that goes up by one to three. A year or a quantity in between is passed over.

    Twenty that go up by any steps count too, where as many characters go with each page as pages have.

    `starts` are the characters before each line.
    """
    best: list[tuple[int, int]] = []
    run: list[tuple[int, int]] = []
    for at, number in places:
        if run and not 0 < number - run[-1][1] <= 3:
            if len(run) > 1 and number > run[-1][1] + 3:
                continue
            best, run = max(best, run, key=len), []
        run.append((at, number))
    best = max(best, run, key=len)
    gaps = [starts[b[0]] - starts[a[0]] for a, b in pairwise(best)]
    rises = sum(b[1] > a[1] for a, b in pairwise(places))
    if len(places) >= MANY_PAGES and rises >= 0.9 * (len(places) - 1) and places[-1][1] > places[0][1]:
        page = (starts[places[-1][0]] - starts[places[0][0]]) / (places[-1][1] - places[0][1])
        if size / 10 <= page <= size:                        # only some pages say their number, where a paragraph ends with them
            return {at for at, _ in places}
    return {at for at, _ in best} if len(best) >= FEW_PAGES and median(gaps) <= size else set()


def _beside(lines: list[str], numbers: set[int]) -> set[int]:
    """Short lines that recur next to page numbers: running heads."""
    near: dict[str, set[int]] = {}
    for at in numbers:
        for step in (-1, 1):
            i = at + step
            while 0 <= i < len(lines) and abs(i - at) < 4 and not lines[i].strip():
                i += step
            if 0 <= i < len(lines) and len(lines[i].strip()) < 70 and (words := _words(lines[i])):
                near.setdefault(words, set()).add(i)
    return {i for places in near.values() if len(places) >= FEW_PAGES for i in places}


def _closed(lines: list[str], gone: set[int]) -> list[str]:
    """The lines without those; the blanks around them go too where a sentence goes on behind them."""
    out: list[str] = []
    i = 0
    while i < len(lines):
        if i not in gone:
            out.append(lines[i])
            i += 1
            continue
        start = i
        while i < len(lines) and (i in gone or not lines[i].strip()):
            i += 1
        blanks = sum(k not in gone for k in range(start, i)) - 2
        while out and not out[-1].strip():
            out.pop()
            blanks += 1
        goes_on = out and i < len(lines) and lines[i].lstrip()[:1].islower() and not out[-1].rstrip().endswith((".", "!", "?", ":", "”", '"'))
        if not goes_on:
            out += [""] * max(1, min(blanks, 3))
        elif not _broken(out[-1]):  # a page's last line may be short: it must not look like a paragraph's
            out[-1] = f"{out[-1].rstrip()} {lines[i].strip()}"
            i += 1
    return out


def opened(lines: list[str]) -> list[str]:
    """Return the lines with a blank one behind each paragraph, where a text has none between them.

    A text without blank lines is either a paragraph a line, or wrapped: there a paragraph ends with a line on which the next line's first
    word would have found room. Short lines that follow each other without a full stop (verse, a title page) stay together.
    """
    sizes = sorted(len(line.rstrip()) for line in lines if line.strip())
    if len(sizes) < 50:
        return lines
    if sizes[len(sizes) // 2] > 130 and sum(bool(a.strip() and b.strip()) for a, b in pairwise(lines)) > len(sizes) / 5:
        return [piece for line in lines for piece in (line, "")]
    width = sizes[len(sizes) * 19 // 20]
    if len(lines) - len(sizes) > len(sizes) / 25 or sizes[-1] > 1000:
        return lines
    out: list[str] = []
    short = [i + 1 == len(lines) or _ends(lines[i], lines[i + 1], width) for i in range(len(lines))]
    for i, line in enumerate(lines):
        out.append(line)
        heads = i + 1 < len(lines) and len(lines[i + 1]) < 80 and CHAPTER.match(lines[i + 1].strip())
        if heads or (short[i] and not _is_verse(lines, short, i)):
            out.append("")
    return out


def _ends(line: str, following: str, width: int) -> bool:
    """Whether the next line's first word would have found room: so nothing but a paragraph's end broke the line."""
    first = following.split(None, 1)
    return not first or len(line.rstrip()) + 1 + len(first[0]) <= width - 2 or following[:1] in (" ", "\t")


def _is_verse(lines: list[str], short: list[bool], i: int) -> bool:
    """Whether a short line and the next are two of a poem: both begin with a capital, and neither speaks nor ends a sentence in between."""
    if i + 1 >= len(lines) or not short[i + 1] or not lines[i].strip() or not lines[i + 1].strip():
        return False
    said, then = lines[i].strip(), lines[i + 1].strip()
    lone = len(said) < 12 or said.isupper() or then.isupper() or re.match(r"(?:[IVXLC]+\.?|\d+\.?)(?:\s|$)", then)
    return not lone and said[-1] not in ".!?\"'”’:" and then[0].isupper() and said[0].isupper()
