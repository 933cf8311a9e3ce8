"""Intervals: how far chance may have moved a share of a sample, and what a mean of few runs is judged by."""

import math

Z = 1.959963984540054
"""What a normal variable stays within, above and below, in 95 % of cases."""


def wilson(count: float, of: int, z: float = Z) -> tuple[float, float]:
    """Return the interval in which a share lies of which `count` in `of` were seen (Wilson 1927); it keeps within 0 and 1."""
    share = count / of
    middle = share + z * z / (2 * of)
    width = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    scale = 1 + z * z / of
    low, high = (middle - width) / scale, (middle + width) / scale
    return max(0.0, low) if count > 0 else 0.0, min(1.0, high) if count < of else 1.0          # rounding would miss the ends


def t_quantile(share: float, freedom: float) -> float:
    """Return what a variable of Student's t stays below with probability `share`; `freedom` is any number above 0."""
    assert 0 < share < 1 and freedom > 0, (share, freedom)
    if share < 0.5:
        return -t_quantile(1 - share, freedom)
    low, high = 0.0, 1.0
    while _t_below(high, freedom) < share:
        low, high = high, high * 2
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if _t_below(middle, freedom) < share else (low, middle)
    return (low + high) / 2


def _t_below(t: float, freedom: float) -> float:
    """P(T < t) for t from 0: 1 - I(freedom / (freedom + t^2); freedom / 2, 1/2) / 2."""
    return 1 - _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t)) / 2


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I(x; a, b), by its continued fraction (Abramowitz and Stegun 1964, 26.5.8)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, 1 - x)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    value, c, d = 1.0, 1.0, 0.0
    for i in range(1, 2000):                                 # modified Lentz: value is the fraction cut off after i terms
        m = i // 2
        term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)) if i % 2 == 0 else -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 / (1 + term * d)
        c = 1 + term / c
        value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return front / value
