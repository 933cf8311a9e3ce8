"""Reference works: wikis, RFCs, manual pages, dictionaries, questions; each as it should be read, and as hostile hands would write it."""

import bz2
import gzip
import lzma
import resource
import time
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.stage import Refused
from ingest.entries import wikitext
from ingest.entries.man import manual
from ingest.entries.questions import html_text
from ingest.entries.rfc import memo
from ingest.reference import read

WIKI = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" xml:lang="en"><siteinfo><base>https://en.wikipedia.org/wiki/Main_Page</base>
<namespaces><namespace key="6">Datei</namespace><namespace key="14">Category</namespace></namespaces></siteinfo>%s</mediawiki>"""
PAGE = "<page><title>%s</title><ns>%d</ns><id>%d</id>%s<revision><timestamp>2024-02-03T04:05:06Z</timestamp><text>%s</text></revision></page>"
SOURCE = """{{Infobox lock|name=A}}
A '''lock''' is a [[chamber]] with [[gate|gates]],<ref name="a">{{cite book|title=X}}</ref> {{convert|12|m|ft}} long,
in Dutch ''{{lang|nl|sluis}}'' ({{IPA|x}}).<!-- no -->
[[Datei:Lock.jpg|thumb|A [[lock]]]]

== Parts ==
* the ''upper'' gate
** its [[paddle]]
* the {{nowrap|lower gate}}

{| class="wikitable"
|+ Caption
! Name !! Rise
|-
| Foxton || 23&nbsp;m
|}
So <math>x^2</math> {{ndash}} <nowiki>[[raw]]</nowiki>, {{unknown|box}}done.
<syntaxhighlight lang="py">
if a:
    b = 1
</syntaxhighlight>
== References ==
{{reflist}}
[[Category:Locks]] [[de:Schleuse]]"""
TEXT = """# Lock

A lock is a chamber with gates, 12 m long, in Dutch sluis.

## Parts

- the upper gate
  - its paddle
- the lower gate

| Name | Rise |
| Foxton | 23 m |

So $x^2$ – [[raw]], done.

```
if a:
    b = 1
```"""
POSTS = """<?xml version="1.0" encoding="utf-8"?>
<posts>
<row Id="2" PostTypeId="2" ParentId="1" CreationDate="2012-07-09T19:05:57" Score="30" Body="&lt;p&gt;With force.&lt;/p&gt;" OwnerDisplayName="Ann"/>
<row Id="1" PostTypeId="1" AcceptedAnswerId="3" CreationDate="2010-07-09T19:05:57" Score="10" Body="&lt;p&gt;How &lt;b&gt;so&lt;/b&gt;?&lt;/p&gt;"
 OwnerUserId="8" Title="Locks" Tags="&lt;a&gt;&lt;b-c&gt;"/>
<row Id="3" PostTypeId="2" ParentId="1" CreationDate="2020-07-09T19:05:57" Score="2"
 Body="&lt;ul&gt;&lt;li&gt;one&lt;/li&gt;&lt;li&gt;two&lt;/li&gt;&lt;/ul&gt;" ContentLicense="CC BY-SA 4.0"/>
<row Id="4" PostTypeId="2" ParentId="1" Score="-2" Body="&lt;p&gt;No.&lt;/p&gt;"/><row Id="5" PostTypeId="1" Body="&lt;p&gt;Why?&lt;/p&gt;" Title="T"/>
<row Id="6" PostTypeId="2" ParentId="77" Body="x"/><row Id="7" PostTypeId="5" Body="tag"/>
</posts>"""
RFC = """Network Working Group                                          A. Sluice
Request for Comments: 9998                                   Canal Works
Category: Informational                                     B. Weir, Ed.
                                                            January 2021

                  The Lock Keeper's Protocol (LKP)
                    and its Gates

Status of This Memo

   This memo is a standard.

Table of Contents

   1.  Introduction ............................................. 1

1.  Introduction

   A paragraph that is
   cut by the end of



Sluice & Weir                Informational                      [Page 1]
\f
RFC 9998                       Lock Keeper                  January 2021


   a page goes on.

   o  The level is
      read.

1.1.  Terms

   +------+     +------+
   | gate | --> | lock |
   +------+     +------+
