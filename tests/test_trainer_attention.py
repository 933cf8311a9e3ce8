"""Our attention over short rows is torch's: exact in float64, as near as bf16 is elsewhere, and out of the way otherwise."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer import attention
from trainer.attention import Short, attend


def given(dtype: torch.dtype, heads: int = 4, kv: int = 4, rows: int = 24) -> list[Tensor]:
    dice = torch.Generator().manual_seed(1)
    shapes = [(2, rows, heads, 8), (2, rows, kv, 8), (2, rows, kv, 8)]
    return [torch.randn(shape, generator=dice, dtype=torch.float64).to(dtype).transpose(1, 2).requires_grad_() for shape in shapes]


def packed(rows: int = 24) -> Tensor:
    """The mask of a row of three documents, and of one of one."""
    document = torch.stack([torch.arange(rows) // 10, torch.zeros(rows, dtype=torch.long)])
    return (document[:, None, :, None] == document[:, None, None, :]) & torch.ones(rows, rows, dtype=torch.bool).tril()


def test_the_products_are_softmax_attention_in_float64() -> None:
    q, k, v = given(torch.float64)
    bias = torch.zeros(packed().shape, dtype=torch.float64).masked_fill_(~packed(), float("-inf"))
    found: Tensor = Short.apply(q, k, v, bias, 0.3)
    wanted = functional.scaled_dot_product_attention(q, k, v, packed(), scale=0.3)
    assert torch.allclose(found, wanted, rtol=1e-12, atol=1e-13)
    weights = torch.linspace(-1, 1, wanted.numel(), dtype=torch.float64).view_as(wanted)
    for mine, theirs in zip(torch.autograd.grad((found * weights).sum(), (q, k, v)), torch.autograd.grad((wanted * weights).sum(), (q, k, v)), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kv", [4, 2, 1])
@pytest.mark.parametrize("mask", [None, packed()], ids=["causal", "packed"])
def test_bf16_is_as_near_to_fp32_as_torchs_own(kv: int, mask: Tensor | None) -> None:
    q, k, v = given(torch.bfloat16, kv=kv)
    with torch.autocast("cpu", torch.bfloat16):
        ours, _ = attend(nn.Module(), q.float(), k.float(), v, mask, scaling=0.35)
    exact = functional.scaled_dot_product_attention(q.float(), k.float(), v.float(), mask, is_causal=mask is None, scale=0.35, enable_gqa=True).transpose(1, 2)
    theirs = functional.scaled_dot_product_attention(q, k, v, mask, is_causal=mask is None, scale=0.35, enable_gqa=True).transpose(1, 2)
    assert ours.shape == exact.shape and ours.dtype == torch.bfloat16
    assert (ours - exact).norm().item() < 2.5 * (theirs - exact).norm().item()


@pytest.mark.parametrize("case", ["fp32", "one token", "long", "dropout"])
def test_everything_else_is_torchs(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(attention, "sdpa_attention_forward", lambda *given, **_: asked.append(given) or (given[1], None))
    q, k, v = given(torch.float32 if case == "fp32" else torch.bfloat16)
    if case == "long":
        monkeypatch.setattr(attention, "LONGEST", 16)
    with torch.autocast("cpu", torch.bfloat16, enabled=case != "fp32"):
        attend(nn.Module(), q[:, :, -1:] if case == "one token" else q, k, v, None, dropout=0.1 if case == "dropout" else 0.0)
    assert len(asked) == 1
