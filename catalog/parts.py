"""The parts of a recipe, one builder a section: what each key means, which are required, which function the knobs go to."""

import glob
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from catalog.errors import InputError, RecipeError, near
from catalog.mixes import mixed
from catalog.reads import base, reads
from catalog.stage import HOUSE, Bound, bind, find, load
from catalog.staged import Given, Stage, knobs_of, predicate, stage
from catalog.written import DATASET, Lines, known, line_of, lines_in, listed, shaped, word

SECTIONS = ("ingest", "curate", "quality", "synth", "mix", "train", "eval")
INGEST = ("domain", "dump", "license", "publish_as", "append")
CURATE = ("from", "stages", "dedup", "policy", "publish_as")
SYNTH = ("from", "where", "write", "model", "limit", "publish_as", "at_least")
TRAIN = ("act", "from", "on", "mix", "model", "seed")
EVAL = ("model", "tasks")
SHAPES = ("document", "chat", "pair", "item")
NAME = r"[a-z][a-z0-9_]*"
"""A part's name."""
SHAPED = {
    "ingest": {"domain": "a word", "license": "a word", "publish_as": "a word", "append": "true or false"},
    "curate": {"from": "a name or a list of names", "stages": "a list", "dedup": "a mapping", "policy": "a name or a list of names", "publish_as": "a word"},
    "quality": {},
    "synth": {
        "from": "a name or a list of names", "write": "a word", "model": "a word", "publish_as": "a word",
        "limit": "a whole number from 1", "at_least": "a whole number from 0",
    },
    "mix": {
        "from": "a name or a list of names", "by": "a name or a list of names", "weights": "a mapping", "phases": "a list",
        "max_epochs": "a number above 0, or names with one each", "held_out": "a name or a list of names",
        "rehydrate": "a mapping", "seed": "a whole number from 0", "contaminated_because": "a word",
    },
    "train": {
        "act": "a word", "from": "a word", "mix": "a word", "model": "a word", "on": "a name, a list of names, or names with weights above 0",
        "seed": "a whole number from 0",
    },
    "eval": {"model": "a word", "tasks": "a name or a list of names"},
}  # fmt: skip
"""What the keys of a section's parts hold; a part's own builder looks at the rest."""



@dataclass(frozen=True)
class Part:
    """One part of a recipe. `given` is what the recipe says under it; `needs` names the parts that come before.

    `lake_needs` and `lake_models` are datasets and models that its names mean and no part makes; `benchmarks` names and patterns of evaluation
    sets that are looked for in the lake too.
    """

    section: str
    name: str
    given: Given
    line: int
    needs: tuple[str, ...] = ()
    lake_needs: tuple[str, ...] = ()
    lake_models: tuple[str, ...] = ()
    bound: tuple[Bound, ...] = ()
    stages: tuple[Stage, ...] = ()
    benchmarks: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"{self.section}.{self.name}"

    @property
    def dataset(self) -> str:
        """The dataset it publishes: its own name, or `publish_as`."""
        return str(self.given.get("publish_as", self.name))

    @property
    def publishes(self) -> tuple[str, ...]:
        """Its dataset, and the band tables that its `dedup:` makes beside it."""
        banded = any(job.path in ("curate.minhash:job", "curate.bloom:job") for job in self.bound)
        return (self.dataset, *([f"{self.dataset}.bands"] if banded else []))


def section_parts(section: str, raw: Given, lines: Lines, folder: Path) -> Iterator[Part]:
    given = raw.get(section) or {}
    if not isinstance(given, dict):
        raise RecipeError(f"{lines.where(section)}{section} is a mapping of parts")
    for name, body in given.items():
        where = lines.where(section, str(name))
        if not re.fullmatch(NAME, str(name)):
            raise RecipeError(f"{where}{name!r} is not a part's name; use lower-case letters, digits and _")
        if not isinstance(body, dict):
            raise RecipeError(f"{where}{section}.{name} is a mapping")
        shaped(body, SHAPED[section], lines, section, str(name))
        part = PARTS[section](str(name), body, lines, folder)
        if not re.fullmatch(DATASET, part.dataset):
            at = lines.where(section, str(name), "publish_as")
            raise RecipeError(f"{at}{part.dataset!r} is not a dataset's name; use lower-case letters, digits, _ and -, with dots between parts")
        yield part