"""
MAN = r""".\" SPDX-License-Identifier: MIT
.TH WEIR 1 2020\-05\-06 "Weir 1.0"
.SH NAME
weir \- open \fIand\fR close
.SH OPTIONS
.TP
.BR \-l , " \-\-level" =\fIN\fP
The level,
in metres.
.IP \(bu 2
A point.
.if t \{\
For a printer.
.\}
.ie n For a terminal.
.el For paper.
.SH EXAMPLE
.nf
weir \-l 3
  done
.fi
.SS "A \*(lqnote\*(rq"
.de XX
hidden
..
Caf\['e] \[u00FC].
"""
MDOC = """.Dd May 6, 2020
.Dt SLUICE 8
.Os
.Sh NAME
.Nm sluice
.Nd let water through
.Sh SYNOPSIS
.Nm
.Op Fl l Ar level
.Sh DESCRIPTION
See
.Xr weir 1 ,
or
.Dq open it .
.Bl -tag
.It Fl l Ar level
The level.
.El
"""


def found(path: Path, **knobs: Any) -> tuple[list[dict[str, Any]], list[str]]:
    rows = list(read(str(path), **knobs))
    return [row for row in rows if isinstance(row, dict)], [row.reason for row in rows if isinstance(row, Refused)]


def escaped(source: str) -> str:
    return source.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


@pytest.mark.parametrize("end", [".xml", ".xml-p1p41242.bz2", ".xml.gz"])
def test_a_wiki(tmp_path: Path, end: str) -> None:
    pages = PAGE % ("Lock", 0, 12, "", escaped(SOURCE)) + PAGE % ("Sluice", 0, 13, '<redirect title="Lock"/>', "x") + PAGE % ("Talk:Lock", 1, 14, "",
        "hi") + PAGE % ("Empty", 0, 15, "", "{{x}}")
    pack: Callable[[bytes], bytes] = {".xml": bytes, ".xml-p1p41242.bz2": bz2.compress, ".xml.gz": gzip.compress}[end]
    (tmp_path / f"wiki{end}").write_bytes(pack((WIKI % pages).encode()))
    (row,), refused = found(tmp_path / f"wiki{end}")
    assert row["text"] == TEXT
    assert (row["uri"], row["title"], row["date"], row["license"], row["lang"]) == ("https://en.wikipedia.org/wiki/Lock", "Lock", date(2024, 2, 3),
        "CC-BY-SA-4.0", "en")
    assert refused == ["redirect", "namespace", "no_text"]
    assert [row["title"] for row in found(tmp_path / f"wiki{end}", namespaces=[0, 1])[0]] == ["Lock", "Talk:Lock"]


def test_a_wiki_that_means_harm(tmp_path: Path) -> None:
    nests = ["{{" * 50_000, "[[" * 50_000, "''" * 50_000, "{|\n" * 20_000, "<div>" * 20_000, "{{{" * 30_000 + "}}}" * 30_000, "==" * 50_000, "<ref>" * 20_000]
    pages = "".join(PAGE % (f"P{i}", 0, i, "", escaped(nest)) for i, nest in enumerate(nests)) + PAGE % ("Good", 0, 99, "", "A lock.")
    (tmp_path / "w.xml").write_text(WIKI % pages)
    rows, refused = found(tmp_path / "w.xml", seconds=3.0)
    assert rows[-1]["text"] == "# Good\n\nA lock." and len(rows) + len(refused) == len(nests) + 1
    (tmp_path / "w.xml").write_text(WIKI % ("<page>" + "<x/>" * 150_000 + "</page>"))
    assert found(tmp_path / "w.xml") == ([], ["too_many_elements"])
    (tmp_path / "w.xml").write_text('<!DOCTYPE m [<!ENTITY a "aaa">]>' + WIKI % "")
    assert found(tmp_path / "w.xml") == ([], ["entities"])
    (tmp_path / "w.xml.gz").write_bytes(gzip.compress((WIKI % (PAGE % ("Good", 0, 9, "", "A lock. " * 9000))).encode())[:-12])
    assert Counter(found(tmp_path / "w.xml.gz")[1]).keys() <= {"not_xml", "corrupt_archive"}


def test_a_wiki_of_whole_histories(tmp_path: Path) -> None:
    """The last revision of a page is its text, and those before it are let go of."""
    old = "<revision><id>1</id><timestamp>2004-02-03T04:05:06Z</timestamp><contributor><ip>x</ip></contributor><text>Old.</text></revision>"
    new = "<revision><timestamp>2024-02-03T04:05:06Z</timestamp><text>New.</text></revision>"
    page = f"<page><title>Lock</title><ns>0</ns><id>12</id>{old * 30_000}{new}</page>"
    (tmp_path / "history.xml").write_text(WIKI % (page + PAGE % ("Gate", 0, 13, "", "A gate.")))
    rows, refused = found(tmp_path / "history.xml")
    assert [(row["text"], row["date"]) for row in rows] == [("# Lock\n\nNew.", date(2024, 2, 3)), ("# Gate\n\nA gate.", date(2024, 2, 3))] and not refused


@pytest.mark.parametrize(("base", "license"), [("https://de.wikipedia.org/wiki/A", "CC-BY-SA-4.0"), ("https://en.wikinews.org/wiki/A", None),
    ("https://notwikipedia.org/wiki/A", None)])
def test_whose_licence_is_known(tmp_path: Path, base: str, license: str | None) -> None:
    (tmp_path / "w.xml").write_text(WIKI.replace("https://en.wikipedia.org/wiki/Main_Page", base) % (PAGE % ("Lock", 0, 12, "", "A lock.")))
    assert found(tmp_path / "w.xml")[0][0]["license"] == license


def test_code_in_an_answer_is_as_it_was() -> None:
    said = html_text("<h1>Why</h1><pre><code># a comment\nx = 1\n## two\n</code></pre><h2>So</h2>")
    assert said == "### Why\n```\n# a comment\nx = 1\n## two\n```\n#### So"


def test_posts_without_numbers_are_counted(tmp_path: Path) -> None:
    rows = '<row PostTypeId="1" Body="Why?"/><row Id="5" PostTypeId="2" ParentId="9" Body="x"/><row Id="6" PostTypeId="2" Body="x"/>'
    (tmp_path / "Posts.xml").write_text(f"<posts>{rows}</posts>")
    assert Counter(found(tmp_path / "Posts.xml")[1]) == {"no_answer": 1, "no_question": 2}


def test_questions(tmp_path: Path) -> None:
    folder = tmp_path / "cooking.stackexchange.com"
    folder.mkdir()
    (folder / "Posts.xml").write_text(POSTS)
    (row,), refused = found(folder / "Posts.xml")
    assert row["text"] == "# Locks\n\nHow so?\n\nTags: a, b-c\n\n## Answer\n\n- one\n- two\n\n## Answer\n\nWith force."
    assert (row["uri"], row["author"], row["date"]) == ("https://cooking.stackexchange.com/q/1", "user 8; Ann", date(2010, 7, 9))
    assert row["license"] == "CC-BY-SA-2.5 AND CC-BY-SA-3.0 AND CC-BY-SA-4.0"
    assert refused == ["post_type", "no_answer", "no_question"]
    assert found(folder / "Posts.xml", answers=1)[0][0]["text"].count("## Answer") == 1


def test_an_rfc(tmp_path: Path) -> None:
    (tmp_path / "rfc9998.txt").write_text(RFC)
    ((row,), _) = found(tmp_path / "rfc9998.txt")
    assert row["text"] == (
        "# RFC 9998: The Lock Keeper's Protocol (LKP) and its Gates\n\n## 1. Introduction\n\n"
        "A paragraph that is cut by the end of a page goes on.\n\n- The level is read.\n\n"
        "### 1.1. Terms\n\n```\n+------+     +------+\n| gate | --> | lock |\n+------+     +------+\n```"
    )  # fmt: skip
    assert (row["uri"], row["author"], row["date"]) == ("https://www.rfc-editor.org/rfc/rfc9998", "A. Sluice; B. Weir", date(2021, 1, 1))


def test_manual_pages(tmp_path: Path) -> None:
    (tmp_path / "weir.1.gz").write_bytes(gzip.compress(MAN.encode()))
    ((row,), _) = found(tmp_path / "weir.1.gz")
    assert row["text"] == (
        "# weir(1)\n\n## NAME\n\nweir - open and close\n\n## OPTIONS\n\n- -l, --level=N: The level, in metres.\n- A point. For a terminal.\n\n"
        "## EXAMPLE\n\n```\nweir -l 3\n  done\n```\n\n"
        "### A “note”\n\nCafé ü."
    )  # fmt: skip
    assert (row["uri"], row["title"], row["date"], row["license"]) == ("man:weir(1)", "weir(1)", date(2020, 5, 6), "MIT")
    (tmp_path / "sluice.8").write_text(MDOC)
    ((row,), _) = found(tmp_path / "sluice.8")
    assert row["text"] == (
        "# sluice(8)\n\n## NAME\n\nsluice — let water through\n\n## SYNOPSIS\n\nsluice [-l level]\n\n"
        "## DESCRIPTION\n\nSee weir(1), or “open it”.\n\n  - -l level: The level."
    )
    for name, said, reason in (("so.1", ".so man1/weir.1\n", "redirect"), ("no.3", "nothing\n", "not_man"), ("bare.2", ".TH A 2\n", "no_text")):
        (tmp_path / name).write_text(said)
        assert found(tmp_path / name) == ([], [reason])


def test_dictionaries(tmp_path: Path) -> None:
    entries = [("00-database-info", "about"), ("lock", "lock\n   A chamber\n   with gates.\n\n   1. Of water."), ("sluice", "sluice\n  A gate.")]
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    body, lines = b"", []
    for word, text in entries:
        lines.append(f"{word}\t{digits[len(body) // 64]}{digits[len(body) % 64]}\t{digits[len(text)]}\n")
        body += text.encode()
    (tmp_path / "canal.index").write_text("".join(lines) + "bad\t!!\tA\nlockage\tAF\t" + lines[1].split("\t")[2])
    (tmp_path / "canal.dict.dz").write_bytes(gzip.compress(body))
    rows, refused = found(tmp_path / "canal.index", license="GPL-2.0-only")
    assert [(row["uri"], row["text"], row["license"]) for row in rows] == [
        ("dict:canal/lock", "# lock\n\nA chamber with gates.\n\n1. Of water.", "GPL-2.0-only"), ("dict:canal/sluice", "# sluice\n\nA gate.", "GPL-2.0-only"),
    ]  # fmt: skip
    assert Counter(refused) == {"bad_entry": 1, "apparatus": 1}
    assert found(tmp_path / "canal.dict.dz") == ([], [])
    synset = '00001740 03 n 02 lock_gate 0 gate 1 001 ~ 00001930 n 0000 | what closes a lock; "the gate is open"'
    (tmp_path / "data.noun").write_text(f"  1 notice\n{synset}  \nbroken\n")
    ((row,), refused) = found(tmp_path / "data.noun")
    assert (row["text"], row["uri"], refused) == ('# lock gate, gate (noun)\n\nwhat closes a lock\n\n- "the gate is open"', "wordnet:n00001740",
        ["apparatus", "bad_entry"])


def test_tables_of_manual_pages(tmp_path: Path) -> None:
    table = """.TH A 1
.SH T
.TS
allbox tab(:);
lB lB
l l.
Name:Use
\\fBup\\fR:opens the gate.
T{
a long
cell
T}:as it stands.
_
.T&
l s
l.
closes it all.
.TE
Behind.
"""
    (tmp_path / "a.1").write_text(table.replace("\\\\", "\\"))
    ((row,), _) = found(tmp_path / "a.1")
    rows = "| Name | Use |\n| up | opens the gate. |\n| a long cell | as it stands. |\n| closes it all. |"
    assert row["text"] == f"# a(1)\n\n## T\n\n{rows}\n\nBehind."


def test_entries_that_lie_in_each_other_are_refused(tmp_path: Path) -> None:
    """A packed dictionary is read again from its start for each step back, and each such entry would be written."""
    (tmp_path / "d.index").write_text("a\tA\tK\nb\tB\tK\nc\tK\tE\nsame\tK\tE\nfar\t////////\tB\n")
    (tmp_path / "d.dict.dz").write_bytes(gzip.compress(b"an entry. sluice"))
    rows, refused = found(tmp_path / "d.index")
    assert ([row["title"] for row in rows], refused) == (["a", "c"], ["bad_entry", "bad_entry"])


def test_xml_that_is_no_catalogue_needs_no_memory(tmp_path: Path) -> None:
    (tmp_path / "x.xml.gz").write_bytes(gzip.compress(b"<a>" + b"<b/>" * 4_000_000 + b"</a>"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert found(tmp_path / "x.xml.gz") == ([], ["too_many_elements"])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10
    (tmp_path / "x.xml").write_text("<C>" + "<Weakness ID='1' Name='a'><Description>b</Description></Weakness>" * 60_000 + "</C>")
    assert len(found(tmp_path / "x.xml")[0]) == 60_000


FILES = {"a.xml": (WIKI % (PAGE % ("Lock", 0, 12, "", escaped(SOURCE)))).encode(), "Posts.xml": POSTS.encode(), "rfc1.txt": RFC.encode(), "a.1": MAN.encode(),
    "b.8": MDOC.encode(), "data.noun": b"00001740 03 n 01 a 0 000 | b"}


@given(st.sampled_from(sorted(FILES)), st.lists(st.tuples(st.integers(0, 5000), st.binary(max_size=6), st.integers(0, 60)), max_size=6))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_damaged_works_give_documents_or_reasons(tmp_path: Path, name: str, damage: list[tuple[int, bytes, int]]) -> None:
    data = FILES[name]
    for at, put, gone in damage:
        at %= len(data) + 1
        data = data[:at] + put + data[at + gone :]
    if name == "a.xml":                                      # the converter alone: a process for each would take minutes
        wikitext.convert(data, cut=["File"])
        return
    (tmp_path / name).write_bytes(data)
    for row in read(str(tmp_path / name)):
        assert isinstance(row, Refused) or row["text"].strip()


@given(st.lists(st.sampled_from([".TP", ".SH", "\n", " ", ".if n \\{", ".\\}", ".de X", "..", "\\f", "\\*(", "\\[", "\\h'", '"', ".IP", ".nf", ".TS", "T{",
    ".Bl", ".It", ".Fl", "Op", "a", "\\", ".ie t", ".el", ".Dd", "\x0c"]), max_size=80))
@settings(max_examples=200, deadline=None)
def test_any_macros_are_a_page(pieces: list[str]) -> None:
    for head in (".TH A 1\n", ".Dd x\n.Dt A 1\n"):
        assert manual(head + "".join(pieces), "a.1")


@pytest.mark.parametrize("line", ["\\" * 50_000, "\\h'" * 30_000, '.B "' + '"' * 50_000, ".if n " * 20_000, ".It Op " * 10_000, "\\*[" * 30_000,
    ".ie n .el " * 9000, "a" * 200_000, ". " * 60_000, "aaaaaaaaaaaaaaa\\\n" * 200_000,
    "".join(f"\\h{chr(0x4E00 + number)}" for number in range(20_000)), ".TS\nl.\n" + "a\t" * 60_000,
    '.TH A 1 "May' + " " * 90_000 + '!"', ".TS\ntab(" * 9000, ".Op " + "( " * 30_000])
def test_hostile_lines_take_no_time(line: str) -> None:
    start = time.process_time()
    manual(f".TH A 1\n{line}\n", "a.1")
    manual(f".Dd x\n{line}\n", "a.1")
    memo(f"{RFC}\n{line}\n{line.replace(' ', '')}", "rfc1")
    assert time.process_time() - start < 12


def test_a_hostile_synset_takes_no_time(tmp_path: Path) -> None:
    (tmp_path / "data.noun").write_text("00001740 03 n 02 a 0" + " 000" * 200_000 + "\n")
    start = time.process_time()
    assert found(tmp_path / "data.noun") == ([], ["bad_entry"]) and time.process_time() - start < 10


@pytest.mark.parametrize("root", [WIKI % "".join(PAGE % (f"P{i}", 0, i, "", f"text {i} {i**9}") for i in range(3000)),
    POSTS.replace("</posts>", "<row/>" * 90_000), "<Weaknesses>" + "<Weakness ID='1'/>" * 9000])
@pytest.mark.parametrize(("end", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)])
def test_what_breaks_off_costs_what_is_behind_the_break(tmp_path: Path, root: str, end: str, pack: Callable[[bytes], bytes]) -> None:
    whole = pack(root.encode())
    for name, data in (("cut", whole[: len(whole) * 2 // 3]), ("bent", whole[: len(whole) // 2] + b"?!" * 20 + whole[len(whole) // 2 + 40 :])):
        (tmp_path / f"{name}.xml{end}").write_bytes(data)
        assert found(tmp_path / f"{name}.xml{end}")[1][-1] in ("not_xml", "corrupt_archive", "no_question", "no_answer")


def test_a_packed_bomb_is_left(tmp_path: Path) -> None:
    (tmp_path / "bomb.1.gz").write_bytes(gzip.compress(b".TH A 1\n" + b"a" * (70 << 20)))
    assert found(tmp_path / "bomb.1.gz") == ([], ["too_large"])
