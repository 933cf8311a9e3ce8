"""What a SELECT reads, told by the engine's own parser: so that what is fitted to its answer can be pinned to versions, and known by them.

Only what a lake keeps by version can be pinned: the views of datasets (data, audit, sample, stats), under whatever name (`corpus`,
`corpus/strict`, `corpus@v3`), and the table of labels, whose state is known by its content. What changes otherwise, or says something else each
time it is asked, is refused.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from catalog.errors import RecipeError, near

SCHEMAS = ("data", "audit", "sample", "stats")
LABEL = "label"
MADE = ("range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree")
"""Table functions whose rows are made of what they are given."""
FICKLE = frozenset((
    "random", "uuid", "gen_random_uuid", "uuidv4", "uuidv7", "setseed", "nextval", "currval", "now", "today", "current_date", "current_time",
    "current_timestamp", "current_localtime", "current_localtimestamp", "get_current_time", "get_current_timestamp", "transaction_timestamp", "txid_current",
))  # fmt: skip
"""Functions that say something else each time."""


@dataclass(frozen=True)
class Reads:
    """The names of datasets as a SELECT writes them (`corpus/strict@v3`), in order and each once; and whether it reads labels."""

    names: tuple[str, ...]
    labels: bool


def reads(sql: str, where: str) -> Reads:
    """Return what a SELECT reads. Raises RecipeError, with `where` before it, for what is no SELECT, or reads what has no versions."""
    from catalog.lake import connect, engine_error

    with connect() as db:
        try:
            (text,) = db.execute("SELECT json_serialize_sql(?)", [sql]).fetchone() or ("{}",)
        except engine_error() as error:
            raise RecipeError(f"{where}no SELECT that can be read: {str(error).splitlines()[0]}") from None
    told = json.loads(text)
    if told.get("error") or len(told.get("statements", ())) != 1:
        raise RecipeError(f"{where}no SELECT that can be read: {str(told.get('error_message') or 'give one statement').splitlines()[0]}")
    found = dict.fromkeys(_found(told["statements"][0]["node"], frozenset(), where))
    return Reads(tuple(name for name in found if name is not None), None in found)


def base(name: str) -> str:
    """Return the dataset that a name means, with its version where the name gives one: `corpus@v3` of `corpus/strict@v3`, `corpus` of `corpus@head`."""
    label, _, version = name.partition("@")
    dataset = label.partition("/")[0]
    return dataset if version in ("", "head") else f"{dataset}@{version}"


def pinned(name: str, version: str) -> str:
    """Return a name with the version that it is pinned to: `corpus/strict@v7` of `corpus/strict` and `corpus@v7`. A part may publish under another name."""
    dataset, _, number = version.partition("@")
    policy = name.partition("@")[0].partition("/")[2]
    return f"{dataset}/{policy}@{number}" if policy else version


def _found(node: Any, known: frozenset[str], where: str) -> Iterator[str | None]:
    """Yield the datasets that a piece of a parsed statement names, None for the labels. `known` are the WITH names that hold there."""
    if isinstance(node, list):
        for piece in node:
            yield from _found(piece, known, where)
        return
    if not isinstance(node, dict):
        return
    if node.get("type") == "RECURSIVE_CTE_NODE":
        known |= {str(node["cte_name"]).lower()}
    for item in (node.get("cte_map") or {}).get("map", ()):
        yield from _found(item["value"], known, where)
        known |= {str(item["key"]).lower()}
    _refuse(node, where)
    if node.get("type") == "BASE_TABLE":
        yield from _table(node, known, where)
    for key, piece in node.items():
        if key != "cte_map":
            yield from _found(piece, known, where)


def _table(node: dict[str, Any], known: frozenset[str], where: str) -> Iterator[str | None]:
    catalog, schema, table = (str(node[key] or "") for key in ("catalog_name", "schema_name", "table_name"))
    if not catalog and not schema and table.lower() in known:
        return
    if not catalog and schema.lower() in SCHEMAS:
        yield table.lower()
    elif not catalog and schema.lower() in ("", "main") and table.lower() == LABEL:
        yield None
    else:
        whole = ".".join(filter(None, (catalog, schema, table)))
        hint = f"; write data.{table}" if catalog or not schema else near(schema, SCHEMAS)
        raise RecipeError(f"{where}it reads {whole}, which has no versions to pin: name datasets as data.NAME, audit., sample. or stats., or label{hint}")


def _refuse(node: dict[str, Any], where: str) -> None:
    """Refuse what answers something else from one time to the next."""
    kind, name = node.get("type"), str(node.get("function_name") or "").lower()
    if kind == "COLUMN_REF" and len(node["column_names"]) == 1:
        name = str(node["column_names"][0]).lower()
        name = name if name.startswith("current_") else ""
    if kind == "TABLE_FUNCTION" and (called := str(node["function"]["function_name"]).lower()) not in MADE:
        raise RecipeError(f"{where}it reads {called}(), which has no versions to pin; name datasets as data.NAME, audit., sample. or stats., or label")
    if name in FICKLE:
        raise RecipeError(f"{where}it asks {name}(), which says something else each time; a model could not be fitted again")
    if isinstance(node.get("sample"), dict):
        raise RecipeError(f"{where}a random sample is another one each time; choose by a hash, such as WHERE hash(doc_id) % 10 = 0, or read sample.NAME")
