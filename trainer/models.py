"""Models: made from a preset or read from a folder, proved fit for packed training, and written so that others can open them.

What is read is data: safetensors only, no code of the folder's own. What is written is a transformers folder with its
tokenizer, which vLLM opens as it is.
"""

import hashlib
import os
import shutil
import uuid
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from torch import Tensor
from transformers import AutoModelForCausalLM, GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from catalog.errors import InputError, RecipeError, near
from catalog.schema import derive
from mixer import tokenizer as tokenizers
from trainer import attention
from trainer.presets import PRESETS

WEIGHTS = "model.safetensors"

transformers.utils.logging.disable_progress_bar()
transformers.utils.logging.set_verbosity_error()


def build(start: dict[str, str], tokenizer: str | Path, *, context: int, seed: int) -> PreTrainedModel:
    """Return the model that an act starts from, fp32 on the CPU, checked by `prove`.

    `start` is {"preset": name} or {"folder": path}. Raises RecipeError for an unknown preset, InputError for a folder that
    cannot be used with this tokenizer or context.
    """
    opened = tokenizers.load(tokenizer)
    if "folder" in start:
        if tokenizers.identity(start["folder"]) != opened.sha256:
            raise InputError(f"{start['folder']}: its tokenizer is not the one that the tokens were made with; mix again with tokenizer: {{from: ...}}")
        model = read(start["folder"])
        _widen(model, opened.size, context, start["folder"])
        prove(model, start["folder"])
        return model
    name = start["preset"]
    if name not in PRESETS:
        raise RecipeError(f"model: no preset {name!r}{near(name, PRESETS)}")
    pad = opened.pad if opened.pad != opened.eos else None
    config = LlamaConfig(**PRESETS[name].config(opened.size, context), bos_token_id=opened.eos, eos_token_id=opened.eos, pad_token_id=pad)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "init"))
        model = LlamaForCausalLM(config)
    attention.shorten(model)
    prove(model, name)
    return model


def read(folder: str | Path) -> PreTrainedModel:
    """Open a local transformers folder in fp32. Raises InputError where there is none, or where it is not whole."""
    place = Path(folder)
    if not (place / "config.json").is_file():
        raise InputError(f"{folder}: no config.json; name the folder of a transformers model")
    if not any(place.glob("*.safetensors")):
        raise InputError(f"{folder}: no safetensors; pickled weights are not opened, convert them first")
    try:
        model, report = AutoModelForCausalLM.from_pretrained(
            place, dtype=torch.float32, use_safetensors=True, trust_remote_code=False, local_files_only=True, output_loading_info=True
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise InputError(f"{folder}: transformers cannot open it: {str(error).splitlines()[0]}") from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise InputError(f"{folder}: the weights lack {len(missing)} tensors, {missing[0]} among them; the folder is not whole")
    assert isinstance(model, PreTrainedModel)
    attention.shorten(model)
    return model


def _widen(model: PreTrainedModel, vocabulary: int, context: int, folder: str) -> None:
    """Rotary positions go on for ever; learned ones end, and then the context has to."""
    own, most = int(model.config.vocab_size), getattr(model.config, "max_position_embeddings", None)
    if own < vocabulary:
        raise InputError(f"{folder}: {own} embeddings, but the tokenizer has {vocabulary} ids")
    if most is not None and context > most:
        if getattr(model.config, "rope_parameters", None) is None:
            raise InputError(f"{folder}: sees at most {most} tokens; set context: {most} or less")
        model.config.max_position_embeddings = context


def hidden_states(model: PreTrainedModel, tokens_BT: Tensor, positions_BT: Tensor) -> Tensor:
    """Return what the head sees, [B, T, D].

    Positions that start again at 0 and the absence of an attention mask make transformers mask one document from the next.
    """
    found: Tensor = model.base_model(input_ids=tokens_BT, position_ids=positions_BT, use_cache=False).last_hidden_state
    return found


def head(model: PreTrainedModel) -> Tensor:
    """Return the matrix that makes logits of hidden states, [V, D]."""
    weight = model.get_output_embeddings().weight
    assert isinstance(weight, Tensor)
    return weight


def still(model: PreTrainedModel) -> PreTrainedModel:
    """Return the model without dropout: a policy is compared with a reference that has none."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = 0.0
    return model


@torch.no_grad()
def prove(model: PreTrainedModel, name: str) -> None:
    """Show, on two documents of 8 tokens in one row, that training this model as we do is right. Raises InputError if not.

    A document must not see the one before it (trl#1230 trained for years with that), and the head must be a bare matrix,
    since the loss makes logits itself.
    """
    half, vocabulary = 8, int(model.config.vocab_size)
    device = next(model.parameters()).device
    tokens = (torch.arange(2 * half, device=device) * 7 + 3).remainder(vocabulary)[None]
    positions = torch.arange(half, device=device).repeat(2)[None]
    poisoned = tokens.clone()
    poisoned[:, :half] = (tokens[:, :half] + 1) % vocabulary
    was_training = model.training
    model.eval()
    clean, other = hidden_states(model, tokens, positions), hidden_states(model, poisoned, positions)
    logits = model(input_ids=tokens, position_ids=positions, use_cache=False).logits
    model.train(was_training)
    scale = float(clean.abs().max())
    if not torch.allclose(clean[:, half:], other[:, half:], atol=1e-4 * scale, rtol=0):
        raise InputError(f"{name}: this kind of model lets packed documents see each other; only models that honour position_ids can be trained")
    if not torch.allclose(logits, clean @ head(model).T, atol=1e-3 * max(1.0, float(logits.abs().max())), rtol=0):
        raise InputError(f"{name}: this kind of model changes its logits after the head (bias, scale or cap), which our losses do not know")


def write(model: PreTrainedModel, tokenizer: str | Path, folder: Path) -> str:
    """Write a transformers folder with its tokenizer, whole or not at all; return the sha256 of its weights.

    fp32, as it was trained: rounding to bf16 would undo the small steps of preference training. One file of weights.
    """
    work = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.tmp")
    ends = tokenizers.stops(tokenizer)
    attention.restore(model)
    model.config.use_cache = True
    model.generation_config = GenerationConfig(bos_token_id=model.config.bos_token_id, eos_token_id=ends, pad_token_id=model.config.pad_token_id)
    model.save_pretrained(work, max_shard_size="1TB")
    tokenizers.copy(tokenizer, work)
    for file in work.iterdir():
        sync(file)
    sync(work)
    if folder.exists():  # an earlier export that was not recorded as done
        shutil.rmtree(folder)
    os.rename(work, folder)
    sync(folder.parent)
    return digest(folder / WEIGHTS)


def digest(file: Path) -> str:
    """Return the sha256 of a file."""
    with open(file, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Make a file or a folder's entries durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def parameters(model: Any) -> int:
    """Return how many numbers are trained; tied ones count once."""
    return sum(p.numel() for p in model.parameters())
