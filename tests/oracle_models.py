"""What scikit-learn and scipy make of the same numbers. Run by test_curate_measures in the oracles' environment.

oracle_models.py ORDER ANSWER: JSON in {labels, scores, probabilities, other, rows: {offsets, index, value, buckets}, targets, costs}; JSON out,
each measure by its name, and the weights of logistic and ridge regression over the rows.
"""

import json
import sys
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from scipy.stats import spearmanr
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import average_precision_score, brier_score_loss, cohen_kappa_score, confusion_matrix, roc_auc_score


def measures(order: dict[str, Any]) -> dict[str, Any]:
    labels, scores, chances = (np.array(order[name]) for name in ("labels", "scores", "probabilities"))
    steps = IsotonicRegression(out_of_bounds="clip").fit(scores, labels)
    platt = LogisticRegression(C=1e12, tol=1e-10, max_iter=10_000).fit(scores[:, None], labels)
    grades, other = np.clip(np.round(scores + 1), 0, 4), np.clip(np.round(np.array(order["other"]) + 2), 0, 4)
    return {
        "kappa": cohen_kappa_score(grades.astype(int), other.astype(int), labels=[0, 1, 2, 3, 4], weights="quadratic"),
        "auc": roc_auc_score(labels, scores), "average_precision": average_precision_score(labels, scores), "brier": brier_score_loss(labels, chances),
        "spearman": float(spearmanr(scores, order["other"]).statistic), "confusion": confusion_matrix(labels, scores >= 0.5).ravel().tolist(),
        "isotonic": steps.predict(scores).tolist(), "platt": platt.predict_proba(scores[:, None])[:, 1].tolist(),
    }  # fmt: skip


def weights(order: dict[str, Any]) -> dict[str, Any]:
    """The constant feature stands in the rows, so that it is regularised as ours is."""
    rows, targets, costs = order["rows"], np.array(order["targets"]), np.array(order["costs"])
    x = csr_matrix((rows["value"], rows["index"], rows["offsets"]), shape=(targets.size, rows["buckets"])).toarray()
    x = np.hstack([x, np.ones((targets.size, 1))])
    logistic = LogisticRegression(C=1.0, fit_intercept=False, tol=1e-10, max_iter=100_000).fit(x, targets > 0, sample_weight=costs)
    ridge = Ridge(alpha=1.0, fit_intercept=False, solver="cholesky").fit(x, targets, sample_weight=costs)
    return {"logistic": logistic.coef_[0].tolist(), "ridge": ridge.coef_.tolist()}


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        asked = json.load(file)
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump(measures(asked) | weights(asked), file)
