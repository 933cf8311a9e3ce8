"""`headrace policy fit` and `headrace policy stop-words`: what a policy needs to know of each language, found in the corpus itself."""

import os
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import typer
import yaml

from catalog.errors import PolicyError
from catalog.house import brought
from catalog.ids import digest
from catalog.lake import Lake
from catalog.predicates import parse
from curate.corpus import batches
from curate.limits import BY, fitted, query, rules, written
from curate.policy import load
from curate.sheets import read
from curate.text.frequent import Counted, count, frequent
from headrace.judging import policy_file
from headrace.tables import table as show

PURE = 0.9
"""`language.share` from which a document is all in one language: English pages among others would give their words to every list."""


def show_fit(lake_path: str, name: str, on: str, out: Path | None, least: int, where: str | None, sql: bool) -> None:
    """Fit the parameters of a policy to a dataset, language by language; print them, or write a policy that extends it with them."""
    path = policy_file(name)
    if where is not None:
        parse(where, "--where: ")
    found, declared = rules(read(path)), load(path).params
    if not found:
        raise PolicyError(f"{path}: has no fit:, and neither has what it extends; say there how each parameter is found")
    with Lake.open(lake_path) as lake:
        snapshot = lake.snapshot(on)
        label = f"{snapshot.dataset}@v{snapshot.version}"
        if "@" in on:
            raise PolicyError(f"policy fit: --on {on}: a query reads a dataset as it stands; leave out the version")
        statement = query(found, on, least=least, where=where)
        if sql:
            typer.echo(statement)
            return
        answer = lake.query(statement).to_pylist()
    if not answer:
        raise PolicyError(f"policy fit: {label} has no language with {least} documents; give a lower --least")
    show(answer)
    params = fitted(found, answer, declared)
    note = f"{Path(path).stem} fitted to {label} by {BY}, languages of {least} documents and more" + (f", where {where}" if where else "")
    if out is not None:
        _put(out, written(_named(path, out), params, note))
        typer.echo(f"{out}: {len(params)} parameters of {len(answer)} languages")


def _named(path: Path, out: Path) -> str:
    """What a policy at `out` calls the one at `path`: by its name where that is the house's or stands beside it, else by its path."""
    if path.resolve().parent in (out.resolve().parent, brought("policies").resolve()):
        return path.stem
    return os.path.relpath(path.resolve(), out.resolve().parent)


def show_stop_words(lake_path: str, on: str, out: Path | None, share: float, least: int, most: int) -> None:
    """Find each language's stop words in a dataset's sample; print them, or write them to a file in a folder, named after what it holds."""
    with Lake.open(lake_path) as lake:
        told = count(_sampled(lake, on))
    lists = {code: words for code, one in sorted(told.items()) if one.documents >= least and (words := frequent(one, share, most))}
    if not lists:
        raise PolicyError(f"policy stop-words: the sample of {on} has no language with {least} documents; give a lower --least")
    if out is None:
        show([_row(code, told[code], words) for code, words in lists.items()])
        return
    text = yaml.safe_dump(lists, allow_unicode=True, sort_keys=True, default_flow_style=None, width=10**6)
    path = out / f"stop_words-{digest(text)[:8]}.yaml"
    _put(path, f"# Words that are {share} of a language's words or more, at least 8 and at most {most}, in the sample of {on}.\n{text}")
    typer.echo(f"{path}: {len(lists)} languages")


def _put(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise PolicyError(f"{path}: cannot be written: {error.strerror}") from None


def _row(code: str, one: Counted, words: list[str]) -> dict[str, object]:
    return {"language": code, "documents": one.documents, "words": one.words, "stop words": " ".join(words)}


def _sampled(lake: Lake, on: str) -> Iterator[pl.DataFrame]:
    """Yield the texts of a sample with their language, those in several languages left out."""
    for file in lake.sampled(on)[0]:
        if "language" not in [annotation.family for annotation in file.annotations]:
            raise PolicyError(f"policy stop-words: {on} has no family 'language'; add the stage language.identify to its part")
        for frame in batches(file, ["text"], ["language"]):
            told = frame["language"].struct.unnest()
            pure = told["share"].fill_null(1.0) >= PURE
            yield pl.DataFrame({"text": frame["text"], "code": told["code"]}).filter(pure)
