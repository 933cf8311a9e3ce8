"""TeX's letters and marks as characters: `'e`, `c{c}`, `ss`, `---`, and the commands that are one sign."""

import unicodedata

ACCENTS = {
    "'": "\u0301", "`": "\u0300", "^": "\u0302", '"': "\u0308", "~": "\u0303", "=": "\u0304", ".": "\u0307", "u": "\u0306", "v": "\u030c", "H": "\u030b",
    "c": "\u0327", "k": "\u0328", "r": "\u030a", "d": "\u0323", "b": "\u0331", "t": "\u0361",
}  # fmt: skip
LETTERS = {
    "ss": "ß", "o": "ø", "O": "Ø", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "aa": "å", "AA": "Å", "l": "ł", "L": "Ł", "i": "ı", "j": "ȷ", "dh": "ð",
    "th": "þ", "ng": "ŋ", "dj": "đ", "S": "§", "P": "¶", "dag": "†", "ddag": "‡", "copyright": "©", "pounds": "£", "euro": "€", "texteuro": "€", "ldots": "…",
    "dots": "…", "textellipsis": "…", "textbackslash": "\\", "textasciitilde": "~", "textasciicircum": "^", "textbar": "|", "textless": "<", "textgreater": ">",
    "textunderscore": "_", "textendash": "–", "textemdash": "—", "textquoteleft": "‘", "textquoteright": "’", "textquotedblleft": "“", "textquotedblright": "”",
    "textquotesingle": "'", "textregistered": "®", "texttrademark": "™", "textdegree": "°", "degree": "°", "textmu": "µ", "textbullet": "•",
    "textperiodcentered": "·", "guillemotleft": "«", "guillemotright": "»", "og": "« ", "fg": " »", "LaTeX": "LaTeX", "TeX": "TeX", "BibTeX": "BibTeX",
    "LaTeXe": "LaTeX2e", "slash": "/", "lq": "‘", "rq": "’", "quad": " ", "qquad": " ", "space": " ", "enspace": " ", "thinspace": " ", "newline": " ",
    "linebreak": " ", "par": "\n\n", "nobreakspace": " ", "textvisiblespace": " ", "checkmark": "✓", "textonehalf": "½", "textsection": "§", "lbrack": "[",
    "rbrack": "]", "lbrace": "{", "rbrace": "}", "ier": "er", "eme": "e",
    "eg": "e.g.", "Eg": "E.g.", "ie": "i.e.", "Ie": "I.e.", "etal": "et al.", "etc": "etc.", "cf": "cf.", "wrt": "w.r.t.", "vs": "vs.",
}  # fmt: skip
SPACED = ("xspace", "eg", "Eg", "ie", "Ie", "etal", "etc", "cf", "wrt", "vs")
"""Behind these stands a space unless a mark does, though the blank that is written there only ends their name. Conference styles define most."""
SIGNS = {"\\%": "%", "\\&": "&", "\\_": "_", "\\#": "#", "\\$": "$", "\\{": "{", "\\}": "}", "\\\\": " ", "\\,": " ", "\\;": " ", "\\:": " ", "\\ ": " ",
         "\\\n": " ", "\\!": "", "\\-": "", "\\/": "", "\\@": "", "\\*": "", "\\>": " ", "\\\t": " ", "\\|": "|", "\\<": ""}  # fmt: skip
MARKS = (("---", "—"), ("--", "–"), ("``", "“"), ("''", "”"), ("`", "‘"), ("'", "’"))


def accented(accent: str, letter: str) -> str:
    """Return a letter with an accent on it, as one character where there is one."""
    base = {"ı": "i", "ȷ": "j"}.get(letter[:1], letter[:1])
    return unicodedata.normalize("NFC", base + ACCENTS[accent]) + letter[1:] if base.strip() else letter


def marks(text: str) -> str:
    """Return a text with TeX's dashes and quotation marks as characters."""
    if "-" in text or "'" in text or "`" in text:
        for said, meant in MARKS:
            text = text.replace(said, meant)
    return text
