"""What is minimised, as modules: they sit between the model and the loop, so that DDP and autocast see one forward pass."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from trainer.losses import IGNORED, cross_entropy, dpo, log_probs
from trainer.models import head, hidden_states

Tensors = dict[str, Tensor]
Batch = dict[str, npt.NDArray[Any]]


class NextToken(nn.Module):
    """Cross-entropy summed over the supervised tokens of packed rows: pre-training, and SFT by its labels."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Tensors) -> Tensors:
        hidden_BTD = hidden_states(self.model, batch["tokens"], batch["positions"])
        return {"loss": cross_entropy(hidden_BTD.flatten(0, 1), head(self.model), batch["labels"].flatten())}


class Pairs(nn.Module):
    """DPO summed over pairs. Rows 2i and 2i + 1 of a batch are the chosen and the rejected answer of pair i.

    `reference` [B, 2] is what the reference model said of both. Beside the loss: how often the chosen answer gained more
    than the rejected one (accuracy), and by how much (margin, in nats times beta).
    """

    def __init__(self, model: PreTrainedModel, beta: float) -> None:
        super().__init__()
        self.model, self.beta = model, beta

    def forward(self, batch: Tensors) -> Tensors:
        said_B2 = answers(self.model, batch)
        reference_B2 = batch["reference"]
        found = dpo(said_B2[:, 0], said_B2[:, 1], reference_B2[:, 0], reference_B2[:, 1], beta=self.beta)
        margin_B = found.chosen_B - found.rejected_B
        return {"loss": found.loss_B.sum(), "accuracy": (margin_B > 0).float().sum(), "margin": margin_B.sum()}


def answers(model: PreTrainedModel, batch: Tensors) -> Tensor:
    """Return the log-probability of each answer, summed over its supervised tokens, in nats: [B, 2], chosen then rejected."""
    hidden = hidden_states(model, batch["tokens"], batch["positions"])
    said = log_probs(hidden.flatten(0, 1), head(model), batch["labels"].flatten())
    return said.view(batch["labels"].shape).sum(1).view(-1, 2)


def supervised(batch: Batch) -> int:
    """Return how many tokens of a batch a loss counts."""
    return int((batch["labels"] != IGNORED).sum())


def pairs(batch: Batch) -> int:
    """Return how many pairs a batch holds."""
    return int(np.asarray(batch["labels"]).shape[0] // 2)


def tensors(batch: Batch, device: torch.device) -> Tensors:
    """Return the arrays of a batch on a device."""
    return {name: torch.from_numpy(array).to(device) for name, array in batch.items()}