def _ingest(name: str, body: Given, lines: Lines, folder: Path) -> Part:
    where = lines.where("ingest", name)
    kinds = [key for key in body if key not in INGEST]
    if len(kinds) != 1:
        sources = _sources()
        extra = f"{near(str(kinds[1]), [*INGEST, *sources])}" if len(kinds) > 1 else f"; one of {', '.join(sources)}"
        found = f"unknown key {kinds[1]!r}" if len(kinds) > 1 else "it has no source"
        raise RecipeError(f"{where}ingest.{name}: {found}{extra}")
    kind = kinds[0]
    if kind not in _sources():
        raise RecipeError(f"{lines.where('ingest', name, kind)}ingest has no source {kind!r}{near(kind, _sources())}")
    inner = knobs_of(body[kind], kind, lines.where("ingest", name, kind))
    paths = inner.pop("paths", [])
    if kind == "items":
        paths, inner = _items(paths, inner, lines.where("ingest", name, kind), folder)
    knobs = {("shape" if key == "as" else key): value for key, value in inner.items()}
    if knobs.get("shape", "document") not in SHAPES:
        raise RecipeError(f"{lines.where('ingest', name, kind, 'as')}as: {knobs['shape']!r}{near(str(knobs['shape']), SHAPES)}")
    bound = bind(find("ingest", f"{kind}.read", where), knobs, lines.where("ingest", name, kind))
    if kind == "index" and body.get("append"):
        raise RecipeError(f"{where}ingest.{name}: index and append: do not go together; give each dump a part, and curate takes them all in from:")
    if kind == "index" and "://" not in bound.knobs["root"]:
        bound = replace(bound, knobs={**bound.knobs, "root": os.path.normpath(folder / bound.knobs["root"])})
    kept = {key: body[key] for key in body if key in INGEST}
    if kind == "crawl":                                      # its files are those that it fetches
        bound = replace(bound, knobs=load("ingest.crawling.seeds:check")(bound.knobs, lines.where("ingest", name, kind), str(folder)))
        reader = bind(find("ingest", "warc.read", where), {key: bound.knobs[key] for key in ("mode", "seconds")}, where)
        return Part("ingest", name, {**kept, "kind": kind, "paths": [], "shape": "document"}, line_of(where), bound=(bound, reader))
    if not isinstance(paths, list) or not paths or not all(map(word, paths)):
        raise RecipeError(f"{lines.where('ingest', name, kind)}{kind} needs paths: a list of files or patterns")
    paths = [os.path.normpath(folder / p) for p in paths]
    shape = "item" if kind == "items" else knobs.get("shape", "document")
    return Part("ingest", name, {**kept, "kind": kind, "paths": paths, "shape": shape}, line_of(where), bound=(bound,))


def _items(paths: Any, knobs: Given, where: str, folder: Path) -> tuple[Any, Given]:
    """The files and knobs of an evaluation set; where one task file of lm-eval is named, those that it tells."""
    if not isinstance(paths, list) or not any(word(path) and path.endswith((".yaml", ".yml")) for path in paths):
        return paths, knobs
    if len(paths) > 1 or knobs:
        raise RecipeError(f"{where}items: a task file says all of itself; name it alone, such as paths: [gsm8k.yaml]")
    task = load("ingest.evals.harness:task")(os.path.normpath(folder / paths[0]), where)
    return list(map(glob.escape, task.files)), {key: value for key, value in task.knobs.items() if value is not None}


def _sources() -> list[str]:
    return sorted(f.stem for f in (HOUSE / "ingest").glob("*.py") if "\ndef read(" in f.read_text(encoding="utf-8"))


def _curate(name: str, body: Given, lines: Lines, folder: Path) -> Part:
    where = lines.where("curate", name)
    known(body, CURATE, lines, "curate", name)
    if not body.get("from"):
        raise RecipeError(f"{where}curate.{name} needs from: the datasets to judge")
    stages = tuple(stage(item, i, name, lines, folder) for i, item in enumerate(body.get("stages") or []))
    families = [one.family for one in stages]
    for family in families:
        if families.count(family) > 1:
            raise RecipeError(f"{lines.where('curate', name, 'stages')}two stages write the family {family!r}; give one `family: NAME`")
    dedup = body.get("dedup") or {}
    bound = _jobs(name, dedup, lines)
    if dedup.get("against") and _plain(dedup["against"]) in map(_plain, listed(body["from"])):
        at = lines.where("curate", name, "dedup", "against")
        raise RecipeError(f"{at}against: {dedup['against']} is what the part judges; copies in it are found without; append: true lets stand what was kept")
    return Part("curate", name, dict(body), line_of(where), bound=bound, stages=stages)


