"""`Measure`: one line of what is said of a judge, as text for people and as numbers for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from rewards.evaluation.accuracy import Rate
from rewards.evaluation.calibration import calibration
from rewards.evaluation.consistency import Repeats

WIDTH = 31


@dataclass(frozen=True)
class Measure:
    """A name, what is shown behind it, and the numbers in it (None: of nothing)."""

    name: str
    text: str
    figures: Mapping[str, float | int | None] = field(default_factory=dict)

    def line(self) -> str:
        """As the command prints it."""
        return f"{self.name:{WIDTH}}{self.text}"


def of_rate(name: str, rate: Rate) -> Measure:
    """A share with its interval."""
    text = f"{number(rate.value)} " + (f"[{rate.low:.3f}, {rate.high:.3f}] of {rate.n}" if rate.n else "nothing")
    return Measure(name, text, {"value": rate.value, "low": rate.low, "high": rate.high, "n": rate.n})


def of_calibration(said: ArrayLike, true: ArrayLike) -> list[Measure]:
    """Calibration of probabilities `[N]` against outcomes `[N]`, and the curve below it; nothing on another scale."""
    if not are_probabilities(said):
        return []
    found = calibration(said, true)
    first = Measure(
        "calibration error, Brier",
        f"{number(found.ece)}, {number(found.brier)}",
        {"ece": found.ece, "brier": found.brier, "n": found.n},
    )
    return [
        first,
        *(
            Measure(
                "  said, true, verdicts",
                f"{b.said:.2f}, {b.true:.2f}, {b.n}",
                {"said": b.said, "true": b.true, "n": b.n},
            )
            for b in found.curve
        ),
    ]


def are_probabilities(values: ArrayLike) -> bool:
    """Whether all that is known of values `[N]` lies in [0, 1]."""
    known = np.asarray(values, np.float64)
    known = known[~np.isnan(known)]
    return bool(len(known) and known.min() >= 0 and known.max() <= 1)


def of_repeats(found: Repeats) -> list[Measure]:
    """How much the answers to the same question differ."""
    return [
        Measure("deviation when repeated", number(found.deviation), {"value": found.deviation}),
        of_rate("changes when repeated", found.flips),
    ]


def number(value: float | None) -> str:
    """Three digits; a dash for what is not there."""
    return "-" if value is None else f"{value:.3f}"
