"""Do a synth part: its rows through the model that this child holds, one commit of those kept and those dropped."""

from typing import Any

from catalog.files import Annotation, DataFile, Draft
from catalog.parts import Part
from catalog.progress import Meter
from headrace.child import Work
from headrace.done import model_folder, models, source
from headrace.masked import batches
from synth.ask import Desk
from synth.write import Meters, write


def run(part: Part, work: Work) -> str:
    """Write the rows of a part and publish them; return one line about them."""
    snapshot = source(work.lake, work.recipe, part, work.keys, str(part.given["from"]))
    desk = _desk(part, work)
    bound, meters = part.bound[0], Meters()
    try:
        told = write(
            desk, batches(snapshot, part.given.get("where")), bound.path, bound.knobs,
            part=part.id, dataset=part.dataset, run=_folder(part, work), seed=work.recipe.seed, lake_root=work.lake.root,
            at_least=int(part.given.get("at_least", 8)), watch=meters,
        )  # fmt: skip
    finally:
        meters.close()
    numbers = {name: float(told[name]) for name in told if isinstance(told[name], int | float)}
    draft = Draft(
        dataset=part.dataset, key=work.key(part), shape=told["shape"], owner=work.recipe.name, files=(_file(told["file"]),), run=work.job,
        lineage=((snapshot.dataset, snapshot.version),), metrics=numbers, parent=work.lake.head(part.dataset),
        tables={"run": [{"part": part.id, "recipe": work.recipe.name, "state": "done"}]},
    )  # fmt: skip
    published = work.lake.commit(draft, take=work.options.take)
    reasons = ", ".join(f"{n} {reason}" for reason, n in told["reasons"].items())
    return f"{published.name}: kept {told['kept']} of {told['rows']} rows" + (f" (dropped: {reasons})" if reasons else "")


def _folder(part: Part, work: Work) -> str:
    """Where the rows go: a part that returns to an earlier state writes them anew, for nothing is overwritten."""
    before = work.lake.has(work.key(part))
    return work.key(part) if before is None else f"{work.key(part)}-v{(work.lake.head(part.dataset) or 0) + 1}"


def _desk(part: Part, work: Work) -> Desk:
    """The model at work: parts that name the same one share it."""
    name = str(part.given.get("model", "smollm2-135m-instruct"))
    held = work.held.get(f"desk {name}")
    if held is None:
        with Meter(f"{part.id}: opening {name}", 1, "models"):  # the first time it is unpacked and saved into the lake
            held = Desk(model_folder(work.lake, name) if name in models(work.lake) else name, work.lake.root)
            assert held.tokenizer, "every request needs it, and its library takes seconds to come"
        work.held[f"desk {name}"] = held
    found: Desk = held
    return found


def _file(given: dict[str, Any]) -> DataFile:
    annotations = tuple(Annotation(**{**a, "columns": tuple(tuple(c) for c in a["columns"])}) for a in given["annotations"])
    return DataFile(**{**given, "columns": tuple(tuple(c) for c in given["columns"]), "annotations": annotations})
