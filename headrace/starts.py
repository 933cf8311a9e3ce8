"""Recipes to start from: `headrace init KIND` writes a commented one for my own files."""

import shlex
import shutil
from pathlib import Path

from catalog.errors import InputError, RecipeError, near
from catalog.house import brought

STARTS = brought("starts")


def start(kind: str, out: Path) -> str:
    """Write the recipe of a kind, and the policy that it names, and return what to do next. Nothing is overwritten."""
    known = sorted(p.stem for p in STARTS.glob("*.yaml"))
    if kind not in known:
        raise RecipeError(f"init: no kind {kind!r}{near(kind, known)}")
    if out.exists():
        raise InputError(f"{out} exists; give another name with --out")
    if not out.parent.is_dir():
        raise InputError(f"--out {out}: there is no folder {out.parent}; make it first")
    text = (STARTS / f"{kind}.yaml").read_text(encoding="utf-8")
    policy = out.parent / "policies" / "prose.yaml"
    try:
        if "policy: prose" in text and not policy.exists():
            policy.parent.mkdir(exist_ok=True)
            shutil.copyfile(STARTS / "policies" / "prose.yaml", policy)
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"--out {out}: {error.filename} cannot be written ({error.strerror}); name a file in a folder of your own") from None
    return f"wrote {out}; set its paths, then: headrace plan {shlex.quote(str(out))}"
