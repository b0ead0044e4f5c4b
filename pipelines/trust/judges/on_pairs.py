"""A judge of pairs: right in which order, swayed by the place, calibrated, of the same opinion in other words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipelines.errors import UserError
from pipelines.trust.judges.asking import Asked, ask, repeated
from pipelines.trust.judges.measures import Measure, are_probabilities, number, of_calibration, of_rate
from rewards.evaluation.consistency import order_consistency, pairs_in_both_orders, position_bias
from rewards.evaluation.problems import Problem, in_other_words
from rewards.judges.judge import Judge, Question
from rewards.judges.kinds import pairwise

BothOrders = tuple[Question, Question]
"""(better, worse), and (worse, better)."""


def on_pairs(judge: Judge, pairs: Sequence[BothOrders], times: int) -> list[Measure]:
    """Accuracy by order, position bias, calibration, and variance when repeated.

    Args:
        judge: of pairs.
        pairs: each in both orders.
        times: that the same questions are asked.

    Raises:
        UserError: the judge has no value for any of them, or values that are no probabilities.
    """
    asked = ask(judge, [question for both in pairs for question in both]).told()
    if not are_probabilities(asked.values):
        raise UserError(
            f"got {np.nanmax(np.abs(asked.values)):g} of a pair; expected probabilities that the first is better"
        )
    forward, backward = asked.values[::2], asked.values[1::2]
    right, bias = pairs_in_both_orders(forward, backward), position_bias(forward, backward)
    true = np.tile([1.0, 0.0], len(pairs))
    return [
        of_rate("pairs, better one first", right.better_first),
        of_rate("pairs, better one second", right.better_second),
        of_rate("pairs, right in both orders", right.both),
        of_rate("same winner in both orders", bias.consistent),
        of_rate("  else: the first one wins", bias.first),
        Measure("shift towards the first", number(right.shift), {"value": right.shift}),
        *_inside(asked),
        asked.missing(),
        *of_calibration(asked.values, true),
        *repeated(judge, [question for both in pairs for question in both], times),
    ]


def pairs_reworded(judge: Judge, problems: Sequence[Problem]) -> list[Measure]:
    """Whether the winner stays the winner when prompt or answers are said in other words."""
    half = np.full(len(problems), 0.5)
    before = ask(judge, [_pair(one) for one in problems]).values
    return [
        of_rate(
            f"same winner, {what} reworded",
            order_consistency(
                before, half, ask(judge, [_pair(in_other_words(one, what)) for one in problems]).values, half
            ),
        )
        for what in ("prompt", "answers")
    ]


def problem_pairs(problems: Sequence[Problem]) -> list[BothOrders]:
    """Of each problem its first right and its first wrong answer, in both orders."""
    return [(_pair(one), one.ask("pair", one.rejected[0], one.chosen[0])) for one in problems]


def _pair(one: Problem) -> Question:
    return one.ask("pair", one.chosen[0], one.rejected[0])


def _inside(asked: Asked) -> list[Measure]:
    """The bias that a judge which asks in both orders itself has seen, and taken out."""
    found = pairwise.position_bias(asked.answers)
    if found is None:
        return []
    figures = {"mean": found.mean, "disagreements": found.disagreements, "n": found.pairs}
    text = f"{found.mean:+.3f}; the two orders disagree in {found.disagreements:.3f} of {found.pairs}"
    return [Measure("  shift before it is evened", text, figures)]
