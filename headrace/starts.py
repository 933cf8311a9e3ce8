"""Recipes to start from: `headrace init KIND` writes a commented one for my own files."""

import shutil
from pathlib import Path

from catalog.errors import InputError, RecipeError, near
from catalog.stage import HOUSE

STARTS = HOUSE / "recipes" / "starts"


def start(kind: str, out: Path) -> str:
    """Write the recipe of a kind, and the policy that it names, and return what to do next. Nothing is overwritten."""
    known = sorted(p.stem for p in STARTS.glob("*.yaml"))
    if kind not in known:
        raise RecipeError(f"init: no kind {kind!r}{near(kind, known)}")
    if out.exists():
        raise InputError(f"{out} exists; give another name with --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(STARTS / f"{kind}.yaml", out)
    text = out.read_text(encoding="utf-8")
    policy = out.parent / "policies" / "prose.yaml"
    if "policy: prose" in text and not policy.exists():
        policy.parent.mkdir(exist_ok=True)
        shutil.copyfile(STARTS / "policies" / "prose.yaml", policy)
    return f"wrote {out}; set its paths, then: headrace plan {out}"
