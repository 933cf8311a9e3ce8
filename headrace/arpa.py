"""`headrace export MODEL --out FILE`: an n-gram language model of the lake as an ARPA file, to be taken elsewhere."""

import os
from pathlib import Path

import typer

from catalog.errors import InputError, LakeError, QueryError, near
from catalog.lake import Lake
from catalog.models import unfit
from headrace.done import models, scorers
from headrace.exporting import refuse_taken

FORMS = ("arpa",)


def export_model(lake_path: str, name: str, form: str, out: Path, overwrite: bool) -> None:
    """Write a model, whole or not at all, and print what it has. `name` is that of a model of the lake, or the path of a model's folder."""
    if form not in FORMS:
        raise QueryError(f"--to {form}: cannot write that{near(form, FORMS)}")
    refuse_taken(out, overwrite)
    folder = name if "/" in name else _folder(lake_path, name.removeprefix("quality."))
    from curate.models import arpa, lookup  # numba starts in .6 s: not for a model that is not there

    model = lookup.load(folder)
    try:
        arpa.write(model, out)
    except OSError as error:
        raise QueryError(f"--out {out}: cannot be written ({os.strerror(error.errno or 0)}); name a file in a folder of your own") from None
    typer.echo(f"{name}: {len(model.words):,} words, {sum(model.meta['ngrams']):,} n-grams in {out}")


def _folder(lake_path: str, name: str) -> str:
    with Lake.open(lake_path) as lake:
        fitted, trained, datasets = scorers(lake), models(lake), lake.datasets()
        root = lake.root
    if name in fitted:
        if why := unfit(str(fitted[name]["kind"]), ["language_model"]):
            raise InputError(f"export: {name} {why}")
        return str(root / fitted[name]["folder"])
    if name in trained:
        raise InputError(f"export: {name} was trained on tokens; its folder is one that transformers opens as it is: {root / trained[name]['folder']}")
    if name in datasets:
        raise InputError(f"export: {name} is a dataset: headrace show {name} --out FILE")
    raise LakeError(f"{root}: no n-gram language model {name!r}{near(name, [one for one, row in fitted.items() if row['kind'] == 'language_model'])}")
