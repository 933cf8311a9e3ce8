"""A plain-text book taken apart: the Project Gutenberg frame cut, chapters found, hard-wrapped paragraphs made whole.

Headings are lines of their own: `CHAPTER I`, `VII. THE BLUE CARBUNCLE`, a lone `IV`, `PREFACE`, and `BOOK ONE` above them. A
table of contents looks the same but has no prose between its lines, which is how it is told apart.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from ingest.texts.joined import breadth, opened, whole, without_pages

BY = re.compile(r"^(?:by|von|par|di|por)(?:\s+(.{3,60}))?$", re.I)
LEADS = re.compile(r"(?:^|\s)(?:of|and|the|in|a|to|with|for|der|die|das|von|und|im|le|la|de|et)$", re.I)
FOLLOWS = re.compile(r"(?:of|and|in|to|with|von|und|im|de|et)(?:\s|$)", re.I)
NAME = re.compile(r"^(?:[A-ZÀ-Þ][\w'’.-]*\.?\s+){1,4}[A-ZÀ-Þ][\w'’-]+\.?$")
START = re.compile(
    r"^[^\S\n]*\*\*\* ?START OF (?:THIS |THE )?PROJECT GUTENBERG E(?:BOOK|TEXT).*?(?:\*\*\*|\n\s*\n)|^[^\n]*END\*?THE SMALL PRINT![^\n]*$",
    re.I | re.M | re.S,
)
STOP = re.compile(r"^[^\S\n]*(?:\*\*\* ?END OF (?:THIS|THE) PROJECT GUTENBERG E(?:BOOK|TEXT)|End of (?:the |this )?Project Gutenberg(?:'s|’s)? )", re.I | re.M)
FIELD = re.compile(r"^(Title|Author|Language|Release Date):[ \t]*(.+(?:\n[ \t]+\S.*)*)", re.M)
NUMBER = re.compile(r"\[E(?:Book|text) #(\d{1,7})\]", re.I)

ROMAN = r"[IVXLC]{1,8}"
ORDINAL = (
    r"(?:ONE|TWO|THREE|FOUR|FIVE|SIX|SEVEN|EIGHT|NINE|TEN|ELEVEN|TWELVE|THIRTEEN|FOURTEEN|FIFTEEN|SIXTEEN|SEVENTEEN|EIGHTEEN|NINETEEN|TWENTY(?:-\w+)?"
    r"|THE (?:FIRST|SECOND|THIRD|FOURTH|FIFTH|LAST)|FIRST|SECOND|THIRD|LAST|PREMIER|PREMIÈRE)"
)
COUNTED = rf"(?:{ROMAN}|\d{{1,3}}|{ORDINAL})"
CHAPTER = re.compile(
    r"^(?:CHAPTER|CHAPITRE|ADVENTURE|STAVE|LETTER|CANTO|SCENE|KAPITEL|CAP[IÍ]TULO|CAPITOLO|HOOFDSTUK|KAPITTEL|KAPITOLA|ROZDZIAŁ)"
    rf"\s+{COUNTED}\b(?!\s+(?:was|is|of this)\b|,? page).*$"
    r"|^\w{3,20} KAPITEL\.?$|^ГЛАВА\s+(?:[IVXLC]{1,8}|\d{1,3}|\w{3,20}Я)\b.*$|^第[〇零一二三四五六七八九十百千两\d]{1,8}[章回節节話话](?:[\s:：].*)?$",
    re.I,
)
TITLED = re.compile(rf"^{ROMAN}(?:\.?[ \t]+|\.?[ \t]*[—–:-]+[ \t]*)[A-ZÀ-Þ\"“'‘][A-ZÀ-Þ0-9 ,.;:'’‘\"“”!?&()—–-]{{2,70}}$")
LONE = re.compile(rf"^{ROMAN}\.?$")
CAPITALS = re.compile(r"^(?=.*[A-ZÀ-Þ]{3})[A-ZÀ-Þ0-9 ,.;:'’\"“”!?&()—–-]{6,70}$")
"""A title in capitals with two blank lines before it: a chapter's where no heading of the book has a number."""
ILLUSTRATION = re.compile(r"\[(?:Illustrations?|Frontispiece|Transcriber[’']?s? notes?|Blank page)\b(?:[^\[\]]|\[[^\[\]]{0,200}\]){0,2000}\]", re.I)
PART = re.compile(
    rf"^(?:BOOK|PART|VOLUME|ACT|BUCH|TEIL|LIVRE)\s+{COUNTED}\b.*$|^{COUNTED} (?:BOOK|PART|VOLUME|ACT|BUCH|TEIL)\b.*$"
    rf"|^(?i:(?:BOOK|PART|VOLUME)\s+{COUNTED})$"
)
NAMED = re.compile(
    r"^(?:(?:FIRST |SECOND )?EPILOGUE|PROLOGUE|PREFACE|FOREWORD|INTRODUCTION|INTRODUCTORY|CONCLUSION|AFTERWORD|APPENDI(?:X|CES)|NOTES|FOOTNOTES|BIBLIOGRAPHY"
    r"|GLOSSARY|INDEX|CONTENTS|TABLE OF CONTENTS|LIST OF ILLUSTRATIONS|ILLUSTRATIONS)\b.{0,40}$"
)
APPARATUS = re.compile(r"^(?:INDEX|CONTENTS|TABLE OF CONTENTS|LIST OF ILLUSTRATIONS|ILLUSTRATIONS)\b")
CONTENTS = re.compile(r"^(?:table of contents|contents|inhalt(?:sverzeichnis)?|table des matières|indice|índice)\W*$", re.I)
LEADER = re.compile(r"^(?:(?:[ivxlc]{1,8}|\d{1,3})[.)]\s+|\d{1,3}\s{1,9})|[\s.]{2,20}\d{1,4}$", re.I)
PAGED = re.compile(r"(?:\s\s|\.\.\s?|\t)\d{1,4}$")
PAGED_SIZE = 7
"""Characters at the end of a line in which a page's number and the gap before it are seen: lines may have any length."""
REAL = 600
"""Characters of prose that make a section one to be read; a heading with less behind it is a line of the contents, or a part's title."""
LONG_LINE = 200
LONG_BOOK, PART_SIZE = 60_000, 30_000
"""A book without chapters is whole up to the first, else cut between paragraphs into parts of about the second."""


