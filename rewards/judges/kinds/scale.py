"""Scales: one word out of a few, scored by how likely the model is to begin its reply with each.

- `binary`: yes or no.
- `graded`: 1 to k.
- `categorical`: words of the rubric's own, each with its worth.

A soft value is the expectation of the worth over the allowed words, which orders texts more finely than the likeliest
word and costs no more (Liu et al. 2023, "G-Eval"; log-probability scoring as in Zheng et al. 2023, "Judging
LLM-as-a-judge").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, field_validator

from rewards.judges.chat_model import Chat
from rewards.judges.deliberation import Desk
from rewards.judges.judge import Answer, Judge, Question
from rewards.judges.rubric import Parts, Rubric
from rewards.verdicts import Status

Words = Annotated[dict[str, float], Field(min_length=2, max_length=20)]


async def choose_on_scale(desk: Desk, chat: Chat, worth: Mapping[str, float], soft: bool) -> Answer:
    """One word of a scale.

    Args:
        desk: where it is asked.
        chat: ends with the request for one of the words.
        worth: of each word.
        soft: the expected worth, or that of the likeliest word.

    Raises:
        NoReply: there are no probabilities.
    """
    found = dict(zip(worth, await desk.choose(chat, tuple(worth)), strict=True))
    expected = sum(found[word] * worth[word] for word in worth)
    likeliest = max(found, key=lambda word: found[word])
    value = min(max(expected, min(worth.values())), max(worth.values())) if soft else worth[likeliest]
    return Answer(Status.OK, value, details={"likeliest": likeliest, "probabilities": found})


def grades(levels: int) -> dict[str, float]:
    """The worth of the grades 1 to `levels`: evenly from 0 to 1."""
    return {str(grade): (grade - 1) / (levels - 1) for grade in range(1, levels + 1)}


class Scale(Rubric):
    """What the three scales share."""

    soft: bool = True
    question: str = "How good is it?"
    """What is asked in the last line, before the allowed words."""
    means: dict[str, str] = Field(default_factory=dict)
    """What a word of the scale stands for."""

    def worth(self) -> Mapping[str, float]:
        """The allowed words and what each is worth, in [0, 1]."""
        raise NotImplementedError

    def build(self, parts: Parts) -> Judge:
        """One forward pass a question."""
        if unknown := sorted(set(self.means) - set(self.worth())):
            raise ValueError(f"rubric {self.id!r} says what {unknown} mean; expected some of {list(self.worth())}")
        means = [f"- {word}: {meaning}" for word, meaning in self.means.items()]
        guide = "\n".join([self.guide(), *(["The answers mean:", *means] if means else [])])
        return self.deliberation(parts, self._decide, guide)

    async def _decide(self, question: Question, desk: Desk) -> Answer:
        *first, last = self.worth()
        ask = f"{self.question} Answer {', '.join(first)} or {last}, and nothing else."
        return await choose_on_scale(desk, desk.chat(question, ask), self.worth(), self.soft)


class Binary(Scale):
    """Yes or no."""

    kind: Literal["binary"]
    question: str = "Is it good?"

    def worth(self) -> Mapping[str, float]:
        """Yes is 1, no is 0."""
        return {"yes": 1.0, "no": 0.0}


class Graded(Scale):
    """1 (worst) to `levels` (best)."""

    kind: Literal["graded"]
    levels: int = Field(5, ge=2, le=9)  # from 10 on, grades would begin with the same token

    def worth(self) -> Mapping[str, float]:
        """Evenly spaced from 0 to 1."""
        return grades(self.levels)


class Categorical(Scale):
    """Words of the rubric's own."""

    kind: Literal["categorical"]
    words: Words
    """Worth of each, in [0, 1]; each must begin with another token."""

    @field_validator("words")
    @classmethod
    def _worths(cls, words: dict[str, float]) -> dict[str, float]:
        if bad := {word: worth for word, worth in words.items() if not (word.strip() and 0 <= worth <= 1)}:
            raise ValueError(f"got {bad}; expected words that are not empty, each worth from 0 to 1")
        said = [word.strip().lower() for word in words]
        if any(other.startswith(word) for k, word in enumerate(said) for other in said[:k] + said[k + 1 :]):
            raise ValueError(f"got the words {list(words)}; expected different ones, none the beginning of another")
        return words

    def worth(self) -> Mapping[str, float]:
        """As the rubric says."""
        return self.words