def _plain(name: str) -> str:
    """A part's name without its section."""
    section, _, plain = name.partition(".")
    return plain if section in SECTIONS else name


def _jobs(name: str, dedup: Given, lines: Lines) -> tuple[Bound, ...]:
    """The jobs of a `dedup:`, in their order; beside them stands what all of them compare with."""
    trail = ("curate", name, "dedup")
    shaped(dedup, {"within": "a word", "against": "a word", "append": "true or false"}, lines, *trail)
    jobs = []
    for kind, knobs in dedup.items():
        at = lines.where(*trail, str(kind))
        if kind in DEDUP:
            continue
        if not (HOUSE / "curate" / f"{kind}.py").is_file() or f"{kind}" not in _jobs_known():
            raise RecipeError(f"{at}dedup: has no {kind!r}{near(str(kind), [*_jobs_known(), *DEDUP])}")
        job = bind(find("curate", f"{kind}.job", at), knobs_of(knobs, kind, at), at)
        load("curate.knobs:check")(str(kind), job.knobs, at)
        jobs.append(job)
    if dedup and not jobs:
        raise RecipeError(f"{lines.where(*trail)}dedup: names nothing to do; add one of {', '.join(_jobs_known())}, such as exact: {{}}")
    return tuple(jobs)


def _jobs_known() -> list[str]:
    return sorted(f.stem for f in (HOUSE / "curate").glob("*.py") if "\ndef job(" in f.read_text(encoding="utf-8"))


DEDUP = ("within", "against", "append")
"""Keys of `dedup:` that are no job: nothing is compared over the borders of a column or signal; with what other dataset, which stays as it is; and that
documents which an earlier version kept stay."""


FITTED = {"classifier": "positive", "scorer": "scores", "importance": "target", "language_model": "texts", "quantiles": "values", "vectors": "embed"}
"""What a part of `quality:` fits, told by the first of its SELECTs."""


def _quality(name: str, body: Given, lines: Lines, folder: Path) -> Part:
    where = lines.where("quality", name)
    kinds = [kind for kind, key in FITTED.items() if key in body]
    if len(kinds) != 1:
        ways = "positive: and negative:, scores:, target: and raw:, texts:, values:, or embed:, each with a SELECT"
        wrong = next((key for key in body if key not in FITTED.values()), None)
        hint = f"; {wrong!r} is none of them{near(str(wrong), FITTED.values())}" if not kinds and wrong else ""
        raise RecipeError(f"{where}quality.{name} needs one of {ways}{hint}")
    target = find("curate", f"fit.{kinds[0]}", where)
    if lacking := [key for key in selects(kinds[0]) if key not in body]:
        raise RecipeError(f"{where}quality.{name}: {FITTED[kinds[0]]}: needs {lacking[0]}: beside it, a SELECT too")
    bound = bind(target, body, where, given=FIT_GIVEN)
    queries = {key: body[key] for key in target.required if key in body}
    for key, query in queries.items():
        if not word(query) or not re.match(r"\s*(\(\s*)*(select|from|with|values)\b", query, re.IGNORECASE):
            raise RecipeError(f"{lines.where('quality', name, key)}{key}: {query!r} is no SELECT; write one, as for `headrace sql`")
    read = [reads(query, f"{lines.where('quality', name, key)}{key}: ") for key, query in queries.items()]
    names = list(dict.fromkeys(dataset for one in read for dataset in one.names))
    given = {
        **body, "kind": kinds[0], "from": list(dict.fromkeys(map(base, names))), "queries": queries, "names": names, "labels": any(one.labels for one in read)
    }  # fmt: skip
    return Part("quality", name, given, line_of(where), bound=(bound,))


FIT_GIVEN = ("ask", "folder", "seed")
"""What the runner itself passes to a fit."""


def selects(kind: str) -> tuple[str, ...]:
    """Return the SELECTs that a kind of fit needs, such as positive and negative."""
    return tuple(key for key in find("curate", f"fit.{kind}").required if key not in FIT_GIVEN)


def _synth(name: str, body: Given, lines: Lines, folder: Path) -> Part:
    where = lines.where("synth", name)
    for key in ("from", "write"):
        if key not in body:
            raise RecipeError(f"{where}synth.{name} needs {key!r}")
    knobs = {key: body[key] for key in body if key not in SYNTH}
    target = find("synth", str(body["write"]), lines.where("synth", name, "write"))
    if "limit" in target.knobs and "limit" in body:
        knobs["limit"] = body["limit"]
    bound = bind(target, knobs, where)
    predicate(body.get("where"), lines.where("synth", name, "where"))
    return Part("synth", name, dict(body), line_of(where), bound=(bound,))


