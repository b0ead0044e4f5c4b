"""`listwise`: all members of a group in one prompt, a score for each (principle-conditioned listwise judging).

The responses are anonymous, and shown in an order that depends on their texts only: permuting a group permutes its
scores and changes nothing else. `orders` asks for more than one order and averages; how much the scores move is
reported. Source: "RewardAnything: Generalizable Principle-Following Reward Models".
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from rewards.judges.deliberation import LABELS, Desk, together
from rewards.judges.judge import Answer, Judge, Question, QuestionKind
from rewards.judges.rubric import Parts, Rubric
from rewards.verdicts import Status

TOKENS_A_SCORE = 12


class Listwise(Rubric):
    """A score from 1 to `levels` for each response, in one reply."""

    kind: Literal["listwise"]
    levels: int = Field(5, ge=2, le=100)
    orders: int = Field(1, ge=1, le=8)
    """In how many orders the group is shown."""
    reason_chars: int = Field(0, ge=0)
    """Room for the model's reasons before its scores; 0: none are written."""

    answers: ClassVar[tuple[QuestionKind, ...]] = ("group",)

    def build(self, parts: Parts) -> Judge:
        """One written reply a group and order."""
        return self.deliberation(parts, self._decide, self.guide())

    def form(self, members: int) -> type[BaseModel]:
        """The form that the model fills."""
        score = (int, Field(ge=1, le=self.levels))
        scores: dict[str, Any] = {label: score for label in LABELS[:members]}
        if self.reason_chars:
            scores = {"reasons": (str, Field(max_length=self.reason_chars)), **scores}
        return create_model("Scores", __config__=ConfigDict(extra="forbid"), **scores)

    async def _decide(self, question: Question, desk: Desk) -> Answer:
        orders = presentation_orders(question.texts, self.orders)
        rounds = await together(self._ask(question, order, desk) for order in orders)
        means = [sum(told) / len(rounds) for told in zip(*rounds, strict=True)]
        same = [
            [mean for mean, other in zip(means, question.texts, strict=True) if other == text]
            for text in question.texts
        ]
        scores = [
            sum(equal) / len(equal) for equal in same
        ]  # equal texts deserve equal scores, wherever they were shown
        ranking = sorted(range(len(scores)), key=lambda member: -scores[member])
        spread = max(max(told) - min(told) for told in zip(*rounds, strict=True))
        details: dict[str, Any] = {"ranking": ranking, "orders": orders}
        if len(orders) > 1:
            details["largest_shift"] = spread
        return Answer(Status.OK, sum(scores) / len(scores), scores=tuple(scores), details=details)

    async def _ask(self, question: Question, order: Sequence[int], desk: Desk) -> list[float]:
        """Scores in [0, 1] by member, of the group shown in one order."""
        members = len(order)
        shown = replace(question, texts=tuple(question.texts[member] for member in order))
        ask = (
            f"Score each response from 1 (worst) to {self.levels} (best). Reply with JSON: "
            f'{{{"" if not self.reason_chars else chr(34) + "reasons" + chr(34) + ": …, "}"A": …, …}}.'
        )
        form = self.form(members)
        tokens = 20 + members * TOKENS_A_SCORE + self.reason_chars
        told = (await desk.fill(desk.chat(shown, ask), form, tokens)).model_dump()
        scores = [0.0] * members
        for label, member in zip(LABELS, order, strict=False):
            scores[member] = (told[label] - 1) / (self.levels - 1)
        return scores


def presentation_orders(texts: Sequence[str], count: int) -> list[list[int]]:
    """`count` orders of a group that depend on the set of its texts, not on how it is given.

    Args:
        texts: of the members.
        count: of orders; from the second on they are shuffles.

    Returns:
        Members in the order in which they are shown.
    """
    hashes = [hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest() for text in texts]
    first = sorted(range(len(texts)), key=lambda member: hashes[member])
    shuffler = random.Random("".join(sorted(hashes)))
    orders = [first]
    while len(orders) < count:
        places = list(range(len(first)))
        shuffler.shuffle(places)
        orders.append([first[place] for place in places])
    return orders
