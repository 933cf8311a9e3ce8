"""Formulae as text: TeX as it stands, between `$` or, set off, `$$`; MathML in one line as an author would type it."""

import re

from lxml import etree

from ingest.markup import flat, tag

TEX = ("application/x-tex", "latex", "tex")
"""What MathML's annotations call TeX."""
ACCENTS = {"¯": "bar", "‾": "bar", "^": "hat", "ˆ": "hat", "˜": "tilde", "~": "tilde", "→": "vec", "⃗": "vec", "˙": "dot", ".": "dot", "¨": "ddot"}
SPACED = set("=<>≤≥≈≠∼~→←⇒⇔∝≡∈∉⊂⊆+−±×·∑∏∫∧∨")
SCRIPTS = {
    "msub": "{0}_{1}", "munder": "{0}_{1}", "msup": "{0}^{1}", "mover": "{0}^{1}", "msubsup": "{0}_{1}^{2}", "munderover": "{0}_{1}^{2}",
    "mfrac": "{whole}/{1}",
}  # fmt: skip
PARTED = {*SCRIPTS, "mroot", "mfenced", "mtr", "mtable"}
"""Elements whose children have a part each."""
NOTHING = {"mspace": " ", "annotation": "", "annotation-xml": "", "mphantom": ""}
INVISIBLE = dict.fromkeys(map(ord, "\u2061\u2062\u2063\u2064\u200b"))


def formula(element: etree._Element) -> str | None:
    """Return a formula element as text; None where it is only a picture."""
    tex = next((e for e in element.iter() if tag(e) == "tex-math" or (tag(e) == "annotation" and (e.get("encoding") or "").lower() in TEX)), None)
    math = element if tag(element) == "math" else next((e for e in element.iter() if tag(e) == "math"), None)
    if tex is not None:
        apart = tag(element).startswith("disp-") or (math is not None and math.get("display") == "block")
        return _tex("".join(tex.itertext()), "$$" if apart else "$")
    if math is not None:
        return flat(_row(math)) or None
    if any(tag(e) in ("graphic", "inline-graphic") for e in element.iter()):
        return None
    return flat("".join(element.itertext())) or None


def _tex(source: str, sign: str) -> str | None:
    """TeX between dollar signs; some publishers wrap each formula in a document of its own."""
    _, opens, rest = source.partition(r"\begin{document}")
    inside, closes, _ = rest.partition(r"\end{document}")
    body = flat(inside if opens and closes else source).strip("$ ")
    return f"{sign}{body}{sign}" if body else None


def _row(element: etree._Element) -> str:
    """What stands in a row; a space sets off a name of several letters: `sin x`."""
    out, named = "", False
    for child in element:
        said = _text(child)
        name = tag(child) == "mi" and len(said) > 1
        out += f" {said}" if (named or name) and out[-1:].isalnum() and said[:1].isalnum() else said
        named = name or (named and not said.strip())
    return out


def _text(element: etree._Element) -> str:
    """One MathML element. Children that are missing count as empty: the input is not always valid."""
    kind = tag(element)
    if kind in ("mi", "mn", "ms", "mtext", "mo"):
        return _token(kind, "".join(element.itertext()))
    if kind in NOTHING:
        return NOTHING[kind]
    if kind == "msqrt":
        return f"sqrt({_row(element).strip()})"
    if kind not in PARTED:                                   # each element is asked once: rows lie within rows, and twice each is without end
        return _row(element)
    parts = [_text(child).strip() for child in element] + ["", "", ""]
    if kind == "mover" and parts[1] in ACCENTS:
        return f"{ACCENTS[parts[1]]}({parts[0]})"
    if kind in SCRIPTS:
        return SCRIPTS[kind].format(parts[0], *map(_group, parts[1:3]), whole=_group(parts[0]))
    if kind == "mroot":
        return f"root({parts[1]}, {parts[0]})"
    if kind == "mfenced":
        separator = element.get("separators", ",").strip()[:1]
        inside = f"{separator} " if separator else ""
        return f"{element.get('open', '(')}{inside.join(parts[: len(element)])}{element.get('close', ')')}"
    return (" " if kind == "mtr" else "; ").join(part for part in parts if part)


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