@dataclass(frozen=True)
class Book:
    """What the frame of a Project Gutenberg text says, or a title page, and what stands inside. `main` is the title with its lines kept apart."""

    title: str | None
    author: str | None
    number: str | None
    text: str
    main: str | None = None


@dataclass(frozen=True)
class Section:
    """A stretch of a book: lines [start, end), its heading as one line, and which lines that is. `kind` is chapter, part, named or front."""

    kind: str
    title: str
    start: int
    end: int
    prose: int = 0
    heads: tuple[int, ...] = ()

    def body(self, lines: list[str]) -> list[str]:
        """The lines under the heading."""
        heads = set(self.heads)
        return [lines[i] for i in range(self.start, self.end) if i not in heads]


def unframe(text: str) -> Book:
    """Cut the licence and header of a Project Gutenberg text; any other text is returned whole, with what its title page says."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x0c", "\n")
    start = START.search(text[:40_000])
    head, body = (text[: start.start()], text[start.end() :]) if start else (text[:3000] if "Project Gutenberg" in text[:3000] else "", text)
    stop = next((found for found in STOP.finditer(body) if found.start() > len(body) // 2), None)
    body = body[: stop.start()] if stop else body
    fields = dict(reversed(FIELD.findall(head)))             # the first of each: a header may quote another
    said = {key: " ".join(value.split()) for key, value in fields.items()}
    if "Title" not in said and not start:
        main, author = title_page(body)
        return Book(" ".join(main.split()) if main else None, author, None, body, main)
    number = NUMBER.search(head)
    return Book(said.get("Title"), said.get("Author"), number[1] if number else None, body, _unwrapped(fields.get("Title")))


def _unwrapped(title: str | None) -> str | None:
    """A field's title with a line break only where its first line was ended on purpose: the next word would have found room."""
    lines = [line.strip() for line in (title or "").split("\n")]
    return title and (lines[0] + "\n" + " ".join(lines[1:]) if lines[1:] and len(lines[0]) + len(lines[1].split()[0]) < 55 else " ".join(lines))


