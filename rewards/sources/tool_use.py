"""What using tools is worth: only with a right answer, only what was needed, and no more often than that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class Look(NamedTuple):
    """One action of an agent that inspects parts of something long.

    Attributes:
        start: of the interval that it chose.
        stop: its end.
        thought: the two numbers that its thought ended with; None where it named none.
    """

    start: float
    stop: float
    thought: tuple[float, float] | None


def coherent(looks: Sequence[Look], answered: bool, shortest: float = 8.0, apart: float = 1.0) -> bool:
    """Whether thoughts and actions belong together: then alone anything is paid.

    The last turn answers; each interval is longer than `shortest`, is the one that its thought names, and is no
    repetition of one before (both ends within `apart`).

    Source: FrameThinker's cognitive consistency verification (its released code: intervals of more than 8 frames). That
    an interval counts as repeated within one frame at both ends is chosen here.
    """
    for number, look in enumerate(looks):
        if look.stop - look.start <= shortest or look.thought != (look.start, look.stop):
            return False
        if any(abs(look.start - o.start) <= apart and abs(look.stop - o.stop) <= apart for o in looks[:number]):
            return False
    return answered


def conditional_bonus(right: ArrayLike, coherent: ArrayLike, bonuses: ArrayLike) -> Floats:
    """A right answer and Σ bonuses, where right and coherent; 0 where wrong or incoherent.

    A bonus for exploring that is paid without a right answer is a reward for exploring; this one is not.

    Source: FrameThinker (0.5 for the time tool where the question names a time, 0.02 for having chosen an interval).

    Args:
        right: 1 or 0 of each answer, NaN where it is not known `[N]`.
        coherent: whether what led to it holds together `[N]`.
        bonuses: what each action adds, at least 0 `[N, K]`.

    Returns:
        `[N]`; NaN where coherent and not known to be right.

    Raises:
        ValueError: shapes that do not fit, or a bonus below 0.
    """
    won, holds, extra = np.asarray(right, np.float64), np.asarray(coherent, np.bool_), np.asarray(bonuses, np.float64)
    if won.shape != holds.shape or extra.shape[:-1] != won.shape or (extra < 0).any():
        raise ValueError(
            f"got shapes {won.shape}, {holds.shape} and {extra.shape}; expected [N], [N] and [N, K], no bonus below 0"
        )
    paid = np.where(won > 0, won + extra.sum(-1), 0.0)
    return np.where(holds, np.where(np.isnan(won), np.nan, paid), 0.0)


class Calls(NamedTuple):
    """What one answer did with tools.

    Attributes:
        used: names of the operations that were applied, in order, repetitions included.
        crop: best overlap of a crop with the region that matters, between 0 and 1; 0 without a crop.
    """

    used: tuple[str, ...]
    crop: float = 0.0


class ToolReward(NamedTuple):
    """The terms of a reward for tools, already weighted; `total` is their sum."""

    accuracy: float
    form: float
    mandatory: float
    necessary: float
    exact: float
    emergent: float
    penalty: float

    @property
    def total(self) -> float:
        """The reward."""
        return float(sum(self))


def necessary_tools(
    right: bool,
    form: bool,
    calls: Calls,
    required: Sequence[str],
    core: Sequence[str] = ("rotate", "flip", "crop"),
    mandatory: float = 1.0,
    necessary: float = 0.0,
    gain: float = 0.0,
    price: float = 0.5,
) -> ToolReward:
    """R = R_acc + 0.1 R_form + α R_mand + β R_nec + R_exact + R_emerge − γ (c_usage + n_spurious).

    | term       | is                                                                                      |
    |------------|-----------------------------------------------------------------------------------------|
    | R_mand     | share of the required operations that were applied, a crop counting by its overlap      |
    | R_nec      | what tools have gained the group, for a right answer with tools                         |
    | R_exact    | 0.1 if exactly the required core operations were applied                                |
    | R_emerge   | 0.2 if the answer is right and something beyond the core was applied                    |
    | c_usage    | calls beyond max(2, required)                                                           |
    | n_spurious | core operations other than a crop where none of those is required                       |

    Where a crop is required and R_mand is below 0.1, R_acc is multiplied by R_mand: a guess is not paid.

    Source: CodeVision, Thinking with Programming Vision (its released reward: α = 1, β = 0, γ = 0.5). That nothing is
    paid for R_mand and R_exact where nothing is required is chosen here, so that an answer without tools then earns
    R_acc + 0.1 R_form.

    Args:
        right: whether the answer is.
        form: whether it has its form.
        calls: what was done.
        required: operations that undo what was done to the input, each once.
        core: operations that can be required.
        mandatory: α.
        necessary: β.
        gain: accuracy with tools less accuracy without, in the group.
        price: γ.

    Raises:
        ValueError: a required operation that is not of the core, or an overlap outside of 0 to 1.
    """
    wanted, used = set(required), set(calls.used)
    if unknown := wanted - set(core):
        raise ValueError(f"got {sorted(unknown)} as required; expected some of {list(core)}")
    if not 0 <= calls.crop <= 1:
        raise ValueError(f"got an overlap of {calls.crop}; expected between 0 and 1")
    met = 0.0
    if wanted:
        applied = len((used & wanted) - {"crop"}) + (calls.crop if "crop" in wanted and "crop" in used else 0.0)
        met = applied / len(wanted)
    accuracy = float(right) * (met if "crop" in wanted and met < 0.1 else 1.0)
    turning = set(core) - {"crop"}
    spurious = sum(name in turning for name in calls.used) if not wanted & turning else 0
    usage = max(0, len(calls.used) - max(2, len(wanted)))
    return ToolReward(
        accuracy,
        0.1 * float(form),
        mandatory * met,
        necessary * max(0.0, gain) * float(right and bool(used)),
        0.1 * float(bool(wanted) and used & set(core) == wanted),
        0.2 * float(right and bool(used - set(core))),
        -price * (usage + spurious),
    )


CALL_PAYS = {"executed": 0.1, "failed": -0.1, "invalid": -0.2}
"""What a call is worth by what came of it, after TableGPT-R1."""


def call_rewards(outcomes: Sequence[str | None], pays: Mapping[str, float] = CALL_PAYS) -> Floats:
    """A process reward of each call by what came of it `[N]`; NaN where that is not known (None).

    Source: TableGPT-R1 (executed 0.1, failed −0.1, not a valid call −0.2; which is which is inferred).

    Raises:
        ValueError: an outcome that nothing is said of.
    """
    if unknown := sorted({outcome for outcome in outcomes if outcome is not None} - set(pays)):
        raise ValueError(f"got outcomes {unknown}; expected some of {sorted(pays)}, or None")
    return np.array([np.nan if outcome is None else pays[outcome] for outcome in outcomes], np.float64)


def learnable(passes: ArrayLike, fewest: int = 3, most: int = 7) -> NDArray[np.bool_]:
    """Which prompts go on to the next stage, by how many of their answers were right `[P]`: from `fewest` to `most`.

    Source: TableGPT-R1 (of 8 answers, 3 to 7): what is always or hardly ever right teaches little.

    Raises:
        ValueError: bounds in the wrong order.
    """
    if not 0 <= fewest <= most:
        raise ValueError(f"got bounds {fewest} and {most}; expected 0 <= fewest <= most")
    counts = np.asarray(passes, np.int64)
    return (counts >= fewest) & (counts <= most)
