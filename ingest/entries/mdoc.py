"""The macros of mdoc(7), in which the BSDs' manual pages are written: each says what a word is, and is called within lines too."""

from typing import TYPE_CHECKING

from ingest.entries.roff import arguments, requests, said

if TYPE_CHECKING:
    from ingest.entries.man import Page

AROUND = {
    "Op": ("[", "]"), "Bq": ("[", "]"), "Brq": ("{", "}"), "Pq": ("(", ")"), "Aq": ("<", ">"), "Dq": ("“", "”"), "Sq": ("‘", "’"), "Qq": ('"', '"'),
    "Ql": ("‘", "’"), "Dl": ("", ""), "D1": ("", ""),
}  # fmt: skip
OPENS = {"Oo": "[", "Bo": "[", "Bro": "{", "Po": "(", "Ao": "<", "Do": "“", "So": "‘", "Qo": '"'}
CLOSES = {"Oc": "]", "Bc": "]", "Brc": "}", "Pc": ")", "Ac": ">", "Dc": "”", "Sc": "’", "Qc": '"'}
MARKED = """
Ar Cm Ic Em Sy Li Pa Ev Va Vt Fa Ft Dv Er Ad An Cd Ms Mt Lk No Tn St Fx Nx Ox Bx Bsx Dx At Ux Rs Re %A %B %D %I %J %N %O %P %Q %R %T
%U %V %C In Cd Nd Fl Nm Xr Fn Fd Tg Lb
"""
WORDS = frozenset(MARKED.split())
SYSTEMS = {"Fx": "FreeBSD", "Nx": "NetBSD", "Ox": "OpenBSD", "Bx": "BSD", "Bsx": "BSD/OS", "Dx": "DragonFly", "At": "AT&T UNIX", "Ux": "UNIX"}
CALLED = WORDS | AROUND.keys() | OPENS.keys() | CLOSES.keys() | {"Ns", "Ap", "Pf", "Xo", "Xc"}
TIGHT_BEFORE, TIGHT_AFTER = tuple(".,;:?!)]}>”’"), tuple("([{<“‘")


def lines(text: str, page: "Page", about: dict[str, str]) -> None:
    """Read a page of mdoc(7) macros into `page`; `about` gets its name, section and date."""
    for macro, rest in requests(text):
        given = arguments(rest)
        if macro == "":
            page.add(said(rest))
        elif macro == "Dd":
            about["date"] = said(rest).replace("$Mdocdate:", "").strip("$ ")
        elif macro == "Dt":
            about.update(name=said(" ".join(given[:1])), section=said(" ".join(given[1:2])))
        elif macro in ("Sh", "Ss"):
            page.heading(said(" ".join(given)), 2 if macro == "Sh" else 3)
        elif macro in ("Pp", "Lp", "Bl", "El", "br", "sp"):
            page.end() if page.code is None else None
            page.depth = max(0, page.depth + {"Bl": 1, "El": -1}.get(macro, 0))
        elif macro == "It":
            page.close()
            page.tag = [_line(given, page)]
        elif macro in ("Bd", "Ed"):
            shown = macro == "Bd" and ("-literal" in given or "-unfilled" in given)
            page.open() if shown else page.close()
        elif macro in ("Dl", "D1"):
            page.close()
            page.blocks.append(f"```\n{_line(given, page)}\n```")
        elif macro in CALLED:
            if macro == "Nm":
                about.setdefault("called", said(" ".join(given[:1])))
            page.add(_line([macro, *given], page, about))


def _line(words: list[str], page: "Page", about: dict[str, str] | None = None) -> str:
    """What a line of macros and their arguments says."""
    out, tight, macro, closing = "", False, "", list[str]()
    for position, word in enumerate(words):
        if word in CALLED:
            last = position + 1 == len(words) or words[position + 1] in CALLED or words[position + 1] in TIGHT_BEFORE
            macro = word
            if word in ("Ns", "Ap", "Pf"):
                tight = True
                out += "'" if word == "Ap" else ""
                continue
            piece = _opened(word, last, closing, about)
            if not piece:
                continue
        else:
            piece = said(word)
            if macro == "Fl":
                piece = "-" + piece if piece not in TIGHT_BEFORE and piece != "|" else piece
            elif macro == "Fn" and words[position - 1] == "Fn":
                piece += "("
                closing.append(")")
            elif macro == "In":
                piece = f"<{piece}>"
            elif macro == "Xr" and words[position - 1] != "Xr" and piece[:1].isdigit():
                piece, tight = f"({piece})", True
        if piece in TIGHT_BEFORE and position + 1 == len(words):
            out += "".join(closing[::-1])
            closing = []
        out += piece if tight or not out or piece in TIGHT_BEFORE or out.endswith(TIGHT_AFTER) or out.endswith("(") else " " + piece
        tight = False
    return out + "".join(closing[::-1])


def _opened(word: str, last: bool, closing: list[str], about: dict[str, str] | None) -> str:
    """What a macro itself writes before its arguments."""
    if word in AROUND:
        closing.append(AROUND[word][1])
        return AROUND[word][0]
    if word in OPENS:
        return OPENS[word]
    if word in CLOSES:
        return CLOSES[word]
    if word == "Nm" and last and about:
        return about.get("called", "")
    if word == "Nd":
        return "—"
    if word == "Fl" and last:
        return "-"
    if word == "Ar" and last:
        return "file ..."
    return SYSTEMS.get(word, "")
