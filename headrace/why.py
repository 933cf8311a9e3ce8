"""Why is this document here, or gone: where it came from, what was measured and decided, where it went."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer

from catalog.documents import read_one
from catalog.errors import QueryError
from catalog.lake import Lake
from catalog.locator import Place
from headrace.clauses import clauses_of
from headrace.clauses import lines as told
from headrace.consumed import tokens_of
from headrace.contamination import question, short
from headrace.copies import copies_of
from headrace.copies import lines as copied
from headrace.done import models, rows, scorers
from headrace.tables import as_text, cell, printable

ITEMS = 5
"""Items of evaluation sets that are told with their questions."""
SAID = {"soft": "cosine"}
"""How a match's score is called, where it is none."""
ABOUT = ("doc_id", "uri", "domain", "title", "author", "date", "license", "dump", "lang", "confidence", "origin_hash")


def show_why(path: str, document: str, as_json: bool) -> None:
    """Print all that the lake knows of a document, in every head that holds it."""
    with Lake.open(path) as lake:
        found = [about(lake, place) for place in lake.locate(document)]
        refused = [] if found else _quarantined(lake, document)
    if not found and not refused:
        hint = "a URI as `headrace show` prints it, or a file whose records were refused (`headrace sql \"FROM quarantine\"` lists them)"
        raise QueryError(f"{path}: no document {document!r}; give a doc_id (32 hex digits), {hint}")
    if as_json:
        typer.echo(as_text(found or refused, indent=1))
        return
    for row in refused:
        typer.echo(printable(f"{row['uri']}\n  never became a document of {row['dataset']}: {row['reason']} {row['exception'] or ''}"))
    for story in found:
        typer.echo(printable(_told(story)))


def about(lake: Lake, place: Place) -> dict[str, Any]:
    """One document in one dataset: origin, families, verdicts clause by clause, duplicates, and what was made with it."""
    hit = read_one(place)
    row = hit["document"]
    verdicts = {k: v for k, v in row.items() if k.startswith("verdict") and v is not None}
    families = {k: v for k, v in row.items() if isinstance(v, dict) and k not in ("source", "gen", "scores", "facts") and not k.startswith("verdict")}
    return {
        "dataset": f"{hit['dataset']}@v{hit['version']}",
        "file": hit["path"],
        "row": hit["row"],
        "origin": {
            **{k: row.get(k) for k in ABOUT if row.get(k) is not None},
            "facts": _known(row.get("facts")), "source": row.get("source"), "gen": row.get("gen"),
        },
        "characters": len(row.get("text") or ""),
        "signals": {name: _plain(values) for name, values in families.items()},
        "copies": copies_of(lake, place, row),
        "verdicts": verdicts,
        "clauses": clauses_of(lake, place, verdicts),
        "examined": examined(lake, (row.get("contamination") or {}).get("spans") or []),
        "near_items": examined(lake, (row.get("contamination") or {}).get("soft_spans") or []),
        "labels": rows(lake, "label", "doc_id = ?", [row["doc_id"]], "labelled"),
        "went_to": went_to(lake, hit["dataset"], row["doc_id"], row),
    }


def examined(lake: Lake, spans: list[dict[str, Any]]) -> list[str]:
    """The items of evaluation sets that stand in a document, with their questions; the best matched first."""
    by = {(one["benchmark"], one["item"]): one for one in sorted(spans, key=lambda one: one["score"]) if one["kind"] != "answer"}
    best = sorted(by.values(), key=lambda one: (-one["score"], one["benchmark"], one["item"]))
    return [
        f"{one['benchmark']}, item {one['item']} ({SAID.get(one['kind'], one['kind'] + ', score')} {cell(one['score'])}): "
        f"{short(question(lake, one['benchmark'], one['item']))}"
        for one in best[:ITEMS]
    ]


