"""`headrace policy try` and `apply`: decide about a dataset that is scored already. No signal is computed."""

import sys
from pathlib import Path

import typer

from catalog.errors import PolicyError, near
from catalog.files import Draft, Snapshot
from catalog.ids import digest
from catalog.lake import Lake
from catalog.stage import HOUSE
from curate.policy import Policy, load
from curate.trial import attempt
from curate.trial import table as outcomes
from headrace.curating import judged_by, stored
from headrace.jobs import new_job
from headrace.tables import as_text, table

QUARANTINED = 'SELECT uri, source, reason, exception, record_offset AS "offset" FROM quarantine WHERE dataset = ?'


def find_policy(name: str) -> Policy:
    """Return the policy in a file, or of that name in ./policies or recipes/policies."""
    folders = (Path("policies"), HOUSE / "recipes" / "policies")
    for path in (Path(name), *(folder / f"{name}.yaml" for folder in folders)):
        if path.is_file():
            return load(path, path.stem)
    known = [p.stem for folder in folders for p in folder.glob("*.yaml")]
    raise PolicyError(f"{name}: no such policy file{near(name, known)}")


def show_try(path: str, name: str, on: str, exact: bool, as_json: bool) -> None:
    """Print what a policy would keep and drop, beside what the dataset's own policy did."""
    policy = find_policy(name)
    with Lake.open(path) as lake:
        snapshot = lake.snapshot(on)
        if exact:
            trial = attempt(snapshot.files, policy, exact=True)
        else:
            files, below = lake.sampled(on)
            trial = attempt(files, policy, exact=False, below=below)
            if trial.documents == snapshot.rows:  # the sample is all there is: then keepers can be chosen as in `apply`
                trial = attempt(snapshot.files, policy, exact=True)
    rows = outcomes(trial)
    if as_json:
        typer.echo(as_text({"dataset": snapshot.name, "documents": trial.documents, "exact": trial.exact, "outcomes": rows}, indent=1))
        return
    of = f"{trial.documents:,} documents of {snapshot.name}" + ("" if trial.exact else f" (a sample of {snapshot.rows:,}; 95 % interval)")
    shown = [
        {"outcome": r["outcome"], "documents": r["documents"], "share": f"{r['share']:.2%}"}
        | ({} if trial.exact else {"between": f"{r['low']:.2%} and {r['high']:.2%}"})
        for r in rows
    ]
    table(shown, title=f"{policy.name} on {of}")
    typer.echo(f"now kept: {snapshot.kept:,} of {snapshot.rows:,}")


def apply_policy(path: str, name: str, on: str, lock_timeout: float) -> None:
    """Judge a dataset by one more policy, or by a changed one, and publish the verdicts."""
    policy = find_policy(name)
    with Lake.open(path, lock_timeout=lock_timeout) as lake:
        snapshot = lake.snapshot(lake.snapshot(on).name)  # `corpus/strict` puts that policy first; which one is first must not change
        there = any((p["name"], p["digest"]) == (policy.name, policy.digest) for p in snapshot.policies)
        published = snapshot if there else lake.commit(judged_again(lake, snapshot, policy), take=True)
        label = published.dataset if published.policies[0]["name"] == policy.name else f"{published.dataset}/{policy.name}"
        kept = lake.snapshot(f"{label}@v{published.version}").kept
        head = lake.head(published.dataset) == published.version
    seen = _sql(label if head else f"{label}@v{published.version}")
    typer.echo(f"{published.name}: {policy.name} keeps {kept:,} of {published.rows:,} documents; see data.{seen}")


def judged_again(lake: Lake, snapshot: Snapshot, policy: Policy) -> Draft:
    """The draft of a dataset with this policy in place of one of its name, or after those it has."""
    from curate.policy import from_body

    kept = [policy if p["name"] == policy.name else from_body(p["name"], p) for p in snapshot.policies]
    policies = kept if policy.name in [p.name for p in kept] else [*kept, policy]
    key = digest(snapshot.key, "policy", *[p.name + p.digest for p in policies])
    folder = str(Path(lake.root) / "annotations" / snapshot.dataset / key)
    files, _ = judged_by(snapshot.files, policies, folder)
    job = new_job(str(lake.root), f"policy-{policy.name}", " ".join(sys.argv[1:]))
    job.mark({f"policy.{policy.name}": "done"}).end("done")
    return Draft(
        dataset=snapshot.dataset, key=key, shape=snapshot.shape, owner=snapshot.owner, files=files, run=job.id,
        quarantine=tuple(lake.rows(QUARANTINED, [snapshot.dataset])), policies=tuple(stored(p) for p in policies),
        lineage=snapshot.lineage, parent=lake.head(snapshot.dataset),
    )  # fmt: skip


def _sql(label: str) -> str:
    return label if label.isidentifier() else f'"{label}"'
