"""Do a curate part: signals beside the files, duplicates, verdicts, one commit. What is there already is not computed again."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from catalog.files import Annotation, DataFile, Draft, Snapshot, footer, verdict_family
from catalog.ids import digest
from catalog.parts import Part, policy_names
from catalog.progress import Meter
from catalog.snapshots import verdict_of
from curate import annotate, duplicates
from curate.policy import Policy
from curate.policy import load as load_policy
from curate.verdicts import Judged, judge
from headrace.child import Work
from headrace.contamination import recorded
from headrace.done import source
from headrace.engines import spark_for, workers
from headrace.keys import generation, same_lists
from headrace.scorers import resolved


def run(part: Part, work: Work) -> str:
    """Judge the documents of some datasets and publish them under the part's name; return one line about it."""
    snapshots = [source(work.lake, work.recipe, part, work.keys, name) for name in _from(part)]
    files = tuple({file.id: file for snapshot in snapshots for file in snapshot.files}.values())
    folder = str(work.lake.root / "annotations" / part.dataset / work.key(part))
    again, against = generation(work.key(part)), _against(files, part, work)
    same_lists(part, work.recipe, work.lake, work.keys)
    stages = tuple(replace(resolved(stage, part, work.recipe, work.lake, work.keys), again=again) for stage in part.stages)
    annotate.rehearse(files, stages, folder, workers(work))
    spark = spark_for(work, part, sum(file.bytes for file in files))
    if spark is not None:
        workers(work).close()  # what the rehearsal opened there is of no more use
    hands: dict[str, Any] = {"spark": spark, "workers": workers(work)}
    with Meter(f"{part.id} signals", len(files)) as meter:
        done = annotate.run(files, stages, folder, dataset=part.dataset, progress=lambda _: meter.add(), **hands)
    files, metrics = done.files, {"files_computed": float(done.computed)}
    bands: tuple[str, ...] = ()
    if part.bound:
        with Meter(f"{part.id} duplicates", None) as meter:
            scope = {"within": part.given["dedup"].get("within"), "against": against}
            found = duplicates.find(files, part.bound, folder, again=again, progress=lambda _: meter.add(), **scope, **hands)
        files = attached(files, found.annotations)
        metrics.update(found.metrics)
        bands = found.bands
    policies = [load_policy(work.recipe.policies[name], Path(name).stem) for name in policy_names(part)]
    with Meter(f"{part.id} verdicts", None) as meter:
        files, judged = judged_by(files, policies, folder, _before(part, work), progress=lambda _: meter.add(), **hands)
    draft = Draft(
        dataset=part.dataset, key=work.key(part), shape=snapshots[0].shape, owner=work.recipe.name, files=files, run=work.job,
        policies=tuple(stored(policy, _appends(part)) for policy in policies), lineage=tuple((s.dataset, s.version) for s in snapshots),
        quarantine=done.quarantine, metrics=metrics, parent=work.lake.head(part.dataset), tables=_run(work, part),
    )  # fmt: skip
    if bands:
        _publish_bands(part, work, bands, files)
    snapshot = work.lake.commit(draft, take=work.options.take)
    if told := recorded(snapshot):
        work.lake.record({"contamination": told}, work.job)
    first = judged[0]
    reasons = ", ".join(f"{n:,} {reason}" for reason, n in sorted(first.reasons.items(), key=lambda item: -item[1])[:5])
    return f"{snapshot.name}: kept {first.kept:,} of {first.rows:,} documents" + (f" (dropped: {reasons})" if reasons else "") + failures(done.quarantine)


def failures(quarantine: Sequence[dict[str, Any]]) -> str:
    """What the stages could not do: their columns are null there, and a clause that is null keeps a document."""
    stages = Counter(row["reason"] for row in quarantine)
    told = ", ".join(f"{stage} on {n:,} documents" for stage, n in stages.most_common())
    return f'; {told}, which have no such signals (headrace sql "FROM quarantine")' if told else ""


