"""Do a quality part: fit a model to what SELECTs answer, store it in the lake, and record what it is worth."""

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from catalog import reads
from catalog.errors import HeadraceError, InputError, LakeError, QueryError
from catalog.files import publish, temporary, write_json
from catalog.ids import derive
from catalog.lake import Lake
from catalog.parts import FITTED, NAME, Part, selects
from catalog.progress import Meter
from catalog.stage import load
from headrace.child import Work
from headrace.consumed import CONSUMED
from headrace.done import Row, finish, scorers, source
from headrace.keys import labels_now, planned

ABOUT = "about.json"
RECIPES = Path("runs") / ".recipes"
LONGEST = 100
"""Letters of a model's name on the command line: it names a file, too."""


def run(part: Part, work: Work) -> str:
    """Fit, record and return one line about the model."""
    relative = Path("runs") / f"{part.id}-{work.key(part)}"
    folder = work.lake.root / relative
    _own(part, work)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / ABOUT).is_file():                       # killed behind the fit: it is not done again
        _fit(part, work, folder)
    about: Row = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    finish(work.lake, work.recipe, part, work.key(part), work.job, str(relative), _told(part, work, relative, about))
    return _line(part, about)


def _own(part: Part, work: Work) -> None:
    """Refuse a name under which another recipe keeps a model: whoever names it would get this one from now on. Raises LakeError."""
    held = scorers(work.lake).get(part.name)
    if held is not None and held["recipe"] != work.recipe.name and not work.options.take:
        raise LakeError(f"{part.id}: the lake has a model {part.name!r} of the recipe {held['recipe']!r}; name yours otherwise, or --take it over")


def _fit(part: Part, work: Work, folder: Path) -> None:
    taught: dict[str, list[pl.DataFrame]] = {}
    pins = versions(part, work)
    shutil.rmtree(folder / "model", ignore_errors=True)      # of a run that was killed before it said what it had fitted
    with Meter(part.id, None, "rows") as meter:

        def ask(key: str, sql: str) -> Iterator[pl.DataFrame]:
            for piece in answers(work.lake, key, sql, pins):
                meter.add(piece.height)
                taught.setdefault(key, []).append(_remembered(piece, key))
                yield piece

        try:
            about = load(part.bound[0].path)(ask, str(folder / "model"), seed=derive(work.recipe.seed, part.id), **part.bound[0].knobs)
        except InputError as error:
            raise InputError(f"{part.id}: {error}") from None
    _same_labels(part, work)
    seen = pl.concat([piece for pieces in taught.values() for piece in pieces])
    _write(seen.filter(pl.col("doc_id").is_not_null()).sort(pl.all()), folder / CONSUMED)
    sides = seen.group_by("side", "license", maintain_order=True).agg(pl.len().alias("documents"), pl.col("tokens").sum()).sort("side", "license")
    write_json(folder / ABOUT, {**about, "sides": sides.to_dicts(), "read": pins})


def versions(part: Part, work: Work) -> dict[str, str]:
    """Return which version each name of the SELECTs means: what the part above published, or what the lake held when the run was planned."""
    found = {}
    for name in part.given["names"]:
        dataset = reads.base(name)
        version = work.keys.get(planned(part, dataset)) or source(work.lake, work.recipe, part, work.keys, dataset).name
        found[name] = reads.pinned(name, version)
    return found


def _same_labels(part: Part, work: Work) -> None:
    """Refuse labels that are not those of the key: they have no versions. Looked at when all is read: each label changes what they say."""
    if part.given["labels"] and work.keys.get(planned(part, reads.LABEL)) not in (None, labels_now(work.lake)):
        raise InputError(f"{part.id}: labels were added or changed since this run was planned; run the same command again")


def answers(lake: Lake, key: str, sql: str, pins: Mapping[str, str]) -> Iterator[pl.DataFrame]:
    """Yield the rows of a SELECT over these versions in pieces. Raises QueryError that says which one."""
    try:
        with lake.stream(sql, pins=pins) as reader:
            for batch in reader:
                yield pl.DataFrame(pl.from_arrow(batch))
    except QueryError as error:
        raise QueryError(f"{key}: {error}") from None


def _remembered(piece: pl.DataFrame, side: str) -> pl.DataFrame:
    """What is kept of the rows that a model was fitted to: ids, licences and sizes, in so far as the SELECT gave them."""
    text = pl.col("text").str.len_bytes() // 4 if piece.schema.get("text") == pl.String else pl.lit(0)
    have = {name: pl.col(name).cast(pl.String) if name in piece.columns else pl.lit(None, pl.String) for name in ("doc_id", "license")}
    return piece.with_columns(**have, side=pl.lit(side), tokens=text.cast(pl.Int64).fill_null(0)).select("doc_id", "license", "side", "tokens")


def _write(rows: pl.DataFrame, path: Path) -> None:
    written = temporary(path)
    rows.write_parquet(written)
    path.unlink(missing_ok=True)
    publish(written, path)


