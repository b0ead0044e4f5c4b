"""`pairwise`: which of two responses is better, asked in both orders.

A judge that prefers whatever it reads first contradicts itself when the order is turned. Such a pair is a tie by
rule, and the shift is reported as position bias (Zheng et al. 2023, "Judging LLM-as-a-judge with MT-Bench", section
4.1).
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from rewards.judges.deliberation import Desk, together
from rewards.judges.judge import Answer, Judge, Question, QuestionKind
from rewards.judges.rubric import Parts, Rubric
from rewards.verdicts import Status

CHOICES = ("A", "B", "tie")
WORTH = {"A": 1.0, "B": 0.0, "tie": 0.5}

Preference = tuple[float, str]
"""The probability that the response shown first is better (a tie counts half), and the word that was likeliest."""


async def prefer(desk: Desk, question: Question, ask: str, more_guide: str = "") -> Preference:
    """Which response is better, as the pair stands.

    Raises:
        NoReply: there are no probabilities.
    """
    found = dict(zip(CHOICES, await desk.choose(desk.chat(question, ask, more_guide), CHOICES), strict=True))
    return min(1.0, found["A"] + 0.5 * found["tie"]), max(CHOICES, key=lambda word: found[word])


async def in_both_orders(
    question: Question, ask: Callable[[Question], Awaitable[Preference]], soft: bool, on_disagreement: str
) -> Answer:
    """Ask about a pair and about the pair turned round.

    Args:
        question: a pair.
        ask: gives the preference for a pair as it stands.
        soft: probabilities, or 0, 0.5 and 1.
        on_disagreement: where the two orders name different winners: "tie" is 0.5, "mean" their mean.

    Raises:
        NoReply: one order has no answer; half an answer would carry the bias it is to remove.
    """
    turned = replace(question, texts=question.texts[::-1])
    (first_shown_first, word), (second_shown_first, turned_word) = await together([ask(question), ask(turned)])
    forwards, backwards = WORTH[word], 1.0 - WORTH[turned_word]
    means = (first_shown_first + 1.0 - second_shown_first) / 2 if soft else (forwards + backwards) / 2
    agree = forwards == backwards
    value = means if agree or on_disagreement == "mean" else 0.5
    details = {
        "orders": [first_shown_first, 1.0 - second_shown_first],
        "orders_agree": agree,
        "position_bias": (first_shown_first + second_shown_first) / 2 - 0.5,
    }
    return Answer(Status.OK, value, details=details)


class Pairwise(Rubric):
    """Response A, response B, or a tie."""

    kind: Literal["pairwise"]
    soft: bool = True
    on_disagreement: Literal["tie", "mean"] = "tie"
    question: str = "Which response is better?"

    answers: ClassVar[tuple[QuestionKind, ...]] = ("pair",)

    def build(self, parts: Parts) -> Judge:
        """Two forward passes a pair."""
        return self.deliberation(parts, self._decide, self.guide())

    async def _decide(self, question: Question, desk: Desk) -> Answer:
        ask = f"{self.question} Answer A, B or tie, and nothing else."
        return await in_both_orders(question, lambda pair: prefer(desk, pair, ask), self.soft, self.on_disagreement)


@dataclass(frozen=True)
class PositionBias:
    """How much a judge's preference depends on what it reads first.

    Attributes:
        mean: by how much the probability of the response shown first exceeds one half, from -0.5 to 0.5.
        disagreements: share of pairs for which the two orders name different winners.
        pairs: answered ones.
    """

    mean: float
    disagreements: float
    pairs: int


def position_bias(answers: Iterable[Answer]) -> PositionBias | None:
    """The position bias over many pairs; None where no answer tells."""
    told = [answer.details for answer in answers if "position_bias" in answer.details]
    if not told:
        return None
    mean = math.fsum(details["position_bias"] for details in told) / len(told)
    return PositionBias(mean, sum(not details["orders_agree"] for details in told) / len(told), len(told))
