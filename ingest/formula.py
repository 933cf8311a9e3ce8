"""Formulae as text: TeX as it stands, MathML in one line as an author would type it."""

import re

from lxml import etree

from ingest.markup import flat, tag

TEX_BODY = re.compile(r"\\begin\{document\}(.*?)\\end\{document\}", re.S)
ACCENTS = {"¯": "bar", "‾": "bar", "^": "hat", "ˆ": "hat", "˜": "tilde", "~": "tilde", "→": "vec", "⃗": "vec", "˙": "dot", ".": "dot", "¨": "ddot"}
SPACED = set("=<>≤≥≈≠∼~→←⇒⇔∝≡∈∉⊂⊆+−±×·∑∏∫∧∨")
SCRIPTS = {
    "msub": "{0}_{1}", "munder": "{0}_{1}", "msup": "{0}^{1}", "mover": "{0}^{1}", "msubsup": "{0}_{1}^{2}", "munderover": "{0}_{1}^{2}",
    "mfrac": "{whole}/{1}",
}  # fmt: skip
NOTHING = {"mspace": " ", "annotation": "", "annotation-xml": "", "mphantom": ""}
INVISIBLE = dict.fromkeys(map(ord, "\u2061\u2062\u2063\u2064\u200b"))


def formula(element: etree._Element) -> str | None:
    """Return a formula element as text; None where it is only a picture."""
    tex = next((e for e in element.iter() if tag(e) == "tex-math"), None)
    if tex is not None:
        return _tex("".join(tex.itertext()))
    math = element if tag(element) == "math" else next((e for e in element.iter() if tag(e) == "math"), None)
    if math is not None:
        return flat(_row(math)) or None
    if any(tag(e) in ("graphic", "inline-graphic") for e in element.iter()):
        return None
    return flat("".join(element.itertext())) or None


def _tex(source: str) -> str | None:
    found = TEX_BODY.search(source)
    body = flat(found[1] if found else source).strip("$ ")
    return f"${body}$" if body else None


def _row(element: etree._Element) -> str:
    return "".join(_text(child) for child in element)


def _text(element: etree._Element) -> str:
    """One MathML element. Children that are missing count as empty: the input is not always valid."""
    kind = tag(element)
    if kind in ("mi", "mn", "ms", "mtext", "mo"):
        return _token(kind, "".join(element.itertext()))
    if kind in NOTHING:
        return NOTHING[kind]
    parts = [_text(child).strip() for child in element] + ["", "", ""]
    if kind == "mover" and parts[1] in ACCENTS:
        return f"{ACCENTS[parts[1]]}({parts[0]})"
    if kind in SCRIPTS:
        return SCRIPTS[kind].format(parts[0], *map(_group, parts[1:3]), whole=_group(parts[0]))
    if kind == "msqrt":
        return f"sqrt({_row(element).strip()})"
    if kind == "mroot":
        return f"root({parts[1]}, {parts[0]})"
    if kind == "mfenced":
        separator = element.get("separators", ",").strip()[:1]
        inside = f"{separator} " if separator else ""
        return f"{element.get('open', '(')}{inside.join(parts[: len(element)])}{element.get('close', ')')}"
    if kind in ("mtr", "mtable"):
        return (" " if kind == "mtr" else "; ").join(part for part in parts if part)
    return _row(element)


def _token(kind: str, said: str) -> str:
    if kind == "mtext":
        return said
    sign = said.translate(INVISIBLE).strip()
    if kind == "mo":
        return f" {sign} " if sign in SPACED else f"{sign} " if sign in (",", ";") else sign
    return sign


def _group(text: str) -> str:
    """Brackets where leaving them out would change what is meant."""
    simple = len(text) <= 1 or (re.fullmatch(r"[\w.]+|\(.*\)", text) is not None and text.count("(") <= 1)
    return text if simple else f"({text})"
