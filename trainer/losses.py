"""Losses, one function each, and the passes over the vocabulary that they stand on.

Suffixes name axes: N = tokens, B = pairs, D = width, V = vocabulary. The logits of a whole batch are never held: both passes
below walk over the tokens in chunks, and tokens that no loss counts never meet the vocabulary.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

IGNORED = -100
"""The label that no loss counts, as everywhere in torch."""

CHUNK_LOGITS = {"cpu": 1 << 19, "cuda": 1 << 27}
"""Logits held at once. On a CPU 2 MB of fp32 stay in a core's cache: a third faster than all at once."""


def cross_entropy(hidden_ND: Tensor, head_VD: Tensor, labels_N: Tensor) -> Tensor:
    """Return the sum over counted tokens of -log p(label), in nats; logits are hidden @ head.T. A scalar, fp32 or float64.

    Gradients are made in the same walk, so the head's matrix is multiplied three times, as without chunks.
    Under autocast the products are in its type and sums in fp32.
    """
    loss: Tensor = _CrossEntropy.apply(hidden_ND, head_VD, labels_N)  # type: ignore[no-untyped-call]
    return loss


def log_probs(hidden_ND: Tensor, head_VD: Tensor, labels_N: Tensor) -> Tensor:
    """Return log p(label) of each token, 0 where the label is IGNORED: [N], fp32 or float64.

    For losses that weigh tokens by what comes of them: logits are made again on the way back, chunk by chunk.
    """
    found: Tensor = _LogProbs.apply(hidden_ND, head_VD, labels_N)  # type: ignore[no-untyped-call]
    return found


@dataclass(frozen=True)
class Preference:
    """What a preference loss says of each pair: the loss, and the implicit rewards of both answers. All [B], in nats."""

    loss_B: Tensor
    chosen_B: Tensor
    rejected_B: Tensor


def dpo(chosen_B: Tensor, rejected_B: Tensor, ref_chosen_B: Tensor, ref_rejected_B: Tensor, *, beta: float = 0.1) -> Preference:
    """Direct preference optimisation (Rafailov et al. 2023, eq. 7) on log-probabilities summed over each answer.

    At policy = reference the loss is ln 2 and its gradient in chosen_B is -beta / 2.
    """
    liked_B = chosen_B - ref_chosen_B
    disliked_B = rejected_B - ref_rejected_B
    loss_B = -torch.nn.functional.logsigmoid(beta * (liked_B - disliked_B))
    return Preference(loss_B, beta * liked_B.detach(), beta * disliked_B.detach())


def bits(nats: float) -> float:
    """Return nats as bits."""
    return nats / math.log(2)


class _CrossEntropy(torch.autograd.Function):
    """Makes the gradients while the logits of a chunk are there; going back only scales them."""

    @staticmethod
    def forward(ctx: Any, hidden_ND: Tensor, head_VD: Tensor, labels_N: Tensor) -> Tensor:
        counted = (labels_N != IGNORED).nonzero().squeeze(1)
        kind, wide = _types(hidden_ND)
        hidden, head, labels = hidden_ND[counted].to(kind), head_VD.to(kind), labels_N[counted, None]
        loss = torch.zeros((), dtype=wide, device=hidden_ND.device)
        needed = any(ctx.needs_input_grad[:2])
        by_hidden = torch.empty_like(hidden) if needed else None
        by_head = torch.zeros_like(head_VD) if needed else None
        with torch.autocast(hidden_ND.device.type, enabled=False):
            for chunk in _chunks(len(labels), len(head), hidden_ND.device.type):
                logits = (hidden[chunk] @ head.T).to(wide)
                wanted, peak = logits.gather(1, labels[chunk]), logits.amax(1, keepdim=True)
                total = logits.sub_(peak).exp_().sum(1, keepdim=True)
                loss += (total.log() + peak - wanted).sum()
                if by_hidden is not None and by_head is not None:
                    error = logits.div_(total).scatter_add_(1, labels[chunk], torch.full_like(total, -1)).to(kind)
                    torch.mm(error, head, out=by_hidden[chunk])
                    by_head += error.T @ hidden[chunk]
        if by_hidden is not None and by_head is not None:
            spread = torch.zeros_like(hidden_ND).index_copy_(0, counted, by_hidden.to(hidden_ND.dtype))
            ctx.save_for_backward(spread, by_head)
        return loss

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor, Tensor, None]:
        by_hidden, by_head = ctx.saved_tensors
        (scale,) = outputs
        return by_hidden * scale, by_head * scale, None


class _LogProbs(torch.autograd.Function):
    """Keeps what one chunk needs to make its logits again: the hidden states and the normaliser of each token."""

    @staticmethod
    def forward(ctx: Any, hidden_ND: Tensor, head_VD: Tensor, labels_N: Tensor) -> Tensor:
        counted = (labels_N != IGNORED).nonzero().squeeze(1)
        kind, wide = _types(hidden_ND)
        hidden, head, labels = hidden_ND[counted].to(kind), head_VD.to(kind), labels_N[counted, None]
        totals = torch.empty(len(labels), 1, dtype=wide, device=hidden_ND.device)
        found = torch.zeros(len(labels_N), dtype=wide, device=hidden_ND.device)
        with torch.autocast(hidden_ND.device.type, enabled=False):
            for chunk in _chunks(len(labels), len(head), hidden_ND.device.type):
                logits, totals[chunk] = _logits(hidden[chunk], head, wide)
                found[counted[chunk]] = (logits.gather(1, labels[chunk]) - totals[chunk]).squeeze(1)
        ctx.save_for_backward(hidden, head_VD, labels, counted, totals)
        ctx.size = hidden_ND.shape, hidden_ND.dtype
        return found

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor, Tensor, None]:
        hidden, head_VD, labels, counted, totals = ctx.saved_tensors
        shape, dtype = ctx.size
        head, weights = head_VD.to(hidden.dtype), outputs[0][counted, None]
        by_hidden, by_head = torch.empty_like(hidden), torch.zeros_like(head_VD)
        for chunk in _chunks(len(labels), len(head), hidden.device.type):
            logits, _ = _logits(hidden[chunk], head, totals.dtype)
            error = logits.sub_(totals[chunk]).exp_().neg_().scatter_add_(1, labels[chunk], torch.ones_like(totals[chunk]))
            error = error.mul_(weights[chunk]).to(hidden.dtype)
            torch.mm(error, head, out=by_hidden[chunk])
            by_head += error.T @ hidden[chunk]
        spread = torch.zeros(shape, dtype=dtype, device=hidden.device).index_copy_(0, counted, by_hidden.to(dtype))
        return spread, by_head, None


def _types(hidden: Tensor) -> tuple[torch.dtype, torch.dtype]:
    """Return the type of products and that of sums: autocast's where it is on, and never sums below fp32."""
    device = hidden.device.type
    kind = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden.dtype
    return kind, torch.promote_types(kind, torch.float32)


def _chunks(tokens: int, vocabulary: int, device: str) -> list[slice]:
    size = max(1, CHUNK_LOGITS.get(device, CHUNK_LOGITS["cuda"]) // vocabulary)
    return [slice(start, start + size) for start in range(0, tokens, size)]


def _logits(hidden: Tensor, head: Tensor, wide: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return the logits of a chunk and their log-sum-exp [chunk, 1]."""
    logits = (hidden @ head.T).to(wide)
    return logits, logits.logsumexp(1, keepdim=True)
