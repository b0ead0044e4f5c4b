"""Probes of a reward model's representation: which dimensions of a preference it has captured.

The reward is linear in h(x, y), the last hidden state, so what the model knows of an answer stands in h. For each
dimension (harmlessness, correctness, verbosity, …) a linear classifier is fitted to h, with the body frozen; its
accuracy on answers that it has not seen says how much of the dimension is there:

    accuracy_d = share of answers with argmax_c (h W_d + b_d)_c = label_d

Source: Wang et al. 2025, "Probing Preference Representations" (MRMBench, arXiv 2511.12464), six dimensions with two or
three classes each. Chosen here: in place of few steps of gradient, a ridge penalty on features that are all divided by
one number, so that directions in which h hardly varies count for little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize

from rewards.evaluation.accuracy import Rate

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Probe:
    """A linear classifier of representations.

    Attributes:
        weights: of features and, in the last row, of one `[d + 1, C]`.
        classes: labels, in the order of its columns `[C]`.
        mean: of the features it was fitted to `[d]`.
        scale: one number by which they are divided.
    """

    weights: Floats
    classes: Floats
    mean: Floats
    scale: float

    def predict(self, features: ArrayLike) -> Floats:
        """The likeliest label of each representation `[N]`."""
        x = (np.asarray(features, np.float64) - self.mean) / self.scale
        found: Floats = self.classes[(x @ self.weights[:-1] + self.weights[-1]).argmax(axis=1)]
        return found


def fit_probe(features: ArrayLike, labels: ArrayLike, penalty: float = 1e-2) -> Probe:
    """A softmax classifier with the least cross-entropy + ½ penalty ‖W‖².

    Args:
        features: h `[N, d]`.
        labels: numbers of classes; NaN where nobody knows, left out `[N]`.
        penalty: of the weights; the intercept is free.

    Raises:
        ValueError: shapes that do not fit, or no label at all.
    """
    h, told = np.asarray(features, np.float64), np.asarray(labels, np.float64)
    if h.ndim != 2 or told.shape != (len(h),) or np.isnan(told).all():
        raise ValueError(f"got features {h.shape} and labels {told.shape}; expected [N, d] and [N], some labels known")
    h, told = h[~np.isnan(told)], told[~np.isnan(told)]
    mean = h.mean(axis=0)
    scale = float(np.sqrt((h - mean).var(axis=0).sum())) or 1.0
    x = (h - mean) / scale
    classes, index = np.unique(told, return_inverse=True)
    wanted, shape = np.eye(len(classes))[index], (x.shape[1] + 1, len(classes))

    def loss(flat: Floats) -> tuple[float, Floats]:
        w = flat.reshape(shape)
        logits = x @ w[:-1] + w[-1]
        logits = logits - logits.max(axis=1, keepdims=True)
        log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        apart = (np.exp(log_p) - wanted) / len(x)
        slope = np.concatenate([x.T @ apart + penalty * w[:-1], apart.sum(axis=0, keepdims=True)])
        return float(-(wanted * log_p).sum() / len(x) + penalty / 2 * (w[:-1] ** 2).sum()), slope.ravel()

    best = minimize(loss, np.zeros(shape[0] * shape[1]), jac=True, method="L-BFGS-B")
    return Probe(best.x.reshape(shape), classes, mean, scale)


def probe_accuracies(train: ArrayLike, train_labels: ArrayLike, test: ArrayLike, test_labels: ArrayLike) -> list[Rate]:
    """How much of each of D dimensions stands in a representation; their mean is the benchmark's score.

    Args:
        train: h of the answers that probes are fitted to `[N, d]`.
        train_labels: by dimension, NaN where nobody knows `[N, D]`.
        test: h of other answers `[M, d]`.
        test_labels: of these `[M, D]`.
    """
    told, asked = np.asarray(train_labels, np.float64), np.asarray(test_labels, np.float64)
    found = []
    for own, wanted in zip(told.T, asked.T, strict=True):
        known = ~np.isnan(wanted)
        said = fit_probe(train, own).predict(test)
        found.append(Rate.of(int((said == wanted)[known].sum()), int(known.sum())))
    return found
