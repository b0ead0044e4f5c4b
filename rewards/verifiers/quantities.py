"""Numbers, near enough."""

from __future__ import annotations

import math
import re

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rewards.functions import PolicyFault, reward

_NUMBER = re.compile(
    r"(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3}){1,9}|\d{1,300})?(?:\.\d{1,300})?(?:[eE][-+]?\d{1,3})?"
    r"(?:(?<=\d)/\d{1,300})?(?:[ \xa0]?\\?%)?(?!\w)"
)
_TAIL = 2_000
MINUS = "\N{MINUS SIGN}"
"""As models write it in prose: read past, it would make the opposite of a number right."""
SMALLEST = 1e-6
"""Added to the size of an answer, so that distances from 0 have one, too."""


def last_number(completion: str) -> float:
    """The last number in a text; thousands may be set off by commas, per cent is a hundredth, 3/4 is three quarters.

    Raises:
        PolicyFault: there is none that is finite.
    """
    end = completion[-_TAIL:].replace(MINUS, "-")
    texts = [text for text in _NUMBER.findall(end) if any(letter.isdigit() for letter in text)]
    for text in reversed(texts):
        try:
            above, _, below = text.rstrip("%\\ \xa0").replace(",", "").partition("/")
            value = float(above) / float(below or 1) / (100 if text.endswith("%") else 1)
        except (ValueError, ZeroDivisionError):  # an exponent without a number, a division by 0
            continue
        if math.isfinite(value):
            return value
    raise PolicyFault("got no number; expected one at the end")


@reward(subject="episode")
def number_match(completion: str, answer: float, tolerance: float = 0.05) -> float | None:
    """1 if the last number of the completion is within a relative tolerance of the answer, else 0.

    Source: relaxed accuracy with 5 %, Masry et al., "ChartQA", 2022, arXiv 2203.10244; as a reward in Xu et al.,
    "Mixed-R1", 2025.

    Args:
        completion: what the policy wrote; a policy fault without a number.
        answer: the reference; where it is 0, only 0 will do. Abstains where it is not finite.
        tolerance: relative to the answer.
    """
    if not math.isfinite(answer):
        return None
    return float(abs(last_number(completion) - answer) <= tolerance * abs(answer))


def nearness(said: ArrayLike, wanted: ArrayLike) -> NDArray[np.float64]:
    """1 − ½ min(|a − b|, 1) − ½ min(|a − b| / (|b| + ε), 1), of numbers a that were said and answers b, of any shape.

    In [0, 1], and 1 where they are equal, to rounding. Long calculations have answers that nobody meets exactly; here
    they are paid for coming near. What is not known (NaN) is NaN.

    Source: Wu et al. 2025, "Reasoning or Memorization?" (arXiv 2507.10532), equation 2, with ε = 10⁻⁶.
    """
    answer = np.asarray(wanted, np.float64)
    apart = np.abs(np.asarray(said, np.float64) - answer)
    found: NDArray[np.float64] = (
        1 - 0.5 * np.minimum(apart, 1.0) - 0.5 * np.minimum(apart / (np.abs(answer) + SMALLEST), 1.0)
    )
    return found


@reward(subject="episode")
def number_nearness(completion: str, answer: float | str) -> float | None:
    """How near the last number of the completion is to the answer, by absolute and relative distance: `nearness`.

    Args:
        completion: what the policy wrote; a policy fault without a number.
        answer: the reference. Abstains where it is no finite number.
    """
    try:
        wanted = float(answer)
    except ValueError:
        return None
    return float(nearness(last_number(completion), wanted)) if math.isfinite(wanted) else None
