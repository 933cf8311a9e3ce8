"""What each part of a recipe amounts to, as a key: a part whose key the lake knows is done and is skipped.

A key is a hash of what the part is asked to do, of its functions' versions, of its input files (name, size, time) and of the
keys of the parts that it reads. So a change anywhere up the river changes every key below it, and nothing else. Knobs of a
training that move no weight (threads, accumulate, save_every, keep, eval_every) are not in it: a run goes on with them changed.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from catalog import reads
from catalog.errors import InputError, RecipeError, near
from catalog.files import Snapshot
from catalog.ids import digest
from catalog.lake import Lake
from catalog.parts import Part, inputs, policy_names
from catalog.recipe import Recipe
from curate.sheets import texts
from headrace import visits
from headrace.done import dataset, finished, models, rows
from headrace.scorers import standing
from ingest.inputs import fresh, identity, read_before
from trainer.knobs import lasting


def part_keys(
    recipe: Recipe, lake: Lake, limit: int | None = None, force: Sequence[str] = (), only: Sequence[str] = ()
) -> dict[str, str]:
    """Return the key of every part, in river order.

    Parts in `force` that are done get a key of their own, `<key>-2` and so on, to be done again. `only` names the parts that
    will be looked at (none: all). Where the lake holds another key in a part's place, adopted or forced, that one is meant.
    Beside the keys stands what a part must read to be what its key says (`planned`): of `quality:` the versions of datasets that no part
    makes, and the labels as they are now; of `curate:` the content of lists, and of models that no part makes.
    """
    chosen = {part.id for part in recipe.select(only)}
    instead = stand_ins(lake)
    keys: dict[str, str] = {}
    for part in recipe.parts:
        own = [recipe.digest(_lasting(part))]
        above = [keys[need] for need in part.needs] + [_lake_key(lake, name, recipe, part) for name in part.lake_needs]
        above += (stands := standing(recipe, lake, part))
        if part.section == "quality":
            now = _read_now(lake, part)
            above += [now[name] for name in now if name == reads.LABEL]
            keys.update({planned(part, name): version for name, version in now.items()})
        if stands:
            keys[planned(part, STANDS)] = digest(*stands)
        if part.section == "ingest":
            keys[part.id] = _ingest_key(recipe, part, lake, [*own, str(limit)], asked=part.id in chosen, forced=part.id in force)
        else:
            bodies = [text for name in policy_names(part) for text in texts(recipe.policies[name])]
            keys[part.id] = digest(*own, *above, *bodies)
        meant = instead.get(keys[part.id], [keys[part.id]])
        again = part.id in force and finished(lake, meant[-1])
        keys[part.id] = f"{keys[part.id]}-{len(meant) + 1}" if again else meant[-1]
    return keys


def _lasting(part: Part) -> Part:
    """A train part as far as its model depends on it."""
    if part.section != "train":
        return part
    return replace(part, given=lasting(part.given), bound=tuple(replace(bound, knobs=lasting(bound.knobs)) for bound in part.bound))


def stand_ins(lake: Lake) -> dict[str, list[str]]:
    """Return for each key that others stand for: itself, then those in the order in which they were recorded; the last one counts."""
    found: dict[str, list[str]] = {}
    for row in rows(lake, "task"):
        if row.get("instead"):
            found.setdefault(row["key"], [row["key"]]).append(row["instead"])
    return found


def stand_in(lake: Lake, recipe: Recipe, part: Part, key: str, instead: str, run: str) -> None:
    """Record that from now on another key is meant where a part has this one."""
    lake.record({"task": [{"recipe": recipe.name, "part": part.id, "key": key, "instead": instead}]}, run)


def generation(key: str) -> str:
    """Return what a key adds to the addresses of what it computes: nothing, or the number of the time that it was forced."""
    return key.partition("-")[2]


def _ingest_key(recipe: Recipe, part: Part, lake: Lake, own: list[str], *, asked: bool, forced: bool) -> str:
    """Raw files may be gone once they are read: where `--only` leaves the part out, what this recipe landed stands for them.

    An append is of its head and of the files that are new to it; without one, the head is what the part amounts to. Forced, it
    replaces, which the key of a generation says.
    """
    if asked and part.given.get("append") and own[-1] != "None":
        raise InputError(f"{part.id}: --limit reads some documents of its files, and append: would take them for read; leave one of the two out")
    appended = appended_to(lake, part)
    head = appended or (None if asked else dataset(lake, part.dataset))
    ours = head is not None and head.owner == recipe.name
    try:
        files = inputs(part)
        lists = _started_from(part) if part.given["kind"] == "crawl" else []
    except InputError:
        if head is not None and ours and not forced:
            return head.key
        raise
    if part.given["kind"] == "crawl":                        # it goes on where it was, whatever the lake holds of it
        return digest(*own, *lists, *_gone_on(lake, part, asked=asked))
    if appended is None or forced:
        key = digest(*own, json.dumps([_identity(file) for file in files]))
        return f"{key}-0" if appended else key
    if ours and not asked:
        return appended.key
    new = fresh(files, read_before([file.full_path for file in appended.files]))
    return digest(*own, appended.key, json.dumps([_identity(file) for file in new])) if new else appended.key


def _started_from(part: Part) -> list[str]:
    """The lists of addresses that a crawl starts from. What a SELECT answers is not asked for here: the crawl itself changes the lake."""
    lists = [seed["list"] for seed in part.bound[0].knobs["seeds"] if isinstance(seed, dict) and "list" in seed]
    try:
        return [json.dumps(_identity(path)) for path in lists]
    except OSError as error:
        raise InputError(f"{part.id}: seeds: list: {error.filename}: {error.strerror}") from None


def _gone_on(lake: Lake, part: Part, *, asked: bool) -> list[str]:
    """How often a crawl went on behind an end, this time included where hosts that wanted to be left alone may be asked again."""
    state = visits.read(visits.folder(lake.root, part.dataset))
    times = 0 if state is None else visits.goes(state) if asked else state.goes
    return [f"goes {times}"] if times else []


def appended_to(lake: Lake, part: Part) -> Snapshot | None:
    """Return the snapshot that an ingest part with `append: true` adds files to; None where it lands all of its files."""
    return dataset(lake, part.dataset) if part.given.get("append") else None


def _identity(path: str) -> tuple[str, int, str]:
    """Name, size and times of a file or a tree: what tells that it is as it was."""
    return os.path.basename(path), *identity(path)


STANDS = "lists and models"


def planned(part: Part, name: str) -> str:
    """Return under which name the keys hold what a part is to read: of a dataset its version, of `label` and of lists and models a digest."""
    return f"{part.id} reads {name}"


def same_lists(part: Part, recipe: Recipe, lake: Lake, keys: dict[str, str]) -> None:
    """Refuse lists and models that are not those of a part's key. Raises InputError."""
    told = keys.get(planned(part, STANDS))
    if told is not None and told != digest(*standing(recipe, lake, part)):
        raise InputError(f"{part.id}: a list, a model or an evaluation set that it names was changed since this run was planned; run the same command again")


