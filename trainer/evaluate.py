"""Evaluation: bits per byte on a hold-out, and what a model writes when asked."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import Tensor
from transformers import PreTrainedModel

from catalog.errors import InputError
from mixer import tokenizer as tokenizers
from mixer.samples import Samples
from trainer import machine, models
from trainer.losses import bits, log_probs

ROWS = 32
"""Rows of the hold-out at a time. It is part of the figure: other sizes round differently in the last digits."""

Score = dict[str, Any]
Prompt = str | Sequence[Mapping[str, str]]


def bits_per_byte(model_folder: str | Path, run_folder: str | Path, *, precision: str = "auto", threads: int | None = None) -> Score:
    """Return how many bits a model needs for each byte of a run's hold-out, over all and by domain; less is better.

    {"overall": float, "domains": {name: float}, "tokens": int, "bytes": int}. The figure does not depend on the tokenizer:
    it is the sum of -log2 p over predicted tokens, over the UTF-8 bytes that they stand for. Raises InputError where the
    run has no hold-out or its tokens are not the model's.
    """
    model, samples = _opened(model_folder, run_folder, threads)
    return score(measure(model, samples, precision), samples)


def bits_by_document(model_folder: str | Path, run_folder: str | Path, *, precision: str = "auto", threads: int | None = None) -> Score:
    """Return what `bits_per_byte` does, and under `documents` a frame of how many bits each document of the hold-out took.

    Its columns: doc_id, domain, host, uri, tokens, bits, bytes; one row a document, in the order of the hold-out. tokens and bytes
    are those that were predicted: a document's first token is not, so one of a single token has 0 of all three.
    """
    model, samples = _opened(model_folder, run_folder, threads)
    about = samples.held_out_documents().select("doc_id", "domain", "host", "uri")
    found = np.zeros((about.height, 3))
    for batch, nats in _nats(model, samples, precision):
        asked = batch["labels"] >= 0
        labels, of = batch["labels"][asked], batch["document"][asked]
        np.add.at(found, of, np.stack([nats.cpu().numpy()[asked], samples.token_bytes[labels], np.ones(labels.size)], 1))
    domain = about["domain"].replace_strict({name: i for i, name in enumerate(samples.held_out_domains)}, return_dtype=pl.Int64).to_numpy()
    by_domain = np.zeros((len(samples.held_out_domains), 3))
    np.add.at(by_domain, domain, found)
    counts = {"tokens": found[:, 2].astype(np.int64), "bits": found[:, 0] / np.log(2), "bytes": found[:, 1].astype(np.int64)}
    return {**score(by_domain, samples), "documents": about.with_columns(pl.Series(name, values) for name, values in counts.items())}


def _opened(model_folder: str | Path, run_folder: str | Path, threads: int | None) -> tuple[PreTrainedModel, Samples]:
    """A model and the run whose hold-out it is asked about. Raises InputError where there is none, or its tokens are not the model's."""
    samples = Samples.open(run_folder)
    if not samples.lock["held_out"]["documents"]:
        raise InputError(f"{run_folder}: its mixture holds nothing out; set hold_out: 5% in the mix")
    if tokenizers.identity(model_folder) != samples.lock["tokenizer"]:
        raise InputError(f"{model_folder}: its tokenizer is not the one of {run_folder}; measure on a mixture of its own tokens")
    machine.set_threads(threads)
    return models.read(model_folder).to(machine.device()), samples


def measure(model: PreTrainedModel, samples: Samples, precision: str, *, rank: int = 0, world: int = 1) -> npt.NDArray[np.float64]:
    """Return nats, bytes and tokens by domain of the hold-out, [domains, 3]: this rank's share, to be summed over ranks."""
    found = np.zeros((len(samples.held_out_domains), 3))
    for batch, nats in _nats(model, samples, precision, rank, world):
        np.add.at(found, batch["source"], np.stack([nats.sum(1).cpu().numpy(), batch["row_bytes"], (batch["labels"] >= 0).sum(1)], 1))
    return found


@torch.no_grad()
def _nats(model: PreTrainedModel, samples: Samples, precision: str, rank: int = 0, world: int = 1) -> Iterator[tuple[dict[str, Any], Tensor]]:
    """Yield each batch of the hold-out that is this rank's with the nats of its labels, float64 [B, T], 0 where nothing is asked."""
    where, was_training = next(model.parameters()).device, model.training
    model.eval()
    for i, batch in enumerate(samples.held_out(ROWS)):
        if i % world != rank:
            continue
        labels = torch.from_numpy(batch["labels"]).to(where)
        with machine.autocast(where, precision):
            hidden = models.hidden_states(model, torch.from_numpy(batch["tokens"]).to(where), torch.from_numpy(batch["positions"]).to(where))
            said = log_probs(hidden.flatten(0, 1), models.head(model), labels.flatten()).view_as(labels)
        yield batch, -said.double()
    model.train(was_training)


def score(measured: npt.NDArray[np.float64], samples: Samples) -> Score:
    """Return bits per byte of what `measure` counted, over all ranks."""
    by_domain = {name: bits(row[0]) / row[1] for name, row in zip(samples.held_out_domains, measured.tolist(), strict=True) if row[1]}
    nats, size, tokens = measured.sum(0).tolist()
    return {"overall": bits(nats) / size if size else None, "domains": by_domain, "tokens": int(tokens), "bytes": int(size)}


def sample(
    model_folder: str | Path,
    prompts: Sequence[Prompt],
    *,
    tokens: int = 64,
    temperature: float = 0.0,
    seed: int = 0,
    precision: str = "auto",
    threads: int | None = None,
) -> list[str]:
    """Return what the model writes after each prompt: greedily at temperature 0, else drawn with `seed`.

    A prompt is text to go on from, or messages ({role, content}) that the model's chat template turns into text. It stops at
    the end of text or of a turn, at `tokens`, or where its context is full. Raises InputError for messages without a template.
    """
    machine.set_threads(threads)
    model = models.read(model_folder).to(machine.device()).eval()
    opened, stops = tokenizers.load(model_folder), tokenizers.stops(model_folder)
    written = []
    for i, prompt in enumerate(prompts):
        start = _encode(opened, prompt, str(model_folder))
        dice = torch.Generator().manual_seed(seed + i)
        with machine.autocast(machine.device(), precision):
            written.append(opened.decode(_continue(model, start, tokens, temperature, stops, dice)))
    return written


def _encode(opened: tokenizers.Tokenizer, prompt: Prompt, folder: str) -> list[int]:
    if isinstance(prompt, str):
        return [int(i) for i in opened.encode([prompt])[0]] or [opened.eos]
    if opened.template is None:
        raise InputError(f"{folder}: its tokenizer has no chat template; give plain text")
    return [int(i) for i in opened.encode([opened.template.render(prompt, ask=True)], markup=True)[0]]


@torch.no_grad()
def _continue(model: PreTrainedModel, start: list[int], tokens: int, temperature: float, stops: list[int], dice: torch.Generator) -> list[int]:
    """Write token by token, keeping what attention has seen."""
    room = int(getattr(model.config, "max_position_embeddings", 1 << 30)) - len(start)
    seen, given, written = None, torch.tensor([start], device=model.device), []
    for _ in range(min(tokens, room)):
        answer = model(input_ids=given, past_key_values=seen, use_cache=True)
        logits, seen = answer.logits[0, -1].float().cpu(), answer.past_key_values
        token = int(torch.multinomial((logits / temperature).softmax(0), 1, generator=dice)) if temperature > 0 else int(logits.argmax())
        if token in stops:
            break
        written.append(token)
        given = torch.tensor([[token]], device=model.device)
    return written
