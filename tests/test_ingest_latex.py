"""LaTeX as text: a golden paper, macros within bounds, bundles with paths that climb, and sources that mean harm."""

import gzip
import string
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.stage import Refused
from ingest import papers
from ingest.texts.accents import accented, marks
from ingest.texts.bundles import bundle_of, main_of, source_of
from ingest.texts.latex import paper_of
from ingest.texts.macros import expanded, tokens_of, without_comments
from tests.texts_making import bundle

PAPER = r"""\documentclass[11pt]{article} % a class
\usepackage[utf8]{inputenc}
\newcommand{\weir}{weir}
\newcommand{\half}[2][2]{\frac{#2}{#1}}
\def\vec#1{\mathbf{#1}}
\DeclareMathOperator{\head}{head}
\newtheorem{thm}{Theorem}
\title{Flow over \emph{broad} \weir s\thanks{Paid by the mill.}}
\author{Ada Sluice\thanks{Lock 4} \and Andr\'e L\"ock\\ Canal House}
\journal{Journal of Canals}\doi{10.5555/weir.9}
\begin{document}
\maketitle
\begin{abstract}
We measure how water flows over a broad \weir{}---``slowly''.
\end{abstract}
\section{Introduction}\label{sec:intro}
The discharge~$Q$ grows with the \textbf{head} \cite[ch.~2]{sluice1890, loeck1901} % as is known
 of 50\% or more: \(Q = C\vec{h}^{\half{3}}\).
It is na\"{\i}ve to say \verb|\weir{}| of it\footnote{Some do.}.

\begin{equation}\label{eq:law} Q = C\,h^{3/2} \quad\text{for $h > 0$} \nonumber \end{equation}
As \eqref{eq:law} in Section~\ref{sec:intro} and Figure~\ref{fig:weir} say:
\begin{itemize}
\item one of stone,
\item[(b)] two of \textit{oak}:
  \begin{enumerate} \item old \item new \end{enumerate}
\end{itemize}
\begin{figure}\includegraphics[width=3cm]{weir.pdf}\caption{A weir.}\label{fig:weir}\end{figure}
\iffalse This is gone. \else This stays. \fi
\begin{thm}[Keeper] Boards hold. \end{thm}
\subsection*{Of boards}
\begin{align} a &= b \\ c &= d \end{align}
{\bf Then} \unknowncommand[opt]{kept words} and \'Etienne \o ysters \& \href{https://canal.example}{a link}.
\begin{verbatim}
\weir % as it stands
\end{verbatim}
\begin{table}\begin{tabular}{ll} 1 & 2 \end{tabular}\end{table}
\begin{thebibliography}{9}
\bibitem{loeck1901} L\"ock, 1901.
\bibitem{sluice1890} Sluice, 1890.
\end{thebibliography}
\end{document}
What stands behind is no part of it.
"""
TEXT = r"""# Flow over broad weirs

## Abstract

We measure how water flows over a broad weir—“slowly”.

## Introduction

The discharge $Q$ grows with the head [2, 1, ch. 2] of 50% or more: $Q = C\mathbf{h}^{\frac{3}{2}}$. It is naïve to say \weir{} of it.

$$Q = C\,h^{3/2} \quad\text{for \(h > 0\)}$$

As (1) in Section 1 and Figure 1 say:

- one of stone,

- (b) two of oak:
  - old
  - new

This stays.

Theorem (Keeper). Boards hold.

### Of boards

$$\begin{align} a &= b \\ c &= d \end{align}$$

Then kept words and Étienne øysters & a link.

```
\weir % as it stands
```"""


def read(path: Path) -> dict[str, Any]:
    (found,) = papers.read(str(path))
    assert isinstance(found, dict), found
    return found


def test_a_golden_paper(tmp_path: Path) -> None:
    (tmp_path / "2208.13922v1.tex").write_text(PAPER)
    found = read(tmp_path / "2208.13922v1.tex")
    assert found["text"] == TEXT
    assert (found["title"], found["author"], found["uri"]) == ("Flow over broad weirs", "Ada Sluice; André Löck", "https://doi.org/10.5555/weir.9")
    assert found["facts"] == {"doi": "10.5555/weir.9", "venue": "Journal of Canals"}
    places = [(gone["mime"].rpartition("-")[2], found["text"][: gone["span"]["start"]][-8:]) for gone in found["media"]]
    assert places == [("footnotes", "\\weir{} of it"[-8:]), ("figure", " - new\n\n"), ("table", "ands\n```"), ("references", "ands\n```")]


def test_a_section_without_a_frame_is_read_whole() -> None:
    assert paper_of("\\section{One}\nText.\n\n\\section{Two}\nMore $x$.")[1] == "# One\n\nText.\n\n# Two\n\nMore $x$."