def _against(files: Sequence[DataFile], part: Part, work: Work) -> duplicates.Against | None:
    """The dataset that `dedup: {against: ...}` names, as its policy leaves it."""
    name = (part.given.get("dedup") or {}).get("against")
    if name is None:
        return None
    other = source(work.lake, work.recipe, part, work.keys, name)
    family = verdict_of(other)
    judged = all(any(a.family == family for a in file.annotations) for file in other.files)
    folder = str(work.lake.root / "annotations" / other.dataset / other.key)
    return duplicates.apart(files, duplicates.Against(other.files, family if judged else None, folder))


def _before(part: Part, work: Work) -> Snapshot | None:
    """With `append: true`, the version before: what its verdicts kept stays."""
    head = work.lake.head(part.dataset) if _appends(part) else None
    return None if head is None else work.lake.snapshot(part.dataset)


def _appends(part: Part) -> bool:
    return bool((part.given.get("dedup") or {}).get("append"))


def judged_by(
    files: Sequence[DataFile], policies: Sequence[Policy], folder: str, before: Snapshot | None = None, **hands: Any
) -> tuple[tuple[DataFile, ...], list[Judged]]:
    """Return the files with a verdict family for each policy; without any, every document is kept. What verdicts of `before` kept is no copy."""
    found = []
    for place, policy in enumerate(policies or [None]):
        files, judged = judged_as(files, policy, verdict_family(policy.name if place and policy else None), folder, before, **hands)
        found.append(judged)
    return tuple(files), found


def judged_as(
    files: Sequence[DataFile], policy: Policy | None, family: str, folder: str, before: Snapshot | None = None, **hands: Any
) -> tuple[tuple[DataFile, ...], Judged]:
    """Return the files with a policy's verdicts as one family, in place of earlier ones; what those of its name in `before` kept is no copy.

    The dataset's own policy, where none had its name before, lets stand what the dataset's own one kept then.
    """
    was = {p["name"]: p["family"] for p in before.policies} if before else {}
    first = verdict_family(None)
    under = was.get(policy.name if policy else "", first if family == first else None)
    stood = {file.id: a for file in (before.files if before else ()) for a in file.annotations if a.family == under}
    judged = judge(files, policy, folder, family=family, stood=stood, **hands)
    return attached(files, judged.annotations), judged


def stored(policy: Policy, append: bool = False) -> dict[str, Any]:
    """A policy as a draft carries it; with `append` its verdicts let stand what those before them kept."""
    return {**policy.body, "name": policy.name, "digest": policy.digest, "sources": list(policy.sources), **({"append": True} if append else {})}


def attached(files: Sequence[DataFile], annotations: dict[str, Annotation]) -> tuple[DataFile, ...]:
    """Return the files with one more annotation each, in place of an earlier one of its family."""
    whole = []
    for file in files:
        new = annotations[file.id]
        whole.append(replace(file, annotations=(*(a for a in file.annotations if a.family != new.family), new)))
    return tuple(whole)


def _publish_bands(part: Part, work: Work, bands: Sequence[str], files: Sequence[DataFile]) -> None:
    """The band tables are a dataset of their own: a later part deduplicates against them without the texts."""
    root, made = str(work.lake.root), []
    for path in bands:
        told = footer(path)
        relative = str(Path(path).relative_to(root))
        made.append(DataFile(digest(relative), relative, int(told["rows"]), Path(path).stat().st_size, told["ids"], root))
    name = f"{part.dataset}.bands"
    draft = Draft(
        dataset=name, key=digest(work.key(part), "bands", *sorted(file.path for file in made)), shape="bands", owner=work.recipe.name,
        files=tuple(made), run=work.job, parent=work.lake.head(name),
    )  # fmt: skip
    work.lake.commit(draft, take=work.options.take)


def _run(work: Work, part: Part) -> dict[str, list[dict[str, Any]]]:
    return {"run": [{"part": part.id, "recipe": work.recipe.name, "state": "done"}]}


def _from(part: Part) -> list[str]:
    given = part.given["from"]
    return [given] if isinstance(given, str) else list(given)
