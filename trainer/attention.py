"""Attention over short rows on a CPU: plain products in bf16, three times as fast there as torch's flash kernel.

That kernel is made for long rows: with 256 tokens and heads of 32 it makes 4 of a training step's 10 parts. Here scores are
rounded to bf16 before the softmax, as every other product under autocast is. Longer rows, other types, dropout and other
devices go to torch's own.
"""

from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "headrace_short"
LONGEST = 512
"""Tokens a row; from about 1,024 on the flash kernel is as fast, and scores take memory by the square."""

KINDS = ("llama",)
"""Models whose attention is nothing but scale, causal mask and softmax."""


def shorten(model: PreTrainedModel) -> None:
    """Make a model use `attend` where that pays: on a machine without a GPU, for the kinds that it is right for."""
    if not torch.cuda.is_available() and model.config.model_type in KINDS:
        model.set_attn_implementation(NAME)


def restore(model: PreTrainedModel) -> None:
    """Make a model use torch's attention again: nobody else knows ours by name."""
    if model.config._attn_implementation == NAME:
        model.set_attn_implementation("sdpa")


def attend(
    module: torch.nn.Module, query_BHTD: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float = 0.0, **rest: Any
) -> tuple[Tensor, None]:
    """Attention as transformers asks for it, with a mask that `bias` made; None is causal. Returns [B, T, H, D]."""
    rows = query_BHTD.shape[2]
    if not torch.is_autocast_enabled("cpu") or not 1 < rows == key.shape[2] <= LONGEST or dropout:
        return sdpa_attention_forward(module, query_BHTD, key, value, mask, dropout=dropout, **rest)  # type: ignore[no-any-return]
    if mask is None or mask.dtype == torch.bool:
        mask = _bias(torch.ones(1, 1, rows, rows, dtype=torch.bool).tril() if mask is None else mask)
    groups = query_BHTD.shape[1] // key.shape[1]
    scale = rest.get("scaling") or query_BHTD.shape[-1] ** -0.5
    q, k, v = query_BHTD.bfloat16(), repeat_kv(key.bfloat16(), groups), repeat_kv(value.bfloat16(), groups)  # rotation made them fp32
    found: Tensor = Short.apply(q, k, v, mask, scale)  # type: ignore[no-untyped-call]
    return found.transpose(1, 2).contiguous(), None


def bias(*given: Any, **named: Any) -> Tensor | None:
    """Return transformers' mask as what is added to scores, [B, 1, T, T], made once for all layers; None where it is causal."""
    allowed = sdpa_mask(*given, **named)
    return _bias(allowed) if allowed is not None and torch.is_autocast_enabled("cpu") else allowed


def _bias(allowed: Tensor) -> Tensor:
    return torch.zeros(allowed.shape, dtype=torch.bfloat16).masked_fill_(~allowed, float("-inf"))


class Short(torch.autograd.Function):
    """softmax(query key^T scale + bias) value, with the weights kept for the way back."""

    @staticmethod
    def forward(ctx: Any, query_BHTD: Tensor, key: Tensor, value: Tensor, bias: Tensor, scale: float) -> Tensor:
        batch, heads, rows, _ = query_BHTD.shape
        q, k, v = (one.flatten(0, 1) for one in (query_BHTD, key, value))
        wide = bias.expand(batch, heads, rows, rows).reshape(-1, rows, rows)
        weights = torch.softmax(torch.baddbmm(wide, q, k.transpose(1, 2), alpha=scale), -1)
        ctx.save_for_backward(q, k, v, weights)
        ctx.scale, ctx.shape = scale, query_BHTD.shape
        return torch.bmm(weights, v).view(ctx.shape)

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        q, k, v, weights = ctx.saved_tensors
        wanted = outputs[0].flatten(0, 1)
        by_value = torch.bmm(weights.transpose(1, 2), wanted)
        by_weights = torch.bmm(wanted, v.transpose(1, 2))
        by_scores = torch._softmax_backward_data(by_weights, weights, -1, weights.dtype).mul_(ctx.scale)
        by_query, by_key = torch.bmm(by_scores, k), torch.bmm(by_scores.transpose(1, 2), q)
        return by_query.view(ctx.shape), by_key.view(ctx.shape), by_value.view(ctx.shape), None, None


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, bias)