@pytest.mark.parametrize(("source", "text"), [
    (r"\newcommand{\a}[1]{<#1>}\a{x} \a y", "<x> <y>"),
    (r"\newcommand\a{b}\renewcommand{\a}{c}\a", "c"),
    (r"\def\pair#1#2{(#1, #2)}\pair{1}{2}\pair34", "(1, 2)(3, 4)"),
    (r"\let\old=\emph \old{x}", "x"),
    (r"\newcommand{\opt}[2][z]{#1#2}\opt{a} \opt[b]{c}", "za bc"),
    (r"\newcommand{\out}{\newcommand{\inner}{deep}}\out\inner", "deep"),
    (r"\def\me{\me x}\me", ""),
    (r"\def\x[#1]{odd}a\x", "a"),
    (r"100\% of it % a comment", "100% of it"),
    ("one %\n  two", "one two"),
    (r"\iftrue yes\else no\fi", "yes"),
    (r"a {\em b} c \textcolor{red}{d}", "a b c d"),
    (r"$a$ and \$5 and $ lone", "$a$ and $5 and lone"),
    (r"\begin{figure*} never closed", ""),
    ("\\emph{never closed\n\nnext paragraph", "never closed\n\nnext paragraph"),
    (r"\cite{b} and \citep[see][p. 2]{a,b}", "[1] and [2, 1, see, p. 2]"),
    (r"\url{http://a.example/\_x} \texttt{a\_b}", "http://a.example/_x a_b"),
    ("a--b---c ``d'' `e'", "a–b—c “d” ‘e’"),
    (r"\newcommand{\ours}{WeirNet\xspace}\ours is it, and \ours, {\ours} too", "WeirNet is it, and WeirNet, WeirNet too"),
    (r"\newcommand{\eps}{\epsilon}$\eps x$ and \(\eps y\)", r"$\epsilon x$ and $\epsilon y$"),
    (r"\newcommand{\m}[1]{\mathcal#1}$\m{a}$", r"$\mathcal a$"),
    (r"see \url{http://a.example/b%20c} and % a comment", "see http://a.example/b%20c and"),
    (r"$a$$b$ c", "$a$$b$ c"), (r"$x \text{ if $y$}$ z", r"$x \text{ if \(y\)}$ z"), (r"$x { $ z", "$x {$ z"),
    (r"gates, \eg sluices, locks, \etc. So \etal say", "gates, e.g. sluices, locks, etc. So et al. say"),
    (r"\begin{spacing}{1.5}One.\end{spacing} Two.", "One.\n\nTwo."), ("\\begin{quote}One.\n\\end{quote}\nTwo.", "One.\n\nTwo."),
    (r"\SI{3}{\kilo\metre\per\second} of it", "3 kilometre per second of it"),
    ("\\begin{verbatim}\n```\n\\end{verbatim}", "````\n```\n````"),
])
def test_small_sources(source: str, text: str) -> None:
    assert paper_of(source)[1].strip() == text


def test_macros_that_call_each_other_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tex").write_text(r"\newcommand{\a}{\b}\newcommand{\b}{\a}word \a")
    (found,) = papers.read(str(tmp_path / "a.tex"))
    assert isinstance(found, Refused) and (found.reason, found.error) == ("too_large", "its macros grow without end")


def test_letters_with_accents() -> None:
    assert [accented(*pair) for pair in (("'", "e"), ('"', "o"), ("c", "c"), ("v", "s"), ("H", "o"), ("~", "n"), ("'", "ı"))] == list("éöçšőñí")
    source = "\\'e \\'{e} \\^{\\i} \\c{c} \\v s \\H{o} \\ss{} \\aa ngstr\\\"om \\L{}\\'od\\'z"
    assert paper_of(source)[1] == "é é î ç š ő ß ångström Łódź"
    assert marks("it's") == "it’s"


def test_comments_go_and_what_looks_like_one_stays() -> None:
    kept: list[str] = []
    assert without_comments("a % b\nc \\% d \\\\% e\n\\verb|%| f", kept) == "a c \\% d \\\\\n\\KeptVerbatim{0} f"
    assert without_comments("a\n% \\verb|x\nb|", []) == "a\nb|" and kept == ["\\verb|%|"]


