"""An n-gram language model of the lake as an ARPA file: the same model comes back, and what is none is one line."""

from pathlib import Path

import pytest
from ngram_making import trained

from catalog.errors import HeadraceError
from catalog.lake import Lake
from curate.models import arpa, lookup
from headrace.arpa import export_model


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with a language model, a classifier and a model that was pre-trained."""
    home = tmp_path_factory.mktemp("arpa")
    lookup.save(trained("the mill turns", "the wheel turns the mill", order=2), home / "lake" / "runs" / "lm" / "model")
    kinds = {"fluent": "language_model", "useful": "classifier"}
    rows = [{"model": name, "act": "quality", "kind": kind, "folder": "runs/lm/model", "digest": "0"} for name, kind in kinds.items()]
    with Lake.open(home / "lake", create=True) as lake:
        lake.record({"model": [*rows, {"model": "base", "act": "pretrain", "folder": "runs/train.base/model"}]}, "run")
    return home


def said(home: Path, name: str, form: str, out: Path, overwrite: bool = False) -> str:
    with pytest.raises(HeadraceError) as error:
        export_model(str(home / "lake"), name, form, out, overwrite)
    assert error.value.exit_code == 2
    return str(error.value)


@pytest.mark.parametrize("name", ["fluent", "quality.fluent", "{lake}/runs/lm/model"])
@pytest.mark.parametrize("file", ["x.arpa", "x.arpa.gz"])
def test_a_model_comes_back_from_the_file_that_it_was_exported_to(
    home: Path, tmp_path: Path, name: str, file: str, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    name = name.format(lake=home / "lake")
    export_model(str(home / "lake"), name, "arpa", tmp_path / file, False)
    model = arpa.read(tmp_path / file)
    assert model.meta["digest"] == lookup.load(home / "lake" / "runs" / "lm" / "model").meta["digest"]
    assert capsys.readouterr().out == f"{name}: {len(model.words)} words, {sum(model.meta['ngrams'])} n-grams in {tmp_path / file}\n"
    assert list(tmp_path.iterdir()) == [tmp_path / file]


def test_what_is_no_language_model_is_one_line(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.arpa"
    assert said(home, "useful", "arpa", out) == "export: useful is a classifier, and a language model is wanted here: name another"
    where = home / "lake/runs/train.base/model"
    assert said(home, "base", "arpa", out) == f"export: base was trained on tokens; its folder is one that transformers opens as it is: {where}"
    assert said(home, "fluentt", "arpa", out) == f"{home / 'lake'}: no n-gram language model 'fluentt'; did you mean 'fluent'?"
    assert said(home, "fluent", "arap", out) == "--to arap: cannot write that; did you mean 'arpa'?"
    assert said(home, "./nowhere", "arpa", out).startswith("./nowhere: no model that can be used: ")
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_there_is_taken_when_that_is_said_alone(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.arpa"
    out.write_text("mine", encoding="utf-8")
    assert said(home, "fluent", "arpa", out) == f"--out {out}: it exists; name another, or add --overwrite"
    assert said(home, "fluent", "arpa", tmp_path / "no" / "x.arpa") == f"--out {tmp_path}/no/x.arpa: there is no folder {tmp_path}/no"
    export_model(str(home / "lake"), "fluent", "arpa", out, True)
    assert arpa.read(out).order == 2


def test_a_file_that_could_not_be_written_whole_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(arpa, "_rows", full)
    with pytest.raises(OSError, match="No space"):
        arpa.write(trained("a b"), tmp_path / "x.arpa")
    assert not list(tmp_path.iterdir())
