"""Learning rate over a run: pure functions of the step, from 0 to 1, so that resuming needs nothing but the step.

Steps count from 0, `steps` is their number. Warm-up is linear and its last step is at 1; decays are laid out so that the step
after the last would be at `floor`: no step is spent at a rate of 0.
"""

import math


def cosine(step: int, *, steps: int, warmup: int, floor: float = 0.0) -> float:
    """Warm-up, then half a cosine towards `floor` (Loshchilov and Hutter 2017, without restarts)."""
    if step < warmup:
        return (step + 1) / warmup
    done = (step + 1 - warmup) / (steps + 1 - warmup)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))


def wsd(step: int, *, steps: int, warmup: int, decay: int, floor: float = 0.0) -> float:
    """Warm-up, stable, decay (Hu et al. 2024, MiniCPM): the last `decay` steps fall linearly towards `floor`."""
    if step < warmup:
        return (step + 1) / warmup
    left = steps - step
    return 1.0 if left > decay else floor + (1 - floor) * left / (decay + 1)


def constant(step: int, *, warmup: int) -> float:
    """Warm-up, then 1."""
    return min(1.0, (step + 1) / warmup) if warmup else 1.0