@pytest.mark.parametrize("source", [
    r"\def\a{xx}\def\b{\a\a\a\a\a\a\a\a\a\a}\def\c{\b\b\b\b\b\b\b\b\b\b}\def\d{\c\c\c\c\c\c\c\c\c\c}\def\e{\d\d\d\d\d\d\d\d\d\d}\def\f{\e\e\e\e\e\e\e\e\e\e}\f\f\f",
    r"\def\x{\x\x}\x", r"\newcommand{\y}[1]{\y{#1#1}}\y{a}", "{" * 100_000, "\\emph{" * 50_000, "\\begin{itemize}\\item " * 20_000, "$" * 100_001,
    "\\" * 99_999,
    "\\begin{equation}" * 20_000, "[" * 100_000, "\\cite[" * 50_000, "\\newcommand{" * 50_000, "\\iffalse " * 50_000, "%\n" * 100_000, "\\verb|" * 50_000,
    "\\begin{verbatim}" * 30_000, "\\section{" * 50_000, "\\'" * 100_000, "~" * 200_000, "\\label{" * 50_000, "\\def\\a#1{" * 30_000, "\\item[" * 50_000,
    "\\begin{abstract}" * 30_000, "\\title{" * 30_000, "\\author{" * 30_000,
    "\\section{a\n" * 30_000, "\\footnote{a\n" * 30_000, "\\cite[a\n" * 30_000, "\\newcommand{\\a}{b\n" * 20_000, "\\abstract " * 50_000,
    "\\href{u}{a " * 8_000, "\\href{u}{a " * 8_000 + "}" * 8_000,
    "${ " * 100_000, "${$ a b " * 50_000, "$ some words of the text " * 30_000,
    "".join(f"\\verb{chr(0x2200 + i)}" for i in range(200)) + "a" * 1_000_000,
], ids=lambda source: str(source)[:18])  # fmt: skip
def test_a_hostile_source_ends(source: str) -> None:
    started = time.monotonic()
    try:
        paper_of(source)[0].authors()
    except ValueError as error:
        assert str(error).startswith("too_large: its macros")
    assert time.monotonic() - started < 20


PIECES = st.sampled_from([
    "\\section{", "\\begin{", "\\end{", "itemize}", "equation}", "figure}", "\\item", "$", "$$", "\\[", "\\]", "{", "}", "[", "]", "%", "\n\n", "\n",
    "\\def\\a", "#1",
    "\\newcommand{\\b}[2]", "\\a", "\\b", "\\cite{", "x", " word ", "\\footnote{", "\\verb|", "|", "\\'", "\\\\", "&", "~", "\\let", "\\iffalse", "\\fi",
    "\\else",
    "\\bibitem{", "\\input{", "verbatim}", "é", "\ue000", "\x0b",
])


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.lists(PIECES, max_size=40).map("".join), st.text(alphabet=string.printable, max_size=200)))
def test_any_source_is_read(source: str) -> None:
    try:
        _, text, media = paper_of(source)
    except ValueError as error:
        assert str(error).startswith("too_large: its macros")
        return
    assert all(0 <= gone["span"]["start"] == gone["span"]["end"] <= len(text) for gone in media)
    assert len(expanded(tokens_of(source))) < 2_000_000


@settings(max_examples=150, deadline=None)
@given(at=st.integers(0, len(PAPER)), cut=st.integers(0, 60), said=st.text(alphabet="\\{}[]$%#&~abc\n", max_size=8))
def test_a_spoilt_paper_is_read(at: int, cut: int, said: str) -> None:
    paper_of(PAPER[:at] + said + PAPER[at + cut :])


def test_a_bundle_is_read_from_its_main_file(tmp_path: Path) -> None:
    files = {
        "paper/ms.tex": "\\documentclass{a}\\begin{document}\\section{A}\nOne \\cite{k2}.\n\\input{parts/two}\n%\\input{parts/gone}\n"
        "\\include{parts/three.tex}\\end{document}",
        "paper/parts/two.tex": "Two. \\input{../parts/four}", "paper/parts/three.tex": "Three.", "paper/parts/gone.tex": "Gone.",
        "paper/parts/four.tex": "Four.",
        "paper/ms.bbl": "\\bibitem[A(1)]{k1} x \\bibitem{k2} y", "other.tex": "\\section{Other}", "fig.pdf": b"%PDF", "paper/ms.aux": "noise",
    }
    for path in (bundle(tmp_path / "2208.00001.tar.gz", files), bundle(tmp_path / "2208.00001.gz", files), bundle(tmp_path / "a.tar", files, packed=False)):
        assert read(path)["text"] == "# A\n\nOne [2]. Two. Four. Three."
    assert read(tmp_path / "2208.00001.gz")["uri"] == "https://arxiv.org/abs/2208.00001"
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"\\section{A} One."))
    assert read(tmp_path / "b.gz")["text"] == "# A\n\nOne."


def test_the_main_file_is_as_the_readme_says(tmp_path: Path) -> None:
    files = {name: f"\\documentclass{{a}}\\begin{{document}}In {name}.\\end{{document}}" for name in ("a.tex", "b.tex", "main.tex")}
    assert main_of(bundle_of(str(bundle(tmp_path / "a.tar.gz", files)))) == "main.tex"
    assert main_of(bundle_of(str(bundle(tmp_path / "b.tar.gz", {**files, "00README": "b.tex toplevelfile\n"})))) == "b.tex"
    readme = '{"sources": [{"usage": "toplevel", "filename": "a.tex"}]}'
    assert main_of(bundle_of(str(bundle(tmp_path / "c.tar.gz", {**files, "00README.json": readme})))) == "a.tex"