def title_page(text: str) -> tuple[str | None, str | None]:
    """Return (title, author) of a text that opens with a title, `by` and a name; (None, None) for any other."""
    lines = [line.strip() for line in text[:2000].split("\n") if line.strip()][:8]
    for i, line in enumerate(lines):
        found = BY.match(line)
        name = (found[1] or (lines[i + 1] if i + 1 < len(lines) else "")).rstrip(".") if found else ""
        if found and i and all(len(said) < 70 for said in lines[:i]) and NAME.match(name):
            title = lines[0]
            for said in lines[1:i]:                          # a title page breaks its lines where it looks well: a subtitle is told by its words
                title += (" " if LEADS.search(title) or FOLLOWS.match(said) else "\n") + said
            return title, name.title() if name.isupper() else name
    return None, None


def sections(text: str) -> tuple[list[Section], list[str]]:
    """Return the sections of a book in order, and its lines, less page numbers and running heads. A book without chapters has none but its front."""
    lines = without_illustrations(opened(without_pages(text.split("\n"))))
    named = listed(lines)
    for pattern in ((CHAPTER, TITLED), (TITLED,), (LONE,), (CAPITALS,), ()):
        found = _without_contents(_headings(lines, pattern, named if pattern in ((LONE,), ()) else set()), lines)
        chapters = [s for s in found if s.kind == "chapter" and s.prose >= REAL]
        if len(chapters) >= 2 and sum(s.prose for s in chapters) >= 0.5 * _prose(lines, 0, len(lines)):
            front = Section("front", "", 0, found[0].start, _prose(lines, 0, found[0].start))
            return [front, *_under_parts(found, lines)], lines
    return [Section("front", "", 0, len(lines), _prose(lines, 0, len(lines)))], lines


def without_illustrations(lines: list[str]) -> list[str]:
    """Return the lines without `[Illustration: ...]` and the transcriber's notes, which may go over several lines."""
    text = "\n".join(lines)
    return ILLUSTRATION.sub("", text).split("\n") if "[" in text else lines


def listed(lines: list[str]) -> set[str]:
    """The titles that a table of contents lists and that stand alone in a line once more behind it, spelt plainly."""
    start = next((i for i, line in enumerate(lines[:400]) if len(line) < 60 and CONTENTS.match(line.strip())), None)
    if start is None:
        return set()
    titles: set[str] = set()
    end = None
    for i, line in enumerate(lines[start + 1 : start + 250], start + 1):
        said = _plain(LEADER.sub("", line.strip())) if len(line) < 100 else ""
        if said in titles:                                   # the first chapter's own heading
            end = i
            break
        if len(said) > 3:
            titles.add(said)
    if end is None:
        return set()
    alone = {_plain(line) for i, line in enumerate(lines[end:], end) if len(line) < 100 and line.strip() and not lines[i - 1].strip()}
    return titles & alone


def _plain(said: str) -> str:
    return re.sub(r"[\W_]+", " ", said.casefold()).strip()


