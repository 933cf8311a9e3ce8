"""Models: what is built, that packing separates documents, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, Gemma2Config, GPT2Config, MambaConfig, PreTrainedModel

from catalog.errors import InputError, RecipeError
from mixer import tokenizer as tokenizers
from trainer import models
from trainer.presets import PRESETS

VOCABULARY = 300


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizers.train([f"the river turns wheel {i} of the mill\n\n" for i in range(50)], VOCABULARY, folder)
    return folder


def tiny(words: Path, seed: int = 1) -> PreTrainedModel:
    return models.build({"preset": "tiny"}, words, context=64, seed=seed)


def other(config: Any) -> PreTrainedModel:
    """A small random model of another kind."""
    torch.manual_seed(0)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config)
    return model


def test_a_preset_is_a_llama_of_its_size_with_the_tokenizers_vocabulary(words: Path) -> None:
    model, size = tiny(words), tokenizers.load(words).size
    assert models.parameters(model) == PRESETS["tiny"].parameters(size)
    assert model.config.model_type == "llama" and model.config.vocab_size == size and model.config.head_dim == 32
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_the_first_weights_follow_the_seed_alone(words: Path) -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    one, again, two = tiny(words), tiny(words), tiny(words, seed=2)
    assert torch.equal(torch.get_rng_state(), state), "building a model moved the global dice"
    same = [torch.equal(a, b) for a, b in zip(one.parameters(), again.parameters(), strict=True)]
    assert all(same) and not torch.equal(models.head(one), models.head(two))


def test_packed_documents_are_as_each_alone(words: Path) -> None:
    """Hidden states, gradients and a poisoned neighbour: rows of 20 + 30 + 1 + 13 tokens."""
    model = tiny(words)
    dice = torch.Generator().manual_seed(0)
    lengths = [20, 30, 1, 13]
    row = torch.randint(VOCABULARY - 10, (1, 64), generator=dice)
    positions = torch.cat([torch.arange(n) for n in lengths])[None]
    packed = models.hidden_states(model, row, positions)
    alone = [models.hidden_states(model, part, torch.arange(part.shape[1])[None]) for part in row.split(lengths, 1)]
    assert torch.allclose(packed, torch.cat(alone, 1), atol=1e-5)

    weights = torch.randn(packed.shape, generator=dice)
    parameters = list(model.parameters())
    together = torch.autograd.grad((packed * weights).sum(), parameters)
    apart = torch.autograd.grad((torch.cat(alone, 1) * weights).sum(), parameters)
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-4) for a, b in zip(together, apart, strict=True))

    poisoned = row.clone()
    poisoned[0, 20:50] = (row[0, 20:50] + 1) % VOCABULARY
    changed = models.hidden_states(model, poisoned, positions)
    assert torch.equal(changed[0, :20], packed[0, :20]) and torch.equal(changed[0, 50:], packed[0, 50:])
    assert not torch.allclose(changed[0, 20:50], packed[0, 20:50], atol=1e-2)


def test_two_rows_of_which_one_is_whole_are_masked_alike(words: Path) -> None:
    model = tiny(words)
    rows = torch.arange(64).remainder(200).view(2, 32)
    positions = torch.stack([torch.arange(32), torch.arange(16).repeat(2)])
    both = models.hidden_states(model, rows, positions)
    assert torch.allclose(both[:1], models.hidden_states(model, rows[:1], positions[:1]), atol=1e-5)


def test_models_that_leak_or_change_their_logits_are_refused() -> None:
    with pytest.raises(InputError, match="lets packed documents see each other"):
        models.prove(other(MambaConfig(vocab_size=100, hidden_size=32, num_hidden_layers=2)), "mamba")
    capped = Gemma2Config(
        vocab_size=100, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=2, head_dim=16,
        final_logit_softcapping=0.01, attn_implementation="eager",
    )  # fmt: skip
    with pytest.raises(InputError, match="changes its logits after the head"):
        models.prove(other(capped), "gemma")


def test_a_written_folder_is_read_back_bit_by_bit(words: Path, tmp_path: Path) -> None:
    model = tiny(words)
    digest = models.write(model, words, tmp_path / "model")
    back = models.build({"folder": str(tmp_path / "model")}, words, context=64, seed=9)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), back.parameters(), strict=True))
    assert digest == models.digest(tmp_path / "model" / models.WEIGHTS)
    assert models.write(model, words, tmp_path / "model") == digest, "writing again replaces the folder"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model"]


def test_rotary_positions_stretch_and_learned_ones_do_not(words: Path, tmp_path: Path) -> None:
    models.write(tiny(words), words, tmp_path / "llama")
    assert models.build({"folder": str(tmp_path / "llama")}, words, context=128, seed=1).config.max_position_embeddings == 128
    models.write(other(GPT2Config(vocab_size=VOCABULARY, n_positions=64, n_embd=32, n_layer=1, n_head=2)), words, tmp_path / "gpt2")
    assert models.build({"folder": str(tmp_path / "gpt2")}, words, context=64, seed=1).config.n_positions == 64
    with pytest.raises(InputError, match="sees at most 64 tokens; set context: 64 or less"):
        models.build({"folder": str(tmp_path / "gpt2")}, words, context=128, seed=1)


def test_what_cannot_be_started_from_is_refused_in_a_line(words: Path, tmp_path: Path) -> None:
    def refused(start: dict[str, str], kind: type[Exception], said: str) -> None:
        with pytest.raises(kind, match=said) as raised:
            models.build(start, words, context=64, seed=1)
        assert "\n" not in str(raised.value)

    refused({"preset": "tinny"}, RecipeError, "no preset 'tinny'; did you mean 'tiny'")
    folder = tmp_path / "model"
    models.write(tiny(words), words, folder)
    tokenizers.copy(words, tmp_path / "bare")
    refused({"folder": str(tmp_path / "bare")}, InputError, "no config.json")
    weights = folder / models.WEIGHTS
    whole = weights.read_bytes()
    weights.rename(folder / "pytorch_model.bin")
    refused({"folder": str(folder)}, InputError, "pickled weights are not opened")
    weights.write_bytes(whole[:-5])
    refused({"folder": str(folder)}, InputError, "transformers cannot open it")
    weights.write_bytes(whole)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 5}))
    refused({"folder": str(folder)}, InputError, "the weights lack")
    (folder / "tokenizer.json").write_text((folder / "tokenizer.json").read_text() + " ")
    refused({"folder": str(folder)}, InputError, "its tokenizer is not the one")
