"""Regions that were proposed: was the one that matters among them, without listing everything?"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

from rewards.verifiers.sets import Box, iou


class Attended(NamedTuple):
    """Three scores of an action that was to be prepared by looking, each 0 or 1.

    Attributes:
        form: all parts are there and can be read.
        attention: the target was among the regions that were proposed.
        action: the action is the wanted one.
    """

    form: float
    attention: float
    action: float

    @property
    def total(self) -> float:
        """Their sum, 0 to 3."""
        return self.form + self.attention + self.action


def proposal_hit(proposals: Sequence[Box], target: Box | None, overlap: float = 0.5) -> float:
    """1 if a proposal overlaps the target by more than `overlap` and none overlaps another by more than that, else 0.

    That proposals keep apart (non-maximum suppression would drop none) is what makes a list of everything worth nothing
    where things are dense. Without a target there is nothing to attend to: 1.

    Source: BTL-UI, Blink-Think-Link (its released code).

    Args:
        proposals: intervals or boxes, lower ends first.
        target: of the same form; None where the task has none.
        overlap: intersection over union.
    """
    if target is None:
        return 1.0
    if any(iou(one, other) > overlap for one, other in combinations(proposals, 2)):
        return 0.0
    return float(any(iou(box, target) > overlap for box in proposals))


def attended_action(form: bool, proposals: Sequence[Box], target: Box | None, action: bool) -> Attended:
    """Scores of form, attention and action; without the form nothing else can be read, and all are 0.

    Source: BTL-UI, whose reward is their sum.

    Args:
        form: whether the parts are there and can be read.
        proposals: regions of interest.
        target: the region that matters, None where there is none.
        action: whether the action is the wanted one: by name and arguments, as the task says.
    """
    if not form:
        return Attended(0.0, 0.0, 0.0)
    return Attended(1.0, proposal_hit(proposals, target), float(action))


def salient_coverage(
    proposals: Sequence[Box], wanted: Sequence[Box], salience: Sequence[float], surplus: float = 0.0
) -> float:
    """Σ_k w_k max_j IoU(b_k, b̂_j) / Σ_k w_k − surplus · (proposals beyond as many as are wanted).

    With equal weights and no price it is the mean best overlap, a recall. Without proposals it is 0.

    Source: GRiP, Guiding the Inner Eye; form and price as inferred, the price per superfluous box is chosen here.

    Args:
        proposals: regions that were given.
        wanted: regions that there are, at least one.
        salience: weight of each, at least 0 and not all 0: what decides the answer high, what stands around low.
        surplus: price of each superfluous proposal.

    Raises:
        ValueError: nothing is wanted, or the weights do not fit.
    """
    if not wanted or len(salience) != len(wanted) or min(salience) < 0 or sum(salience) <= 0 or surplus < 0:
        raise ValueError(
            f"got {len(wanted)} wanted regions, weights {list(salience)} and a price of {surplus}; expected at "
            "least one region, a weight of at least 0 for each and one above it, and a price of at least 0"
        )
    best = [max((iou(aim, box) for box in proposals), default=0.0) for aim in wanted]
    covered = sum(w * b for w, b in zip(salience, best, strict=True)) / sum(salience)
    return covered - surplus * max(0, len(proposals) - len(wanted))


def best_plan(followed: Sequence[float]) -> float:
    """How well the plan that was followed best was followed: any admissible way pays as well as another.

    Source: GRiP's reward for several heuristics, as inferred.

    Args:
        followed: for each admissible plan, how well it was followed, between 0 and 1.

    Raises:
        ValueError: no plan, or values outside.
    """
    if not followed or not all(0 <= value <= 1 for value in followed):
        raise ValueError(f"got {list(followed)}; expected at least one plan, with values between 0 and 1")
    return max(followed)
