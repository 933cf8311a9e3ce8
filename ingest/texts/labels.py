"""The numbers that LaTeX gives to sections, formulae, figures and tables, counted as its standard classes do, for `ref`."""

from collections.abc import Sequence

SECTIONS = ("\\section", "\\subsection", "\\subsubsection")
FLOATS = {
    "figure": "figure", "SCfigure": "figure", "wrapfigure": "figure", "table": "table", "longtable": "table", "deluxetable": "table", "algorithm": "algorithm",
}  # fmt: skip
ONE, MANY = ("equation", "multline", "dmath"), ("align", "gather", "eqnarray", "flalign", "alignat", "IEEEeqnarray")
APART = ("document", "proof", "itemize", "center", "abstract", "array", "aligned", "cases", "split", "matrix", "pmatrix", "bmatrix", "tabular", "minipage",
         "subequations", "description", "gathered", "quote", "small")  # fmt: skip
"""Environments that count nothing."""


def numbers_of(tokens: Sequence[str]) -> dict[str, str]:
    """Return the number of each label, such as `3.1` or `12`."""
    found: dict[str, str] = {}
    counts: dict[str, int] = {}
    section, current, inside, letters = [0, 0, 0], "", list[str](), False
    for i, unit in enumerate(tokens):
        if unit == "\\appendix":
            section, letters = [0, 0, 0], True
        elif unit in SECTIONS:
            level = SECTIONS.index(unit)
            section = [*section[:level], section[level] + 1, *[0] * (2 - level)]
            first = chr(64 + min(26, section[0])) if letters and section[0] else str(section[0])
            current = ".".join([first, *map(str, section[1 : level + 1])])
        elif unit == "\\begin":
            name = tokens[i + 2] if tokens[i + 1 : i + 2] == ["{"] and i + 2 < len(tokens) else ""
            inside.append(name)
            current = str(counts.get("equation", 0) + 1) if name == "subequations" else _counted(name, counts, current)
        elif unit == "\\end" and inside:
            inside.pop()
        elif unit == "\\\\" and inside and inside[-1] in MANY:
            current = _counted(inside[-1], counts, current)
        elif unit in ("\\nonumber", "\\notag") and inside and inside[-1] in MANY:
            counts["equation"] -= 1
        elif unit == "\\label" and tokens[i + 1 : i + 2] == ["{"]:
            found.setdefault("".join(tokens[i + 2 : i + 3]).strip(), current)
    return found


def _counted(name: str, counts: dict[str, int], current: str) -> str:
    """The number of what begins, and one more in its count."""
    if name in ONE or name in MANY:
        kind = "equation"
    elif name.rstrip("*") in FLOATS:
        kind = FLOATS[name.rstrip("*")]
    elif name.endswith("*") or name in APART or not name.isalpha():
        return current
    else:
        kind = name
    counts[kind] = counts.get(kind, 0) + 1
    return str(counts[kind])
