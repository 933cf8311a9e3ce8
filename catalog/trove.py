"""The one door to datatrove: one of its blocks or a chain of them as our stage, one of our stages inside its pipelines.

stages:
  - trove.block: {path: "datatrove.pipeline.filters:RegexFilter", options: {regex_exp: "(?i)lorem ipsum"}}

pipeline = [JsonlReader("in"), InPipeline("curate.gopher:signals"), JsonlWriter("out")]
"""

import importlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from catalog.errors import RecipeError
from catalog.stage import declares, load

if TYPE_CHECKING:
    from datatrove.data import Document

ADDS = {"kept": pa.bool_(), "reason": pa.string(), "metadata": pa.string()}
READS = ("doc_id", "text", "uri", "host", "domain", "dump", "date", "license", "title")


@declares(reads=READS, adds=ADDS, version=1, family="trove", packages=("datatrove",))
def block(batch: pl.DataFrame, *, path: str, options: dict[str, Any] | None = None) -> pl.DataFrame:
    """Return the family `trove`: what a datatrove block says of each document. Give a second block another `family:`.

    kept       the block let the document through
    reason     why a filter did not
    metadata   JSON of what the block wrote to the document's metadata, null if nothing; `"edited": true` if it changed
               the text, which stays as it was ingested

    `path` is `package.module:Class`, `options` its arguments. The block sees text, id and metadata (url, host, domain, dump,
    date, license, title). It runs in this process and must not need a network: a block that fetches a model fails here.
    """
    return _through(batch, [(path, options or {})], f"trove.block: {path}")


@declares(reads=READS, adds=ADDS, version=1, family="trove", packages=("datatrove",))
def pipeline(batch: pl.DataFrame, *, blocks: list[dict[str, Any]]) -> pl.DataFrame:
    """Return the family `trove`: what a chain of datatrove's blocks says of each document, as one of its own pipelines would.

    Columns as of `trove.block`. `blocks` is a list of {path: "package.module:Class", options: {...}}, in order: each sees what the one
    before let through, with that one's edits, and `reason` is of the first that dropped the document. Its filters for English
    want spaCy, which is not among this house's packages: `pip install spacy`.
    """
    for one in blocks:
        if not isinstance(one, dict) or not isinstance(one.get("path"), str) or set(one) - {"path", "options"}:
            raise RecipeError(f"trove.pipeline: {one!r} is no block; write {{path: 'package.module:Class', options: {{...}}}}")
    return _through(batch, [(one["path"], one.get("options") or {}) for one in blocks], "trove.pipeline: " + ", ".join(one["path"] for one in blocks))


def _through(batch: pl.DataFrame, blocks: list[tuple[str, dict[str, Any]]], name: str) -> pl.DataFrame:
    """Lead documents through blocks and say what became of each."""
    documents = [_document(row) for row in batch.iter_rows(named=True)]
    given = [(document.text, dict(document.metadata)) for document in documents]
    places = {id(document): place for place, document in enumerate(documents)}
    kept = [False] * len(documents)
    left: Iterable[Document] = iter(documents)
    for path, options in blocks:
        left = _made(path, json.dumps(options, sort_keys=True)).run(left, 0, 1)
    try:
        for document in left:
            if id(document) not in places:
                raise RecipeError(f"{name} makes new documents; a stage says something of each document that it is given")
            kept[places[id(document)]] = True
    except ImportError as error:                             # some ask for their libraries at the first document
        raise RecipeError(f"{name}: {error}") from None
    told = [_told(document, *before) for document, before in zip(documents, given, strict=True)]
    reasons = [None if keep else reason for keep, (reason, _) in zip(kept, told, strict=True)]
    columns = {"kept": kept, "reason": reasons, "metadata": [text for _, text in told]}
    return pl.DataFrame(columns, schema={"kept": pl.Boolean, "reason": pl.String, "metadata": pl.String})


class _Reasons:
    """Stands where a filter expects a writer of what it drops: the reason is all that is wanted, and it is in the metadata."""

    def __enter__(self) -> "_Reasons":
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def write(self, document: "Document", rank: int = 0) -> None:
        document.metadata.setdefault("filter_reason", None)


@lru_cache(maxsize=8)
def _made(path: str, options: str) -> Any:
    """Return a block, made once in each worker: lists and models are read then."""
    module, _, name = path.partition(":")
    try:
        kind = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):
        raise RecipeError(f"trove.block: no {path!r}; write the path of a datatrove block, such as datatrove.pipeline.filters:RegexFilter") from None
    try:
        made = kind(**json.loads(options))
    except (TypeError, ImportError) as error:
        raise RecipeError(f"trove.block: {path}: {error}") from None
    if hasattr(made, "exclusion_writer"):
        made.exclusion_writer = _Reasons()
    return made


def _document(row: Mapping[str, Any]) -> "Document":
    from datatrove.data import Document

    names = {"url": "uri", "host": "host", "domain": "domain", "dump": "dump", "license": "license", "title": "title"}
    metadata = {theirs: row[ours] for theirs, ours in names.items() if row.get(ours) is not None}
    if row.get("date") is not None:
        metadata["date"] = row["date"].isoformat()
    return Document(text=row["text"] or "", id=row["doc_id"], metadata=metadata)


def _told(document: "Document", text: str, metadata: dict[str, Any]) -> tuple[str | None, str | None]:
    """Return why a document was dropped, if it says, and as JSON what was written to its metadata."""
    added = {key: value for key, value in document.metadata.items() if key not in metadata or metadata[key] != value}
    reason = added.pop("filter_reason", None)
    if document.text != text:
        added["edited"] = True
    return reason, json.dumps(added, sort_keys=True, default=str) if added else None


@dataclass(frozen=True)
class InPipeline:
    """One of our stages as a step of a datatrove pipeline: documents in, the same documents out, its columns in their metadata.

    `stage` is `module:function`. Documents pass in batches of `size`, whose words are split once. A column is found in
    the metadata as `family.column`, as it is in SQL.
    """

    stage: str
    knobs: dict[str, Any] = field(default_factory=dict)
    size: int = 500

    def __call__(self, data: "Iterable[Document] | None", rank: int = 0, world_size: int = 1) -> "Iterator[Document]":
        function = load(self.stage)
        family = function.declares.family  # type: ignore[attr-defined]
        documents = iter(data or ())
        while held := list(islice(documents, self.size)):
            batch = pl.DataFrame([_row(document) for document in held], schema_overrides={"text": pl.String, "doc_id": pl.String})
            found = function(batch, **self.knobs)
            assert found.height == len(held), f"{self.stage} returned {found.height} rows for {len(held)} documents"
            for document, columns in zip(held, found.iter_rows(named=True), strict=True):
                document.metadata.update({f"{family}.{name}": value for name, value in columns.items()})
                yield document


def _row(document: "Document") -> dict[str, Any]:
    metadata = document.metadata
    names = {"uri": "url", "host": "host", "domain": "domain", "dump": "dump", "license": "license", "title": "title"}
    return {"doc_id": str(document.id), "text": document.text, **{ours: metadata.get(theirs) for ours, theirs in names.items()}}