def _headings(lines: list[str], patterns: tuple[re.Pattern[str], ...], named: set[str]) -> list[Section]:
    """Every line that could be a heading, each up to the next. Without patterns those are chapters that the table of contents has."""
    places = []
    for i, line in enumerate(lines):
        said = line.strip().strip("*_=").strip() if len(line) < 200 else ""
        if not said or len(said) > 80 or _paged(line) or (i > 0 and lines[i - 1].strip() not in ("", "Contents")):
            continue
        if any(pattern.match(said) for pattern in patterns):
            alone = i + 1 >= len(lines) or not lines[i + 1].strip()
            if patterns and patterns[0] is CAPITALS and (i < 2 or lines[i - 2].strip()):
                continue
            if alone or patterns[0] is CHAPTER:
                places.append(("chapter", said, i))
        elif PART.match(said):
            places.append(("part", said, i))
        elif NAMED.match(said) and said.upper() == said:
            places.append(("named", said, i))
        elif named and _plain(said) in named:
            places.append(("named" if patterns else "chapter", said, i))
    ends = [i for _, _, i in places[1:]] + [len(lines)] * bool(places)
    return [Section(kind, said, i, end, _prose(lines, i + 1, end), (i,)) for (kind, said, i), end in zip(places, ends, strict=True)]


def _paged(line: str) -> bool:
    """Whether a line ends in a page's number, as those of a table of contents do."""
    return PAGED.search(line.rstrip()[-PAGED_SIZE:]) is not None


def _prose(lines: list[str], start: int, end: int) -> int:
    """Characters of lines that read on from line to line: not those of a list or a table of contents."""
    total = 0
    for i in range(start, end):
        line = lines[i]
        beside = (i > start and _is_long(lines[i - 1])) or (i + 1 < end and _is_long(lines[i + 1]))
        if (beside or len(line) > 120) and not _paged(line):
            total += len(line.strip())
    return total


def _is_long(line: str) -> bool:
    """Whether a line has more than 40 columns."""
    size = len(line.strip())
    return size > 40 or (size > 20 and breadth(line.strip()) > 40)


def _without_contents(found: list[Section], lines: list[str]) -> list[Section]:
    """Leave out the lines of a table of contents: runs of chapters with no prose, and the last of each, which has what follows behind it."""
    kept: list[Section] = []
    last = {_key(section): i for i, section in enumerate(found)}
    run = 0
    for i, section in enumerate(found):
        short = section.prose < REAL and section.kind != "part"
        run = 0 if APPARATUS.match(section.title) else run + short
        follows = found[i + 1] if i + 1 < len(found) else None
        again = last[_key(section)] > i
        if again and (short or section.kind == "part"):
            continue
        if short and section.kind == "chapter" and run >= 3:
            while run == 3 and kept and kept[-1].prose < REAL and kept[-1].kind == "chapter":
                kept.pop()
            continue
        if not short and run >= 3 and section.kind == "chapter" and again and follows is not None:
            run = 0
            continue
        run = run if short or section.kind == "part" else 0
        kept.append(section)
    ends = [section.start for section in kept[1:]] + [len(lines)] * bool(kept)
    return [replace(s, end=end, prose=_prose(lines, s.start + 1, end)) for s, end in zip(kept, ends, strict=True)]


def _key(section: Section) -> str:
    return re.sub(r"\W+", " ", section.title.lower()).strip()


def _is_read(section: Section, lines: list[str]) -> bool:
    """Whether there is prose under a heading, not a list with a few long lines."""
    return section.prose >= max(REAL, 0.5 * sum(len(line.strip()) for line in lines[section.start : section.end]))


def _under_parts(found: list[Section], lines: list[str]) -> Iterator[Section]:
    """Join a part's heading to the title of the chapter behind it; a part with prose of its own is a section."""
    above, held, heads = "", None, list[int]()               # heads: of what is held, in a list that grows in place
    for section, follows in zip(found, [*found[1:], None], strict=True):
        bare = not _is_read(section, lines) and not APPARATUS.match(section.title)
        opened = section.kind == "chapter" and follows is not None and follows.kind == "named" and not APPARATUS.match(follows.title)
        if bare and (section.kind in ("part", "named") or opened):
            listed = sum(map(len, lines[section.start : section.end])) > 2 * REAL  # a list of what is in the part, not words about it
            above, held = section.title, None if listed else held or section
            heads = [] if listed else heads
            heads += () if listed else section.heads
            continue
        title = f"{above}, {section.title}" if above and (section.kind == "chapter" or held is not None) else section.title
        if held is not None:
            section = replace(section, start=held.start, heads=(*heads, *section.heads))
        yield replace(section, title=" ".join(title.split()))
        held, heads, above = None, [], above if section.kind == "chapter" else ""
    if held is not None:
        yield replace(held, end=found[-1].end, heads=tuple(heads))