def _mix(name: str, body: Given, lines: Lines, folder: Path) -> Part:
    return Part("mix", name, mixed(name, body, lines), line_of(lines.where("mix", name)))


def _train(name: str, body: Given, lines: Lines, folder: Path) -> Part:
    where = lines.where("train", name)
    if "act" not in body:
        raise RecipeError(f"{where}train.{name} needs act: pretrain, sft or dpo")
    knobs = {key: body[key] for key in body if key not in TRAIN}
    bound = bind(find("trainer", f"{body['act']}.act", lines.where("train", name, "act")), knobs, where)
    load("trainer.knobs:check")(bound.knobs, f"{where}train.{name}: ")
    if ("mix" in body) == ("on" in body):
        raise RecipeError(f"{where}train.{name} needs either mix: or on:")
    if "from" not in body and "model" not in body:
        raise RecipeError(f"{where}train.{name} needs model: a preset, or from: a model to start from")
    return Part("train", name, dict(body), line_of(where), bound=(bound,))


def _eval(name: str, body: Given, lines: Lines, folder: Path) -> Part:
    where = lines.where("eval", name)
    known(body, EVAL, lines, "eval", name)
    if "model" not in body:
        raise RecipeError(f"{where}eval.{name} needs model:")
    tasks = listed(body.get("tasks", ["bits_per_byte"]))
    bound = tuple(bind(find("trainer", f"evaluate.{task}", where), {}, where) for task in tasks)
    return Part("eval", name, {**body, "tasks": tasks}, line_of(where), bound=bound)


PARTS = {"ingest": _ingest, "curate": _curate, "quality": _quality, "synth": _synth, "mix": _mix, "train": _train, "eval": _eval}

LOOKS: dict[tuple[str, str], tuple[str, ...]] = {
    ("curate", "from"): ("curate", "ingest"),
    ("curate", "dedup.against"): ("curate", "ingest"),
    ("quality", "from"): ("curate", "synth", "ingest"),
    ("synth", "from"): ("synth", "curate", "ingest"),
    ("mix", "from"): ("curate", "synth", "ingest"),
    ("mix", "held_out"): ("curate", "synth", "ingest"),
    ("mix", "tokenizer.train.on"): ("curate", "synth", "ingest"),
    ("train", "mix"): ("mix",),
    ("train", "from"): ("train",),
    ("train", "on"): ("synth", "curate", "ingest"),
    ("eval", "model"): ("train",),
}
"""Where a bare name is looked up, by the key that it stands under."""


def under(given: Given, key: str) -> Any:
    """Return what stands under a key of a part, `tokenizer.train.on` being one in a mapping in a mapping; None where nothing does."""
    found: Any = given
    for name in key.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


LISTS = (".paths", ".paths.gz")
"""Names of files that list files, a path a line, as Common Crawl publishes them."""


def inputs(part: Part) -> list[str]:
    """Return the files that an ingest part's patterns match, sorted; of a list, those that it names. Raises InputError when there is none.

    A crawl has none before it has run.
    """
    if part.given["kind"] == "crawl":
        return []
    matched = {p for pattern in part.given["paths"] for p in glob.glob(pattern, recursive=True)}
    found = sorted({file for p in matched for file in (_in_list(p) if p.endswith(LISTS) else [p])})
    if not found:
        raise InputError(f"ingest.{part.name}: nothing at {', '.join(part.given['paths'])}; check paths: (the demo's files come with `make demo`)")
    return found


def _in_list(path: str) -> list[str]:
    """The files that a list names, relative to where it lies or to a folder above: Common Crawl's are relative to its bucket."""
    named = lines_in(path, "paths")
    folder = os.path.dirname(os.path.abspath(path))
    above = [folder, *map(str, Path(folder).parents)]
    base = next((one for one in above if named and os.path.exists(os.path.join(one, named[0]))), folder)
    files = [os.path.normpath(os.path.join(base, line)) for line in named]
    missing = [line for line, file in zip(named, files, strict=True) if not os.path.exists(file)]
    if missing:
        gone = f"{len(missing):,} of {len(named):,} files are not there, such as {missing[0]}"
        raise InputError(f"{path}: {gone}; they are looked for from {base}: fetch them, or list fewer")
    return files


def policy_names(part: Part) -> list[str]:
    """The policies that a part names, the first being the dataset's own."""
    return listed(part.given.get("policy")) if part.section == "curate" else []