def _told(part: Part, work: Work, relative: Path, about: Row) -> dict[str, list[Row]]:
    """The rows of a fitted model for the catalogue: what it is, how good on what was held out, and what it was fitted to."""
    shared = {"train_run": relative.name, "model": part.name}
    queries = part.given["queries"]
    whole = {
        **shared, "act": "quality", "kind": part.given["kind"], "recipe": work.recipe.name, "key": work.key(part), "run_folder": str(relative),
        "folder": str(relative / "model"), "digest": about["digest"], "started_from": "its labels",
        "trained_on": ", ".join(dict.fromkeys(about["read"].values())),
        "queries": queries, "metrics": about.get("metrics") or {}, "seed": work.recipe.seed,
    }  # fmt: skip
    scores = [
        {"model": part.name, "of": part.name, "task": name, "domain": "held out", **_interval(value)}
        for name, value in (about.get("metrics") or {}).items() if value is not None
    ]  # fmt: skip
    counts = ("license", "documents", "tokens")
    read = [{**shared, "dataset": row["side"], "domain": part.given["kind"], **{name: row[name] for name in counts}} for row in about["sides"]]
    told = {"model": [whole], "consumption": read, "run": [{"part": part.id, "recipe": work.recipe.name, "state": "done"}]}
    return {**told, "eval_result": scores} if scores else told


def _interval(value: Any) -> Row:
    return dict(zip(("value", "low", "high"), value, strict=True)) if isinstance(value, list) else {"value": value}


def _line(part: Part, about: Row) -> str:
    """What came of it, for the person who runs this."""
    scores = about.get("metrics") or {}
    if scores.get("auc"):
        value, low, high = scores["auc"]
        return f"{about['positives']:,} of {about['documents']:,} positive; held-out AUC {value:.3f} [{low:.3f}, {high:.3f}]"
    if scores.get("spearman"):
        value, low, high = scores["spearman"]
        whole = "; weighted kappa {:.3f} [{:.3f}, {:.3f}]".format(*kappa) if (kappa := scores.get("weighted_kappa")) else ""
        return f"{about['documents']:,} scored; held-out rank correlation {value:.3f} [{low:.3f}, {high:.3f}]{whole}"
    if "dimensions" in about:
        return f"{about['vocabulary']:,} words in {about['dimensions']} dimensions from {about['documents']:,} texts"
    if "ngrams" in about:
        return f"{about['words']:,} words, {sum(about['ngrams']):,} n-grams"
    documents = {row["side"]: 0 for row in about["sides"]}
    for row in about["sides"]:
        documents[row["side"]] += row["documents"]
    return ", ".join(f"{side} of {count:,} rows" for side, count in documents.items())


def _enough(body: Row) -> None:
    """Raise InputError, with the options' names, where the SELECTs given are not those of one kind of fit."""
    ways = [selects(kind) for kind in FITTED]
    if set(body) in map(set, ways):
        return
    lacking = [f"--{key}" for way in ways if body and set(body) < set(way) for key in way if key not in body]
    if lacking:
        raise InputError(f"train-quality: --{next(iter(body))} needs {lacking[0]} SELECT beside it (headrace train-quality --help says more)")
    raise InputError(f"train-quality: give one of {'; '.join(' and '.join(f'--{key}' for key in way) for way in ways)}, each with a SELECT")


def train_quality(lake_path: str, name: str, body: Row, settings: Sequence[str], seed: int, force: bool, take: bool, lock_timeout: float) -> None:
    """Fit one model from the command line: a recipe of one part, kept in the lake, so that all that holds of recipes holds of it."""
    from headrace.river import Options, flow

    if not re.fullmatch(NAME, name) or len(name) > LONGEST:
        raise InputError(f"train-quality: {name[:LONGEST]!r} is not a model's name; use lower-case letters, digits and _, at most {LONGEST}")
    _enough(body)
    lake = Lake.open(lake_path)                              # there must be one: the SELECTs ask it
    folder = lake.root / RECIPES
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.yaml"
    recipe = {"name": f"quality-{name}", "seed": seed, "lake": str(lake.root), "quality": {name: body}}
    knobs = tuple(f"quality.{name}.{setting}" for setting in settings)
    try:
        with _written(path, yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True)):
            flow(Options(recipe=str(path), settings=knobs, lock_timeout=lock_timeout, take=take, force=(f"quality.{name}",) if force else ()))
    except HeadraceError as error:
        text = re.sub(rf"{re.escape(str(path))}:(\d+:)?", "train-quality:", str(error), count=1)      # a line of a file that nobody wrote says nothing
        raise type(error)(text) from None


@contextmanager
def _written(path: Path, text: str) -> Iterator[None]:
    """Write a file for what is done with it. Where that fails, the earlier one stands again: the recipe of the model that the lake has."""
    earlier = path.read_bytes() if path.is_file() else None
    _put(path, text.encode())
    try:
        yield
    except BaseException:
        if earlier is None:
            path.unlink(missing_ok=True)
        else:
            _put(path, earlier)
        raise


def _put(path: Path, content: bytes) -> None:
    written = temporary(path)
    written.write_bytes(content)
    written.replace(path)
