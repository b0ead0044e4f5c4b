"""`branch_rethink`: first find out where the fault may lie, then look again with only that in mind.

Turn 1 (branch): the model picks one to three quality dimensions that matter for this pair and writes a short
hypothesis about each response. Turn 2 (rethink): it judges the pair anew under these, in the rubric's order of
priority. A reply that breaks the form in turn 1 ends as `unparseable`; a fixed judge spends its attention evenly and
misses the one subtle error. Source: "Think Twice: Branch-and-Rethink Reasoning Reward Model" (BR-RM).
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model, field_validator

from rewards.judges.deliberation import Desk, one_of
from rewards.judges.judge import Answer, Judge, Question, QuestionKind
from rewards.judges.kinds.pairwise import Preference, in_both_orders, prefer
from rewards.judges.rubric import Parts, Rubric

DIMENSIONS: dict[str, str] = {
    "accuracy": "what is claimed is true",
    "computation": "numbers and calculations are right",
    "logic": "each step follows from the one before",
    "implementation": "code does what is asked",
    "safety": "nothing in it does harm",
    "completeness": "nothing that was asked is missing",
    "adherence": "it follows the instruction to the letter",
    "clarity": "it can be understood at once",
}
FORM_TOKENS = 60


class BranchRethink(Rubric):
    """Dimensions in order of priority, of which the model picks a few."""

    kind: Literal["branch_rethink"]
    dimensions: dict[str, str] = Field(default_factory=lambda: dict(DIMENSIONS), min_length=1)
    """What the model may pick from, the most important first."""
    pick: int = Field(3, ge=1)
    """At most so many are picked."""
    hypothesis_chars: int = Field(200, ge=1)
    soft: bool = True
    on_disagreement: Literal["tie", "mean"] = "tie"

    answers: ClassVar[tuple[QuestionKind, ...]] = ("pair",)

    @field_validator("dimensions")
    @classmethod
    def _named(cls, dimensions: dict[str, str]) -> dict[str, str]:
        if not all(name.strip() and meaning.strip() for name, meaning in dimensions.items()):
            raise ValueError(f"got {dimensions}; expected a name and a meaning for each dimension")
        return dimensions

    def build(self, parts: Parts) -> Judge:
        """Two written replies and two forward passes a pair."""
        listed = [f"- {name}: {meaning}" for name, meaning in self.dimensions.items()]
        return self.deliberation(parts, self._decide, "\n".join([self.guide(), "Dimensions of quality:", *listed]))

    def form(self) -> type[BaseModel]:
        """The form of the first turn."""
        note = (str, Field(max_length=self.hypothesis_chars))
        name: Any = one_of(list(self.dimensions))
        fields: dict[str, Any] = {
            "dimensions": (list[name], Field(min_length=1, max_length=min(self.pick, len(self.dimensions)))),
            "A": note,
            "B": note,
        }
        return create_model("Branch", __config__=ConfigDict(extra="forbid"), **fields)

    async def _decide(self, question: Question, desk: Desk) -> Answer:
        branches: list[dict[str, Any]] = []

        async def ask(pair: Question) -> Preference:
            branch = (await desk.fill(desk.chat(pair, self._first_ask()), self.form(), self._room())).model_dump()
            branches.append({"shown_first": pair.texts is question.texts, **branch})
            return await prefer(desk, pair, self._second_ask(branch, desk))

        answer = await in_both_orders(question, ask, self.soft, self.on_disagreement)
        branches.sort(key=lambda branch: not branch["shown_first"])
        return Answer(answer.status, answer.value, details={**answer.details, "branches": branches})

    def _room(self) -> int:
        """Tokens enough for the longest form, where each character is a token."""
        return FORM_TOKENS + self.pick * max(map(len, self.dimensions)) + 2 * self.hypothesis_chars

    def _first_ask(self) -> str:
        return (
            f"Which dimensions, at most {self.pick}, will decide between the two, and what may be wrong with each? "
            'Reply with JSON: {"dimensions": […], "A": "…", "B": "…"}.'
        )

    def _second_ask(self, branch: dict[str, Any], desk: Desk) -> str:
        picked = [name for name in self.dimensions if name in branch["dimensions"]]
        lines = [f"- {name}: {self.dimensions[name]}" for name in picked]
        return "\n".join(
            [
                "Look again, with only this in mind, the first being the most important:",
                *lines,
                f"Response A may be wrong in this: {desk.shown(branch['A'])}",
                f"Response B may be wrong in this: {desk.shown(branch['B'])}",
                "Which response is better? Answer A, B or tie, and nothing else.",
            ]
        )