def paragraphs(lines: list[str], seen: Mapping[str, int] | None = None) -> list[str]:
    """Return the blocks between blank lines; prose that was wrapped by hand becomes one line, verse and tables stay.

    Words that a line's end breaks are made whole by `ingest.texts.joined.join`, of which `seen` is the book's vocabulary. Where paragraphs are
    told by their indent alone, they are told apart by it.
    """
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            blocks[-1].append(line.rstrip())
        elif blocks[-1]:
            blocks.append([])
    sizes = sorted(breadth(line) for block in blocks for line in block if len(line) <= LONG_LINE) or [0]
    width = sizes[len(sizes) * 9 // 10]
    return [_joined(piece, seen or {}) for block in blocks if block for part in _apart(block, width) for piece in _indented(part)]


def _apart(block: list[str], width: int) -> list[list[str]]:
    """A block cut where paragraphs stand in it without a blank line between: behind a sentence that ends early in lines of prose, and around
    a line so long that it is a paragraph."""
    prose = sorted(map(breadth, block))[len(block) // 2] >= 50
    cuts = [0]
    for i in range(1, len(block)):
        above = block[i - 1]
        early = prose and breadth(above) < 0.75 * width and above[-1] in ".!?\"”’'»。！？」』" and not block[i].startswith(" ")
        if early or max(len(above), len(block[i])) > LONG_LINE:
            cuts.append(i)
    return [block[a:b] for a, b in pairwise([*cuts, len(block)])]


def _indented(block: list[str]) -> list[list[str]]:
    """A block cut before each line that is indented like a paragraph's first; whole where lines are indented in another way."""
    margins = [len(line) - len(line.lstrip()) for line in block]
    edge = min(margins)
    firsts = [i for i, margin in enumerate(margins) if margin > edge]
    steps = {margins[i] - edge for i in firsts}
    if len(firsts) < 2 or len(steps) > 1 or not 2 <= max(steps) <= 8 or len(firsts) * 2 > len(block):
        return [block]
    if sorted(map(breadth, block))[len(block) // 2] < 50 or any(block[i - 1].rstrip()[-1] not in ".!?:;\"”’'»-—。！？」』" for i in firsts if i):
        return [block]
    cuts = [0, *(i for i in firsts if i), len(block)]
    return [block[a:b] for a, b in pairwise(cuts)]


def _joined(block: list[str], seen: Mapping[str, int]) -> str:
    inner = sorted(breadth(line.strip()) for line in block[:-1])
    indents = [len(line) - len(line.lstrip()) for line in block]
    even = bool(inner) and max(indents[1:]) - min(indents[1:]) <= 2 and not any("|" in line for line in block)
    wrapped = even and inner[len(inner) // 2] >= 50 and inner[0] >= 30
    if not wrapped:
        margin = min(indents)
        return block[0].strip() if len(block) == 1 else "\n".join(line[margin:] for line in block)
    return whole(block, seen, typeset=False)


def parts(blocks: list[str], size: int = PART_SIZE) -> list[list[str]]:
    """Cut paragraphs into parts of about equal length near `size` characters."""
    total = sum(map(len, blocks))
    count = max(1, round(total / size))
    out: list[list[str]] = [[]]
    done = 0
    for block in blocks:
        if done >= total * len(out) / count and out[-1]:
            out.append([])
        out[-1].append(block)
        done += len(block)
    return out