def _known(facts: dict[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (facts or {}).items() if value is not None}


def went_to(lake: Lake, dataset: str, doc_id: str, row: dict[str, Any]) -> list[str]:
    """The datasets made from this one, the rows written from this document, and the models that saw it or them."""
    made = lake.rows("SELECT DISTINCT dataset, version FROM lineage WHERE source = ? ORDER BY ALL", [dataset])
    lines = [f"{m['dataset']}@v{m['version']} was made from {dataset}" for m in made]
    if (row.get("verdict") or {}).get("kept") is False:
        return lines
    written = written_from(lake, doc_id)
    lines += [f"{child} of {name} was written from it" for name, child in written]
    for model in [*models(lake).values(), *scorers(lake).values()]:
        folder = Path(lake.root) / model["run_folder"]
        for what, ids in (("it", [doc_id]), ("what was written from it", [child for _, child in written])):
            seen = sum(tokens_of(folder, id) for id in ids)
            lines += [f"model {model['model']} saw {seen:,} tokens of {what}"] if seen else []
    return lines


def written_from(lake: Lake, doc_id: str) -> list[tuple[str, str]]:
    """Return (dataset, doc_id) of the accepted rows that writers made from a document, and from those rows in turn."""
    generated = [r["dataset"] for r in lake.rows("SELECT dataset FROM dataset WHERE shape IN ('chat', 'pair', 'judgement') ORDER BY dataset")]
    found: list[tuple[str, str]] = []
    above = [doc_id]
    while above:
        query = 'SELECT doc_id FROM data."{}" WHERE list_has_any(gen.parents, ?) ORDER BY doc_id'
        new = [(name, r["doc_id"]) for name in generated for r in lake.rows(query.format(name), [above])]
        new = [child for child in new if child not in found]
        found += new
        above = [id for _, id in new]
    return found


REFUSED = """
SELECT dataset, uri, reason, exception FROM quarantine
WHERE uri = $1 OR starts_with(uri, $1 || '#') OR source = $1 OR ends_with(source, '/' || $1) ORDER BY dataset, source, record_offset
"""


def _quarantined(lake: Lake, document: str) -> list[dict[str, Any]]:
    """Records that never became documents: the one of that URI, or all of a file."""
    return lake.rows(REFUSED, [document])


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in values.items() if v is not None}


MOST = 5
"""Items of a list that are shown."""


def _short(value: Any) -> str:
    """A value, of a long list its first items: all are in `--json`."""
    if not isinstance(value, list) or len(value) <= MOST:
        return cell(value)
    return f"{cell(value[:MOST])} and {len(value) - MOST:,} more"


def merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return spans in order, those that overlap or touch made one."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def _told(story: dict[str, Any]) -> str:
    """The story as text."""
    lines = [f"{story['origin'].get('uri')}", f"  in {story['dataset']}, row {story['row']} of {story['file']}, {story['characters']:,} characters"]
    lines += [f"  {name}: {cell(value)}" for name, value in story["origin"].items() if name not in ("uri", "source", "gen", "facts")]
    lines += [f"  {name}: {cell(value)}" for name, value in story["origin"]["facts"].items()]
    source, gen = story["origin"].get("source") or {}, story["origin"].get("gen")
    unit = "byte" if ".warc" in str(source.get("path")) else "record"
    place = f" at {unit} {source['offset']:,}" if source.get("offset") is not None else ""
    facts = [f"fetched {source['fetched_at']}"] if source.get("fetched_at") else []
    facts += [source["content_type"]] if source.get("content_type") else []
    lines += [", ".join([f"  read from {source['path']}{place}", *facts])] if source.get("path") else []
    if gen:
        lines.append(f"  written by {gen['writer']} with {str(gen['model'])[:12]}, depth {gen['depth']}, from {', '.join(gen['parents'] or [])}")
    for family, values in story["signals"].items():
        lines.append(f"  {family}: " + (", ".join(f"{k} {_short(v)}" for k, v in values.items()) or "none"))
    lines += copied(story["copies"])
    for family, verdict in story["verdicts"].items():
        clauses = story["clauses"].get(family, [])
        by = f" by {clauses[0]['policy']}" if clauses else ""
        lines += [f"  {family}: " + (f"kept{by}" if verdict["kept"] else f"dropped{by}, {verdict['reason']}"), *told(clauses)]
        cuts = verdict.get("cuts") or []
        gone = sum(end - start for start, end in merged([(cut["start"], cut["end"]) for cut in cuts]))
        shown = ", ".join(f"{cut['kind']} {cut['start']:,}-{cut['end']:,}" for cut in cuts[:MOST]) + (", ..." if len(cuts) > MOST else "")
        lines += [f"    cuts {gone:,} characters that stand elsewhere too: {shown}"] if cuts else []
    lines += [f"  stands in it: {line}" for line in story["examined"]]
    lines += [f"  may be told in it in other words: {line}" for line in story["near_items"]]
    for said in story["labels"]:
        lines.append(f"  labelled {said['label']}{f' ({reason})' if (reason := said['reason']) else ''} by {said['labeller']} in the set {said['label_set']}")
    lines += [f"  {line}" for line in story["went_to"]]
    return "\n".join([*lines, ""])
