"""One work under one name, whichever edition: the author's surname and the main title, spelt plainly.

`gaskell/ruth` is the work of `Ruth` by `Elizabeth Cleghorn Gaskell` and of `RUTH: A Novel (Illustrated)` by `Gaskell, Mrs.`. Volumes of
a work share its name, since an edition in one volume has the text of each.
"""

import re
import unicodedata

ARTICLES = {"the", "a", "an", "der", "die", "das", "ein", "eine", "le", "la", "les", "un", "une", "el", "los", "las", "il", "lo", "gli", "de", "het"}
SUFFIXES = re.compile(r",?\s+(?:jr|sr|esq|m\.?d|ph\.?d|d\.?d|f\.?r\.?s|ii|iii|p[eè]re|fils)\.?$", re.I)
NOBODY = ("various", "unknown")
SUBTITLE = re.compile(r"\s*(?:[:;/|\n]|\s[-–—]+\s|--+|—|[,.;:]?\s+(?:or|oder|ou|o),\s|,\s+(?:or|oder|ou)\s).*$", re.I | re.S)
VOLUME = re.compile(
    r"[,.]?\s+(?:complete|illustrated|unabridged|abridged|revised|(?:vol(?:ume|\.)?|v\.|band|bd\.|tome|part|book)\s+(?:\d+|[ivxlc]+|one|two|three))\b.*$", re.I
)
INVERTED = re.compile(r",\s+(?:the|an?|der|die|das|les?|la)$", re.I)
BRACKETED = re.compile(r"\([^()]{0,200}\)|\[[^\[\]]{0,200}\]")
LETTERS = str.maketrans({"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ł": "l", "þ": "th", "ð": "d", "ı": "i"})
APOSTROPHES = dict.fromkeys(map(ord, "'’‘ʼ`´"))
MOST = 300
"""Characters of a title or of authors that are looked at."""


def work(author: str | None, title: str | None) -> str | None:
    """Return `surname/main title`; None where either is not known: titles alone are shared by many works.

    Of several authors the first counts. The surname is the last word before a comma, or the last word of all. The title ends where a
    subtitle begins (`:`, `;`, a dash, `, or`), without articles in front, brackets, volumes and `illustrated`. Both lose case,
    diacritics and punctuation.
    """
    name, main = _surname(author or ""), _main(title or "")
    return f"{name}/{main}" if name and main else None


def _surname(author: str) -> str:
    first = re.split(r";|\s+(?:and|und|et)\s+|\s*&\s*|\s*\n", BRACKETED.sub(" ", author[:MOST]).strip(), maxsplit=1)[0]
    name = SUFFIXES.sub("", first.strip().rstrip(",")).partition(",")[0]
    words = _plain(name).split()
    return words[-1] if words and words[-1] not in NOBODY else ""


def _main(title: str) -> str:
    whole = BRACKETED.sub(" ", title[:MOST]).strip()
    main = INVERTED.sub("", VOLUME.sub("", SUBTITLE.sub("", whole))) or whole
    words = _plain(main).split() or _plain(title[:MOST]).split()
    while len(words) > 1 and words[0] in ARTICLES:
        words = words[1:]
    return " ".join(words)


def _plain(said: str) -> str:
    """Lower-case words of letters and digits, without diacritics; an apostrophe is nothing, any other mark a space."""
    lower = unicodedata.normalize("NFKD", said).casefold().translate(LETTERS).translate(APOSTROPHES).replace("&", " and ")
    bare = unicodedata.normalize("NFKD", lower)
    return " ".join(re.sub(r"[\W_]+", " ", "".join(char for char in bare if not unicodedata.combining(char))).split())
