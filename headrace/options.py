"""What the commands share: options, and the lake that they mean."""

import os
from typing import Annotated

import typer

LakeOption = Annotated[str | None, typer.Option("--lake", metavar="PATH", help="The lake; else HEADRACE_LAKE, else ./lake.")]
LockOption = Annotated[float, typer.Option("--lock-timeout", metavar="SECONDS", help="How long to wait for another writer.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override one value, such as train.base.steps=10.")]


def lake_path(given: str | None) -> str:
    """Return the lake that a command means."""
    return os.path.abspath(given or os.environ.get("HEADRACE_LAKE") or "lake")
