"""Small tables to predict a column of, and a pipeline in stages: inputs are brought to a scale, features added, tuned.

Each table is of a kind that one choice of each stage suits. A ridge regression with one price for the columns and one
for the features is fitted, and scored by R² on rows that were held out, for validation or for the leaderboard.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
ROWS, COLUMNS, NOISE = 60, 4, 0.4
"""Rows to learn from, and half as many for validation; columns; and noise of what is asked for."""
HELD_OUT = 400
"""Rows of the leaderboard."""
WORST = -1.0
"""No score is lower: the tail of one input would outweigh all the others."""
SCALES = ("as it is", "logarithm", "ranks")
FEATURES = ("none", "squares", "sines", "products")
BOX = ((-3.0, 3.0), (-3.0, 3.0))
"""Decimal logarithms of both prices."""
DEFAULT = np.array([-1.0, -1.0])
"""Prices before anything is tuned."""
KINDS = tuple((scale, features) for scale in SCALES[:2] for features in FEATURES)


def scaled(x: Floats, scale: str) -> Floats:
    """Inputs after the first stage."""
    if scale == "logarithm":
        x = np.sign(x) * np.log1p(np.abs(x))
    elif scale == "ranks":
        x = x.argsort(0).argsort(0) / (len(x) - 1)
    found: Floats = (x - x.mean(0)) / x.std(0)
    return found


def featured(x: Floats, features: str) -> Floats:
    """What the second stage adds to scaled inputs `[N, …]`."""
    if features == "squares":
        return x**2 - 1
    if features == "sines":
        return np.sin(3 * x)
    if features == "products":
        one, other = np.triu_indices(x.shape[1], 1)
        return x[:, one] * x[:, other]
    return np.zeros((len(x), 0))


@dataclass(frozen=True)
class Table:
    """A table, with columns for all rows: to learn from, for validation, and held out.

    Attributes:
        x: inputs `[N, COLUMNS]`.
        y: what is asked for `[N]`.
    """

    x: Floats
    y: Floats

    def fitted(self, scale: str, features: str, prices: Floats) -> tuple[float, float]:
        """R² for validation and on the leaderboard, with decimal logarithms of prices `[2]`."""
        columns = scaled(self.x, scale)
        more = featured(columns, features)
        design = np.concatenate([np.ones((len(columns), 1)), columns, more], 1)
        price = np.repeat([1e-6, *10.0**prices], [1, columns.shape[1], more.shape[1]])
        seen = design[:ROWS]
        weights = np.linalg.solve(seen.T @ seen + np.diag(price), seen.T @ self.y[:ROWS])
        held = slice(-HELD_OUT, None)
        return self._r2(design, weights, slice(ROWS, ROWS + ROWS // 2)), self._r2(design, weights, held)

    def described(self) -> Floats:
        """What is cheap to know of it: how skewed inputs are, and how much features have to do with y `[5]`."""
        x, y = self.x[:ROWS], self.y[:ROWS]
        skewed = ((x - x.mean(0)) ** 3).mean(0) / x.std(0) ** 3
        best = scaled(x, "logarithm" if skewed.mean() > 1 else "as it is")
        y = (y - y.mean()) / y.std()
        parts = [best, *(featured(best, features) for features in FEATURES[1:])]
        told = [np.abs((part - part.mean(0)).T @ y / len(y) / part.std(0)).max() for part in parts]
        return np.array([np.tanh(skewed.mean()), *told])

    def _r2(self, design: Floats, weights: Floats, rows: slice) -> float:
        y = self.y[rows]
        return max(float(1 - ((y - design[rows] @ weights) ** 2).mean() / y.var()), WORST)


def table(random: np.random.Generator) -> Table:
    """A table of a random kind."""
    scale, features = KINDS[random.integers(len(KINDS))]
    x = random.normal(size=(ROWS + ROWS // 2 + HELD_OUT, COLUMNS))
    more = featured(x, features)
    y = 0.5 * x @ random.normal(size=COLUMNS) + more @ random.normal(size=more.shape[1])
    y = y / y.std() + NOISE * random.normal(size=len(y))
    return Table(np.exp(1.5 * x) if scale == "logarithm" else x, y)
