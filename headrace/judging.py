"""`headrace policy apply`: decide about a dataset that is scored already. No signal is computed."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
import yaml

from catalog.errors import PolicyError, near
from catalog.files import Draft, Snapshot, verdict_family
from catalog.house import policy_files, policy_names
from catalog.ids import digest
from catalog.lake import Lake
from catalog.written import read_yaml
from curate.policy import Policy, load
from headrace.curating import judged_as, stored
from headrace.jobs import new_job

QUARANTINED = 'SELECT uri, source, reason, exception, record_offset AS "offset" FROM quarantine WHERE dataset = ?'


def find_policy(name: str, settings: dict[str, Any] | None = None) -> Policy:
    """Return the policy in a file, or of that name in ./policies or among the house's own, with other values for its parameters."""
    path = policy_file(name)
    return load(path, path.stem, settings)


def policy_file(name: str) -> Path:
    """Return the path of a policy: itself a path, or a name in ./policies or of the house's own. Raises PolicyError with the nearest."""
    own = [Path("policies")]
    found = next((path for path in (Path(name), *policy_files(name, own)) if path.is_file()), None)
    if found is None:
        raise PolicyError(f"{name}: no such policy file{near(name, policy_names(own))}")
    return found


def parameters(given: Sequence[str]) -> dict[str, Any]:
    """Read `--set min_words=100`: names and numbers or texts. Raises PolicyError."""
    found: dict[str, Any] = {}
    for one in given:
        name, equals, text = one.partition("=")
        if not equals or not name.strip():
            raise PolicyError(f"--set {one}: write NAME=VALUE, such as min_words=100")
        try:
            found[name.strip()] = read_yaml(text)
        except yaml.YAMLError:
            raise PolicyError(f"--set {one}: {text!r} is neither a number nor text") from None
    return found


def apply_policy(path: str, name: str, on: str, settings: Sequence[str], lock_timeout: float) -> None:
    """Judge a dataset by one more policy, or by a changed one, and publish the verdicts."""
    policy = find_policy(name, parameters(settings))
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
    """The draft of a dataset with this policy in place of one of its name, or after those it has, whose verdicts stay as they are.

    Of a dataset that `append: true` made, what the policy of that name kept goes on standing.
    """
    append = any(p.get("append") for p in snapshot.policies)
    new, names = stored(policy, append), [p["name"] for p in snapshot.policies]
    policies = [new if name == policy.name else p for name, p in zip(names, snapshot.policies, strict=True)] + ([] if policy.name in names else [new])
    key = digest(snapshot.key, "policy", *[p["name"] + p["digest"] for p in policies])
    folder = str(Path(lake.root) / "annotations" / snapshot.dataset / key)
    family = verdict_family(policy.name if policies[0]["name"] != policy.name else None)
    files, _ = judged_as(snapshot.files, policy, family, folder, snapshot if append else None)
    job = new_job(str(lake.root), f"policy-{policy.name}", " ".join(sys.argv[1:]))
    job.mark({f"policy.{policy.name}": "done"}).end("done")
    return Draft(
        dataset=snapshot.dataset, key=key, shape=snapshot.shape, owner=snapshot.owner, files=files, run=job.id,
        quarantine=tuple(lake.rows(QUARANTINED, [snapshot.dataset])), policies=tuple(policies),
        lineage=snapshot.lineage, parent=lake.head(snapshot.dataset),
    )  # fmt: skip


def _sql(label: str) -> str:
    return label if label.isidentifier() else f'"{label}"'