def _read_now(lake: Lake, part: Part) -> dict[str, str]:
    """Return what the names that no part of the recipe makes mean at this moment."""
    snapshots = {name: dataset(lake, name) for name in part.lake_needs}
    found = {name: snapshot.name for name, snapshot in snapshots.items() if snapshot is not None}
    return {**found, **({reads.LABEL: labels_now(lake)} if part.given["labels"] else {})}


def labels_now(lake: Lake) -> str:
    """Return what tells the people's labels from other labels: how many there are, and a digest of all that they say."""
    content = "SELECT count(*) AS rows, bit_xor(md5_number(CAST(l AS VARCHAR))) AS content FROM main.label AS l"
    return json.dumps(lake.rows(content)[0], default=str) if lake.has_table(reads.LABEL) else "none"


def _lake_key(lake: Lake, name: str, recipe: Recipe, part: Part) -> str:
    """A name that no part makes is a dataset or a model of the lake, or a model's folder."""
    config = Path(name) / "config.json"
    if config.is_file():
        return digest(name, config.read_text(encoding="utf-8"))
    if part.section in ("train", "eval") and name in models(lake):
        return str(models(lake)[name]["key"])
    snapshot = dataset(lake, name)
    if snapshot is None:
        known = [*(p.name for p in recipe.parts if p.id != part.id), *lake.datasets(), *models(lake)]
        raise RecipeError(f"{recipe.path}:{part.line}: {part.id}: neither a part nor the lake has {name!r}{near(name, known)}")
    return snapshot.key