def test_a_bundle_that_climbs_or_turns_in_circles(tmp_path: Path) -> None:
    main = "\\begin{document}One. \\input{../../../etc/passwd} \\input{/etc/passwd} \\input{ms} \\input{b} Two.\\end{document}"
    files = {"../evil.tex": "Evil.", "ms.tex": main, "b.tex": "B \\input{ms} \\input{b}."}
    found = list(papers.read(str(bundle(tmp_path / "a.tar.gz", files))))
    assert [row.reason for row in found if isinstance(row, Refused)] == ["unsafe_path"]
    (row,) = [row for row in found if isinstance(row, dict)]
    assert row["text"].split()[0] == "One." and row["text"].endswith("Two.") and "root" not in row["text"] and "Evil" not in row["text"]


def test_a_licence_is_what_the_paper_says_of_itself(tmp_path: Path) -> None:
    frame = "%% This template: https://creativecommons.org/licenses/by-nc-sa/3.0/\n\\documentclass{a}%s\\begin{document}One.\\section{A}%s\\end{document}"
    data = r"Our data are under \url{https://creativecommons.org/licenses/by-nd/4.0/}."
    own = r"\thanks{Licensed under \href{https://creativecommons.org/licenses/by/4.0/}{CC BY}}"
    for stated, name in (("", None), (own, "CC-BY-4.0"), (r"\setcctype{by-nc}", "CC-BY-NC-4.0"), (r"\setcctype[3.0]{by}", "CC-BY-3.0")):
        (tmp_path / "a.tex").write_text(frame % (stated, data))
        assert read(tmp_path / "a.tex")["license"] == name


@pytest.mark.parametrize("source", [
    "\\bibitem" + " " * 300_000, "\\bibitem[" * 100_000, "\\input{" + " " * 300_000, "\\input{ms} " * 100_000, "\\input{gone} " * 100_000,
    "\\begin" * 200_000, "\\bibitem[" + "{a}" * 100_000, "\\import{" * 100_000,
], ids=lambda source: str(source)[:12])
def test_a_hostile_bundle_ends(tmp_path: Path, source: str) -> None:
    started = time.process_time()
    files = {"ms.tex": "\\documentclass{a}\\begin{document}" + source + "\\end{document}", "b.tex": source}
    found = list(papers.read(str(bundle(tmp_path / "a.tar", files, packed=False))))
    assert found and time.process_time() - started < 20


def test_files_without_a_word_that_read_each_other_in_are_refused(tmp_path: Path) -> None:
    files = {f"f{i}.tex": f"\\input{{f{i + 1}}}" * 10 for i in range(12)} | {"f12.tex": "", "ms.tex": "\\begin{document}\\input{f0}\\end{document}"}
    with pytest.raises(ValueError, match="too_large"):
        source_of(bundle_of(str(bundle(tmp_path / "a.tar.gz", files))), "ms.tex")


def test_bombs_are_bounded(tmp_path: Path) -> None:
    twice = {f"f{i}.tex": f"\\input{{f{i + 1}}}" * 10 for i in range(9)} | {"f9.tex": "x" * 1000, "ms.tex": "\\begin{document}\\input{f0}\\end{document}"}
    held = bundle_of(str(bundle(tmp_path / "a.tar.gz", twice)))
    with pytest.raises(ValueError, match="too_large"):
        source_of(held, "ms.tex")
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"a" * (64 << 20)))
    (tmp_path / "c.gz").write_bytes(gzip.compress(b"\\section{A}")[:-6])
    (tmp_path / "d.gz").write_bytes(gzip.compress(b"%PDF-1.4"))
    (tmp_path / "e.tex").write_text("no markup")
    bundle(tmp_path / "f.tar.gz", {"a.png": b"x"})
    reasons = []
    for name in "bcdef":
        (path,) = tmp_path.glob(f"{name}.*")
        (found,) = papers.read(str(path))
        assert isinstance(found, Refused)
        reasons.append(found.reason)
    assert reasons == ["too_large", "corrupt_archive", "not_latex", "not_latex", "not_latex"]


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("any")
    for name in ("a.tex", "a.gz", "a.tar", "a.xml", "a.txt"):
        (folder / name).write_bytes(data)
        (folder / f"b{name}").write_bytes(gzip.compress(data))
        for path in (folder / name, folder / f"b{name}"):
            assert all(isinstance(found, dict | Refused) for found in papers.read(str(path)))
