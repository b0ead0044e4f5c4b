"""`checklist`: what was done and what was not, each with a quote that proves it.

The model marks every item and quotes its evidence. A quote that does not stand in the judged text proves nothing: the
item does not count, and the answer says so. Items have weights that are made to sum to 1; one counts once, at the
first step whose text holds its evidence, and not before the items it depends on ("CM2: Reinforcement Learning with
Checklist Rewards for Multi-Turn and Multi-Step Agentic Tool Use").
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from rewards.judges.deliberation import Desk
from rewards.judges.judge import Answer, Judge, Question
from rewards.judges.rubric import Parts, Rubric
from rewards.verdicts import Status

TOKENS_AN_ITEM = 40


class Item(BaseModel):
    """Something that is done or not."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")
    text: str = Field(min_length=1)
    weight: float = Field(1.0, gt=0, allow_inf_nan=False)
    after: tuple[str, ...] = ()
    """Items that must be done before this one counts."""


@dataclass(frozen=True)
class Mark:
    """What the model says of one item."""

    done: bool
    evidence: str


class Checklist(Rubric):
    """Items, each marked with evidence, in one reply."""

    kind: Literal["checklist"]
    items: tuple[Item, ...] = Field(min_length=1)
    quote_chars: int = Field(120, ge=8)
    """Longest quote."""
    shortest_quote_chars: int = Field(3, ge=1)
    """A shorter quote proves something only where it is the whole text."""

    @model_validator(mode="after")
    def _order(self) -> Checklist:
        done: set[str] = set()
        for item in self.items:
            if item.id in done:
                raise ValueError(f"got the item {item.id!r} twice; expected each id once")
            if unknown := sorted(set(item.after) - done):
                raise ValueError(f"item {item.id!r} comes after {unknown}; expected items that stand before it")
            done.add(item.id)
        return self

    def build(self, parts: Parts) -> Judge:
        """One written reply a question."""
        lines = [self.guide(), "Checklist:", *(f"- {item.id}: {item.text}" for item in self.items)]
        lines.append("Mark an item done only with a quote that proves it, copied word for word from what is judged.")
        return self.deliberation(parts, self._decide, "\n".join(lines))

    def form(self) -> type[BaseModel]:
        """The form that the model fills: one mark an item."""
        strict = ConfigDict(extra="forbid")
        mark = create_model("Mark", __config__=strict, evidence=(str, Field(max_length=self.quote_chars)), done=bool)
        marks: dict[str, Any] = {item.id: (mark, ...) for item in self.items}
        return create_model("Marks", __config__=strict, **marks)

    async def _decide(self, question: Question, desk: Desk) -> Answer:
        ask = 'Fill in the checklist as JSON: {"item": {"evidence": "a quote, or empty", "done": true or false}, …}.'
        tokens = 20 + len(self.items) * (TOKENS_AN_ITEM + self.quote_chars)
        found = (await desk.fill(desk.chat(question, ask), self.form(), tokens)).model_dump()
        marks = {name: Mark(mark["done"], mark["evidence"]) for name, mark in found.items()}
        return credit(self, marks, [desk.shown(text) for text in question.texts])


def credit(checklist: Checklist, marks: Mapping[str, Mark], texts: Sequence[str]) -> Answer:
    """What the marks are worth, step by step.

    Args:
        checklist: items and weights.
        marks: by item.
        texts: what was judged, as the model saw it: one text, or the steps of a trajectory.

    Returns:
        The share of the weight that is done and proved; `scores` has what each text added and sums to it.
    """
    folded = [_folded(text) for text in texts]
    total = math.fsum(item.weight for item in checklist.items)
    scores = [0.0] * len(texts)
    first_at: dict[str, int] = {}
    items: dict[str, Any] = {}
    for item in checklist.items:
        mark = marks[item.id]
        step = _first_proof(mark, folded, checklist.shortest_quote_chars)
        if mark.done and step is not None and all(other in first_at for other in item.after):
            step = max([step, *(first_at[other] for other in item.after)])
            first_at[item.id] = step
            scores[step] += item.weight / total
        items[item.id] = {
            "done": mark.done,
            "evidence": mark.evidence,
            "proved": _first_proof(mark, folded, checklist.shortest_quote_chars) is not None,
            "credited_at": first_at.get(item.id),
        }
    unproved = [name for name, told in items.items() if told["done"] and not told["proved"]]
    return Answer(
        Status.OK,
        min(1.0, math.fsum(scores)),
        scores=tuple(min(1.0, score) for score in scores),  # eleven elevenths are more, by rounding
        details={"items": items, "unproved": unproved},
    )


def _first_proof(mark: Mark, folded: Sequence[str], shortest: int) -> int | None:
    """The first text that holds the quote, whatever its spaces and case."""
    quote = _folded(mark.evidence)
    if not quote:
        return None
    return next(
        (i for i, text in enumerate(folded) if quote in text and (len(quote) >= shortest or quote == text)), None
    )


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()
