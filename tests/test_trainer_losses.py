"""Losses against their closed forms, and the walks over the vocabulary against torch's own, in float64."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from trainer import losses
from trainer.losses import IGNORED, bits, cross_entropy, dpo, log_probs

TOKENS, WIDTH, VOCABULARY = 37, 12, 50


def given(dtype: torch.dtype = torch.float64, ignored: float = 0.3) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden states, a head and labels, some of which no loss counts."""
    dice = torch.Generator().manual_seed(3)
    hidden = torch.randn(TOKENS, WIDTH, generator=dice, dtype=torch.float64).to(dtype).requires_grad_()
    head = torch.randn(VOCABULARY, WIDTH, generator=dice, dtype=torch.float64).to(dtype).requires_grad_()
    labels = torch.randint(VOCABULARY, (TOKENS,), generator=dice)
    return hidden, head, labels.masked_fill(torch.rand(TOKENS, generator=dice) < ignored, IGNORED)


def gradients(loss: Tensor, *of: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(loss, of))


@pytest.fixture(params=[1, 7, 10_000])
def chunk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Tokens a chunk: one, a few with a rest, all."""
    size: int = request.param
    monkeypatch.setitem(losses.CHUNK_LOGITS, "cpu", size * VOCABULARY)
    return size


def test_cross_entropy_is_torchs_own(chunk: int) -> None:
    hidden, head, labels = given()
    ours = cross_entropy(hidden, head, labels)
    theirs = functional.cross_entropy(hidden @ head.T, labels, reduction="sum", ignore_index=IGNORED)
    assert torch.allclose(ours, theirs, rtol=1e-13)
    for mine, other in zip(gradients(ours * 0.7, hidden, head), gradients(theirs * 0.7, hidden, head), strict=True):
        assert torch.allclose(mine, other, rtol=1e-11, atol=1e-13)


def test_log_probs_are_torchs_own_and_weigh_tokens(chunk: int) -> None:
    hidden, head, labels = given()
    weights = torch.linspace(-1, 2, TOKENS, dtype=torch.float64)
    ours = log_probs(hidden, head, labels)
    theirs = -functional.cross_entropy(hidden @ head.T, labels, reduction="none", ignore_index=IGNORED)
    assert torch.allclose(ours, theirs, rtol=1e-12) and (ours[labels == IGNORED] == 0).all()
    for mine, other in zip(gradients((ours * weights).sum(), hidden, head), gradients((theirs * weights).sum(), hidden, head), strict=True):
        assert torch.allclose(mine, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("walk", [cross_entropy, log_probs])
def test_gradients_are_the_slopes(walk: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    hidden, head, labels = given()
    assert torch.autograd.gradcheck(lambda h, w: walk(h, w, labels), (hidden, head))


@pytest.mark.parametrize("walk", [cross_entropy, log_probs])
def test_nothing_counted_costs_nothing(walk: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    hidden, head, _ = given()
    found = walk(hidden, head, torch.full((TOKENS,), IGNORED)).sum()
    assert found.item() == 0 and all(not one.any() for one in gradients(found, hidden, head))


def test_no_gradient_is_made_where_none_is_wanted() -> None:
    hidden, head, labels = given()
    with torch.no_grad():
        assert not cross_entropy(hidden, head, labels).requires_grad


@pytest.mark.parametrize("walk", [cross_entropy, log_probs])
def test_autocast_multiplies_in_bf16_and_adds_in_fp32(walk: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    hidden, head, labels = given(torch.float32)
    exact = walk(hidden, head, labels)
    with torch.autocast("cpu", torch.bfloat16):
        rough = walk(hidden, head, labels)
    assert rough.dtype == torch.float32
    assert torch.allclose(rough, exact, rtol=0.02, atol=0.05)
    assert all(one.dtype == torch.float32 for one in gradients(rough.sum(), hidden, head))
    assert torch.equal(rough, walk(hidden.bfloat16().requires_grad_(), head.bfloat16(), labels))


def four(*values: float) -> list[Tensor]:
    return [torch.tensor([value], dtype=torch.float64, requires_grad=True) for value in values]


def test_dpo_at_the_reference_is_ln_2_with_slope_half_beta() -> None:
    chosen, rejected, ref_chosen, ref_rejected = four(-3.0, -7.0, -3.0, -7.0)
    found = dpo(chosen, rejected, ref_chosen, ref_rejected, beta=0.4)
    assert found.loss_B.item() == pytest.approx(math.log(2), abs=1e-15)
    by_chosen, by_rejected = gradients(found.loss_B.sum(), chosen, rejected)
    assert by_chosen.item() == pytest.approx(-0.2) and by_rejected.item() == pytest.approx(0.2)
    assert found.chosen_B.item() == found.rejected_B.item() == 0


def test_dpo_swapped_differs_by_the_margin() -> None:
    """-log s(x) + log s(-x) = -x: swapping the answers adds beta times what the chosen one had gained."""
    chosen, rejected, ref_chosen, ref_rejected = four(-2.0, -9.0, -4.0, -6.0)
    margin = 0.3 * ((-2 + 4) - (-9 + 6))
    one = dpo(chosen, rejected, ref_chosen, ref_rejected, beta=0.3)
    other = dpo(rejected, chosen, ref_rejected, ref_chosen, beta=0.3)
    assert one.loss_B.item() == pytest.approx(math.log1p(math.exp(-margin)))
    assert (other.loss_B - one.loss_B).item() == pytest.approx(margin)
    assert (one.chosen_B - one.rejected_B).item() == pytest.approx(margin)


def test_dpo_slope_is_the_doubt_times_beta() -> None:
    chosen, *rest = four(-2.0, -9.0, -4.0, -6.0)
    (slope,) = gradients(dpo(chosen, *rest, beta=0.3).loss_B.sum(), chosen)
    assert slope.item() == pytest.approx(-0.3 / (1 + math.exp(1.5)))


def test_bits() -> None:
    assert bits(math.log(8)) == pytest.approx(3)
