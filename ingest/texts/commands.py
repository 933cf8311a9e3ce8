"""LaTeX's commands and environments by what becomes of them: left out, a heading, a list, a formula, or no text at all."""

import re

CUT = {
    "figure": "figure", "figure*": "figure", "wrapfigure": "figure", "SCfigure": "figure", "SCfigure*": "figure", "sidewaysfigure": "figure",
    "marginfigure": "figure", "tikzpicture": "figure", "picture": "figure", "pspicture": "figure", "subfigure": "figure", "teaserfigure": "figure",
    "table": "table", "table*": "table", "wraptable": "table", "sidewaystable": "table", "sidewaystable*": "table", "tabular": "table", "tabular*": "table",
    "tabularx": "table", "longtable": "table", "deluxetable": "table", "deluxetable*": "table", "splitdeluxetable": "table", "splitdeluxetable*": "table",
    "threeparttable": "table", "tabbing": "table", "supertabular": "table", "margintable": "table", "tblr": "table",
    "algorithm": "algorithm", "algorithm*": "algorithm", "algorithmic": "algorithm", "algorithm2e": "algorithm",
    "thebibliography": "references", "references": "references", "acknowledgments": "acknowledgements", "acknowledgements": "acknowledgements",
    "acknowledgment": "acknowledgements", "acknowledgement": "acknowledgements", "ack": "acknowledgements", "acks": "acknowledgements", "CCSXML": "keywords",
    "keywords": "keywords", "keyword": "keywords", "IEEEkeywords": "keywords", "comment": "comment", "filecontents": "file", "filecontents*": "file",
}  # fmt: skip
"""Environments that are left out, and what `media.mime` calls them: application/x-latex-<name>."""
MATH = ("equation", "align", "gather", "multline", "eqnarray", "displaymath", "math", "flalign", "alignat", "xalignat", "dmath", "IEEEeqnarray", "dgroup",
    "empheq")
LISTS = ("itemize", "enumerate", "description", "compactitem", "compactenum", "inparaenum", "inparaitem", "list", "enumerate*", "itemize*", "tablenotes")
ARGUMENTS = {
    "minipage": 1, "multicols": 1, "adjustbox": 1, "wrapfig": 1, "restatable": 2, "spacing": 1, "otherlanguage": 1, "column": 1, "CJK": 2,
    "adjustwidth": 2, "changemargin": 2, "addmargin": 1, "varwidth": 1, "turn": 1, "rotate": 1,
}  # fmt: skip
"""What an environment that stays takes in braces, which is no text."""
INLINE = ("document", "center", "subequations", "small", "footnotesize", "sloppypar", "appendices")
"""Environments that begin and end no paragraph."""
HEADINGS = {"part": 1, "chapter": 1, "section": 1, "subsection": 2, "subsubsection": 3, "paragraph": 4, "subparagraph": 5}
THEOREMS = {
    "theorem": "Theorem", "thm": "Theorem", "lemma": "Lemma", "lem": "Lemma", "proposition": "Proposition", "prop": "Proposition", "corollary": "Corollary",
    "cor": "Corollary", "definition": "Definition", "defn": "Definition", "defi": "Definition", "remark": "Remark", "rmk": "Remark", "rem": "Remark",
    "example": "Example", "conjecture": "Conjecture", "claim": "Claim", "proof": "Proof", "assumption": "Assumption", "observation": "Observation",
    "problem": "Problem", "question": "Question", "fact": "Fact", "notation": "Notation", "exercise": "Exercise",
}  # fmt: skip
NOTHING = {                                                  # how many arguments go with a command that is no text
    "label": 1, "vspace": 1, "hspace": 1, "vskip": 0, "index": 1, "thanks": 1, "todo": 1, "pagestyle": 1, "thispagestyle": 1, "bibliographystyle": 1,
    "setlength": 2,
    "addtolength": 2, "setcounter": 2, "addtocounter": 2, "newtheorem": 2, "theoremstyle": 1, "usepackage": 1, "RequirePackage": 1, "documentclass": 1,
    "graphicspath": 1, "hypersetup": 1, "input": 1, "include": 1, "newcolumntype": 2, "definecolor": 3, "color": 1, "rowcolor": 1, "cellcolor": 1, "lstset": 1,
    "captionsetup": 1, "newlength": 1, "newcounter": 1, "numberwithin": 2, "allowdisplaybreaks": 0, "affiliation": 1, "affil": 1, "address": 1, "email": 1,
    "institute": 1, "date": 1, "orcid": 1, "orcidID": 1, "corref": 1, "cortext": 1, "fntext": 1, "ead": 1, "markboth": 2, "pacs": 1, "keywords": 1,
    "preprint": 1,
    "caption": 1, "captionof": 2, "footnotemark": 0, "rule": 2, "phantom": 1, "vphantom": 1, "hphantom": 1, "hyphenation": 1, "DeclareGraphicsExtensions": 1,
    "newenvironment": 3, "renewenvironment": 3, "newenvironment*": 3, "newtheorem*": 2, "stepcounter": 1, "refstepcounter": 1, "bibliographyfullstrut": 0,
    "makeatletter": 0, "fontsize": 2, "cmidrule": 1, "cline": 1, "institution": 1, "city": 1, "country": 1, "authornote": 1, "ccsdesc": 1, "received": 1,
    "IEEEPARstartWORDCAPSTYLE": 0, "nocite": 1, "addcontentsline": 3, "AtBeginDocument": 1, "pdfbookmark": 2, "enlargethispage": 1, "hskip": 0, "kern": 0,
    "newif": 1, "newsavebox": 1, "selectlanguage": 1, "foreignlanguage": 1, "arraystretch": 0, "tablenotetext": 2, "tablenotemark": 1, "facilities": 1,
    "software": 1, "acknowledgmentsname": 0, "special": 1, "vspace*": 1, "hspace*": 1, "author": 1, "title": 1, "subtitle": 1, "shorttitle": 1,
    "shortauthors": 1,
    "newmacro": 2, "ensurenothing": 0, "GenericError": 4, "textfloatsep": 0, "setkeys": 2, "urlstyle": 1, "tikzset": 1, "usetikzlibrary": 1, "vadjust": 1,
}  # fmt: skip
LAST = {"textcolor": 2, "colorbox": 2, "href": 2, "parbox": 2, "makebox": 1, "framebox": 1, "raisebox": 2, "resizebox": 3, "scalebox": 2, "rotatebox": 2,
        "texorpdfstring": 2, "multicolumn": 3, "multirow": 3, "hyperref": 1, "hyperlink": 2, "hypertarget": 2, "adjustbox": 2, "fcolorbox": 3,
    "foreignlanguage": 2,
        "settowidth": 2, "bmhead": 1, "subfloat": 1, "IEEEauthorblockN": 1}  # fmt: skip
"""Commands of whose arguments the last is text."""
CITES = re.compile(r"^(?:[Cc]ite|(?:text|paren|auto|foot|full|super|no)cite|onlinecite|shortcite|supercite)[a-zA-Z]*\*?$")
REFS = re.compile(r"^(?:(?:eq|auto|[cC]|name|page|v|Auto|full|sub|th|fig|tab)?ref|labelcref|[cC]refrange)\*?$")
