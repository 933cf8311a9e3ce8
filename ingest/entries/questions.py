"""Questions and their answers, from a Stack Exchange dump (Posts.xml): a question with its accepted and best answers is one document.

Answers stand anywhere in the dump, so the posts are put into a file on disk first, and read from there question by question. The licence
is that of the time of writing (stackoverflow.com/help/licensing), which newer dumps state themselves.
"""

import errno
import os
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from datetime import date
from typing import IO, Any, cast

import numpy as np
from lxml import etree

from catalog.stage import Refused
from ingest.markup import parser, tag
from ingest.pages.blocks import scan
from ingest.pages.plain import render

CHANGED = ((date(2011, 4, 8), "CC-BY-SA-2.5"), (date(2018, 5, 2), "CC-BY-SA-3.0"))
"""Until when posts were under which licence; what is later is under 4.0."""
NOW = "CC-BY-SA-4.0"
STATED = re.compile(r"CC BY-SA (\d\.\d)")
HOST = re.compile(r"[\w-]+(?:\.[\w-]+)*\.(?:com|net|org)")
HEADING = re.compile(r"^(#{1,4}) ")
TAGS = re.compile(r"<([^<>]+)>|\|?([^|<>]+)\|?")
MAX_BODY = 1 << 20
COLUMNS = "id INTEGER, parent INTEGER, accepted INTEGER, score INTEGER, title TEXT, tags TEXT, day TEXT, author TEXT, license TEXT, body TEXT"
ORPHANS = "SELECT id, parent FROM answer WHERE NOT EXISTS (SELECT 1 FROM question WHERE question.id = answer.parent) ORDER BY id"
QUESTION, ANSWER = "1", "2"


def threads(file: IO[bytes], path: str, *, answers: int, license: str | None = None) -> Iterator[dict[str, Any] | Refused]:
    """Yield a document for each question, with the accepted answer and the best others, `answers` in all.

    Refused: `no_answer`, `no_question` (an answer to a question that is not there), `post_type` (a tag's page, an election), `no_text`,
    `not_xml`. Answers with a score below 0 that were not accepted, and those behind `answers`, are left out.
    """
    name, site = os.path.basename(path), _site(path)
    with tempfile.TemporaryDirectory(prefix="questions-") as folder:
        db = sqlite3.connect(os.path.join(folder, "posts"))
        try:
            db.executescript(f"PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; CREATE TABLE question ({COLUMNS}); CREATE TABLE answer ({COLUMNS});")
            yield from _spooled(db, file, name, site)
            db.executescript("CREATE INDEX asked ON question (id); CREATE INDEX below ON answer (parent, id);")
            for row in db.execute("SELECT * FROM question ORDER BY id"):
                yield _thread(db, row, site, answers, license)
            for number, parent in db.execute(ORPHANS):
                yield Refused(_address(site, number or 0, "a"), "no_question", f"question {parent} is not in the dump")
        except sqlite3.OperationalError as error:            # the disk is full: the machine's, not the dump's
            raise OSError(errno.ENOSPC, f"{folder}: {error}") from None
        finally:
            db.close()


def _spooled(db: sqlite3.Connection, file: IO[bytes], name: str, site: str) -> Iterator[Refused]:
    """Put the posts into the database; what is no post of either kind is refused."""
    try:
        for _, element in etree.iterparse(cast(Any, file), events=("end",), **parser(remove_comments=True)):
            above = element.getparent()
            if tag(element) == "row":
                kind = element.get("PostTypeId")
                if kind in (QUESTION, ANSWER):
                    db.execute(f"INSERT INTO {'question' if kind == QUESTION else 'answer'} VALUES (?,?,?,?,?,?,?,?,?,?)", _row(element))
                else:
                    yield Refused(_address(site, _number(element.get("Id")) or 0, "q"), "post_type", f"a post of type {kind}")
            element.clear()
            while above is not None and element.getprevious() is not None:
                del above[0]
    except (etree.XMLSyntaxError, EOFError) as error:
        yield Refused(name, "not_xml", f"{type(error).__name__}: {error}"[:300])


def _row(post: etree._Element) -> tuple[Any, ...]:
    day = (post.get("CreationDate") or "")[:10]
    author = post.get("OwnerDisplayName") or (f"user {post.get('OwnerUserId')}" if post.get("OwnerUserId") else None)
    numbers = [_number(post.get(name)) for name in ("Id", "ParentId", "AcceptedAnswerId", "Score")]
    return (*numbers, post.get("Title"), post.get("Tags"), day, author, _license(post.get("ContentLicense"), day), (post.get("Body") or "")[:MAX_BODY])


def _number(said: str | None) -> int | None:
    return int(said) if said and re.fullmatch(r"-?\d{1,18}", said) else None


def _license(stated: str | None, day: str) -> str:
    found = STATED.search(stated or "")
    if found:
        return f"CC-BY-SA-{found[1]}"
    return next((name for until, name in CHANGED if day < until.isoformat()), NOW) if day else NOW


def _thread(db: sqlite3.Connection, row: tuple[Any, ...], site: str, most: int, license: str | None) -> dict[str, Any] | Refused:
    """One document; its licences are joined where its posts have several."""
    number, _, accepted, _, title, tags, day, author, stated, body = row
    found = db.execute(
        "SELECT author, license, body FROM answer WHERE parent = ? AND (score IS NULL OR score >= 0 OR id = ?) ORDER BY id <> ?, score DESC, id LIMIT ?",
        (number, accepted, -1 if accepted is None else accepted, most),
    ).fetchall()
    uri = _address(site, number or 0, "q")
    if not found:
        return Refused(uri, "no_answer", title or "")
    texts = [html_text(inner) for *_, inner in found]
    question = html_text(body)
    if not question or not any(texts):
        return Refused(uri, "no_text", title or "")
    labels = [one or two for one, two in TAGS.findall(tags or "")]
    parts = [f"# {title}" if title else "", question, f"Tags: {', '.join(labels)}" if labels else "", *(f"## Answer\n\n{text}" for text in texts if text)]
    licenses = sorted({stated, *(one for _, one, _ in found)})
    authors = list(dict.fromkeys(filter(None, [author, *(one for one, _, _ in found)])))
    return {
        "uri": uri, "text": "\n\n".join(filter(None, parts)), "title": title, "author": "; ".join(authors) or None, "date": _day(day),
        "license": license or " AND ".join(licenses), "content_type": "text/html", "member": str(number),
    }  # fmt: skip


def html_text(body: str) -> str:
    """A post's HTML as text: all of it, headings a step below the document's own."""
    if not body.strip():
        return ""
    page = f"<html><body>{body}</body></html>".encode()
    found = scan(page)
    said = render(found, page, np.ones(len(found.blocks), bool))
    return _lowered(said) if "#" in said else said


def _lowered(said: str) -> str:
    """Headings two steps lower. Code is left alone: a comment of a shell's is no heading."""
    lines, fenced = said.split("\n"), False
    for number, line in enumerate(lines):
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced:
            lines[number] = HEADING.sub(r"##\1 ", line)
    return "\n".join(lines)


def _day(said: str) -> date | None:
    try:
        return date.fromisoformat(said)
    except ValueError:
        return None


def _site(path: str) -> str:
    """The site's host by the folder's or the archive's name: `cooking.stackexchange.com/Posts.xml`; empty where it says nothing."""
    found = [HOST.search(part) for part in os.path.abspath(path).split(os.sep)[-2:]]
    return next((match[0] for match in reversed(found) if match), "")


def _address(site: str, number: int, kind: str) -> str:
    return f"https://{site}/{kind}/{number}" if site else f"posts:{kind}/{number}"
