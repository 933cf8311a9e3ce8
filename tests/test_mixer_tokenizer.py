"""Tokenizers: lossless, repeatable, open in transformers and vLLM, and text cannot speak in special tokens."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import InputError, RecipeError
from mixer import tokenizer as tokenizers
from mixer.tokenizer import EOS, SPECIALS, TURN_END, Tokenizer

TEXTS = [f"The river {i} runs to mill number {i * 7}.\n\n\tdef turn_{i}(wheel):\n        return wheel + {i}\n" for i in range(300)]
CHAT = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Hi\n"},
    {"role": "assistant", "content": "\nThe river 🙂\n"},
    {"role": "user", "content": "And?"},
    {"role": "assistant", "content": "It runs."},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tokenizer")
    tokenizers.train(TEXTS, 400, made)
    return made


@pytest.fixture(scope="module")
def opened(folder: Path) -> Tokenizer:
    return tokenizers.load(folder)


def test_the_same_texts_give_the_same_file_with_any_number_of_threads(folder: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from mixer.tokenizer import train\n"
        "texts = [f'The river {i} runs to mill number {i * 7}.\\n\\n\\tdef turn_{i}(wheel):\\n        return wheel + {i}\\n' for i in range(300)]\n"
        "print(train(texts, 400, sys.argv[1]))"
    )
    for threads in ("1", "3"):
        run = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / threads)], env={**os.environ, "RAYON_NUM_THREADS": threads}, capture_output=True, text=True, check=True
        )
        assert run.stdout.strip() == tokenizers.identity(folder)


def test_a_folder_says_what_it_is(opened: Tokenizer) -> None:
    assert (opened.eos, opened.pad, opened.size, opened.dtype) == (0, 3, 400, "uint16")
    assert set(opened.specials) == set(SPECIALS)
    assert opened.joins()
    assert tokenizers.stops(opened.folder) == [0, 2]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=40), max_size=5))
def test_any_text_comes_back_and_its_bytes_are_counted(opened: Tokenizer, texts: list[str]) -> None:
    for text, ids in zip(texts, opened.encode(texts), strict=True):
        assert opened.decode(ids) == text
        assert opened.token_bytes[ids].sum() == len(text.encode())


def test_text_cannot_speak_in_special_tokens(opened: Tokenizer) -> None:
    text = f"a{EOS}b{TURN_END}"
    assert not set(opened.encode([text])[0].tolist()) & {0, 1, 2, 3}
    assert {0, 2} <= set(opened.encode([text], markup=True)[0].tolist())
    assert opened.decode(opened.encode([text])[0]) == text


def test_transformers_opens_it_and_agrees(opened: Tokenizer) -> None:
    from transformers import AutoTokenizer

    theirs = AutoTokenizer.from_pretrained(opened.folder)
    assert (theirs.eos_token_id, theirs.pad_token_id, len(theirs)) == (0, 3, 400)
    assert theirs.encode(TEXTS[3]) == opened.encode([TEXTS[3]])[0].tolist()
    assert opened.template is not None
    assert theirs.apply_chat_template(CHAT, tokenize=False) == opened.template.render(CHAT)
    found = theirs.apply_chat_template(CHAT, return_dict=True, return_assistant_tokens_mask=True)
    segments = opened.template.segments(CHAT)
    pieces = opened.encode([text for text, _ in segments], markup=True)
    mask = [int(supervised) for (_, supervised), piece in zip(segments, pieces, strict=True) for _ in piece]
    assert found["input_ids"] == np.concatenate(pieces).tolist()
    assert found["assistant_masks"] == mask


@pytest.mark.vllm
@pytest.mark.slow
def test_vllm_opens_it(opened: Tokenizer) -> None:
    from vllm.tokenizers import get_tokenizer

    theirs = get_tokenizer(opened.folder)
    assert theirs.encode(TEXTS[3]) == opened.encode([TEXTS[3]])[0].tolist()


def test_only_the_tokenizers_files_are_copied(folder: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").write_text("weights")
    tokenizers.copy(folder, tmp_path / "run")
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"]
    assert tokenizers.load(tmp_path / "run").sha256 == tokenizers.identity(folder)


def test_a_models_own_template_file_and_tokens_are_read(folder: Path, tmp_path: Path) -> None:
    tokenizers.copy(folder, tmp_path)
    config = {"eos_token": {"content": TURN_END}, "chat_template": [{"name": "tools", "template": "t"}, {"name": "default", "template": "{{ eos_token }}d"}]}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    opened = tokenizers.load(tmp_path)
    assert (opened.eos, opened.pad) == (2, 2)
    assert opened.template is not None
    assert opened.template.render([]) == "<|im_end|>d"
    (tmp_path / "chat_template.jinja").write_text("file")
    again = tokenizers.load(tmp_path)
    assert again.template is not None
    assert again.template.render([]) == "file"


def test_mistakes_are_one_line(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="^tokenizer: a vocabulary of 100 is too small; the bytes and special tokens take 260$"):
        tokenizers.train(TEXTS, 100, tmp_path)
    with pytest.raises(InputError, match="no tokenizer.json; name the folder of a transformers tokenizer$"):
        tokenizers.load(tmp_path)
    tokenizers.copy(folder, tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("{}")
    with pytest.raises(InputError, match="names no eos_token that tokenizer.json knows; documents need an end$"):
        tokenizers.load(tmp_path)
