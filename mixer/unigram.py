"""The unigram table: what a model has to beat. It knows how often each token comes, and nothing else."""

import numpy as np
import numpy.typing as npt

from mixer.rendering import IGNORED
from mixer.samples import Samples

ROWS = 256
MOST = 1 << 26
"""Tokens that a table is fitted on at most: more change no digit that is shown."""

Ints = npt.NDArray[np.int64]


def fit(samples: Samples) -> Ints:
    """Return how often each token is a label in training, int64 [vocabulary]; samples are taken evenly over the run."""
    size = samples.token_bytes.size
    wanted = min(samples.total, max(1, MOST // samples.context))
    chosen = np.unique(np.linspace(0, samples.total - 1, wanted).round().astype(np.int64))
    counts = np.zeros(size, np.int64)
    for first in range(0, chosen.size, ROWS):
        labels = samples.batch(chosen[first : first + ROWS])["labels"]
        counts += np.bincount(labels[labels != IGNORED], minlength=size)
    return counts


def bits_per_byte(samples: Samples, counts: Ints | None = None) -> dict[str, float]:
    """Return the bits per byte of the hold-out under add-one smoothed counts: `all`, and each domain.

    The labels and bytes are those of `Samples.held_out`, so a model's figure stands beside this one. NaN without a hold-out.
    """
    counts = fit(samples) if counts is None else counts
    bits = -np.log2((counts + 1) / (counts.sum() + counts.size))
    spent = np.zeros(len(samples.held_out_domains))
    n_bytes = np.zeros(len(samples.held_out_domains), np.int64)
    for batch in samples.held_out(ROWS):
        labels = batch["labels"]
        spent += np.bincount(batch["source"], np.where(labels == IGNORED, 0.0, bits[labels]).sum(1), spent.size)
        n_bytes += np.bincount(batch["source"], batch["row_bytes"], n_bytes.size).astype(np.int64)
    with np.errstate(invalid="ignore"):
        by_domain = dict(zip(samples.held_out_domains, (spent / n_bytes).tolist(), strict=True))
    return {"all": float(spent.sum() / n_bytes.sum()) if n_bytes.sum() else float("nan"), **by_domain}
