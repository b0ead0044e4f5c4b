"""`arithmetic`: sums of any length and size, made up when they are asked for.

    what is 12+7?    →    19

Nothing of it can have been in anybody's training data as such, and no sum of one split is ever in the other. With
`operations: [+, -, *, /]`, `numbers: [whole, fraction, square, cube]`, `whole: false` and `terms` from 2 to 21 it is
RandomCalculation (Wu et al. 2025, "Reasoning or Memorization?"), a set that no model can have seen; for answers with
many decimals there is the reward `number_nearness`.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from envs.language.answers import number_is_right
from envs.language.expressions import BadExpression, evaluate, written
from envs.language.splits import ENDLESS, TEST_SHARE, Drawn, identify
from envs.language.task import Prompt, Split, TextTask, Weighted, user

TRIES = 1000


class Config(BaseModel):
    """How hard the sums are.

    Attributes:
        operations: that may occur.
        numbers: what may stand for a number: itself, a fraction, a square or a cube.
        whole: whether results are whole numbers; else they are decimals of up to ten places.
        terms: numbers in a sum at most.
        fewest_terms: at least; None: always `terms`.
        digits: of a number at most.
        fewest_digits: at least.
        parentheses: how likely two neighbouring numbers are put in parentheses.
        negative: whether results below zero may occur.
        template: of the prompt; `{expression}` is the sum.
        size: prompts of each split.
        test_share: of all sums.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    operations: tuple[Literal["+", "-", "*", "/"], ...] = Field(("+",), min_length=1)
    numbers: tuple[Literal["whole", "fraction", "square", "cube"], ...] = Field(("whole",), min_length=1)
    whole: bool = True
    terms: int = Field(2, ge=2, le=100)
    fewest_terms: int | None = Field(None, ge=2)
    digits: int = Field(2, ge=1, le=100)
    fewest_digits: int = Field(1, ge=1)
    parentheses: float = Field(0.0, ge=0, le=1)
    negative: bool = True
    template: str = "{expression}="
    size: int = Field(ENDLESS, ge=1)
    test_share: float = Field(TEST_SHARE, gt=0, lt=1)

    @model_validator(mode="after")
    def _fits(self) -> Config:
        if (self.fewest_terms or 2) > self.terms or self.fewest_digits > self.digits:
            raise ValueError(
                f"got terms from {self.fewest_terms} to {self.terms}, digits from {self.fewest_digits} to "
                f"{self.digits}; expected the fewest to be no more than the most"
            )
        if "{expression}" not in self.template:
            raise ValueError(f"got the template {self.template!r}; expected {{expression}} in it")
        return self


class Arithmetic(TextTask):
    """Sums with one right number each.

    Example:
        >>> task = Arithmetic(Config(operations=("+", "*"), terms=3))
        >>> prompt = task.load("train", seed=0)[5]
        >>> task.gold(prompt) == (prompt.columns["answer"],)
        True
    """

    name = "arithmetic"
    rewards: Mapping[str, Weighted] = {"right": Weighted(1.0, number_is_right)}

    def __init__(self, config: Config | None = None) -> None:
        """Ready at once."""
        self.config = config or Config()

    def load(self, split: Split, seed: int) -> Sequence[Prompt]:
        """Sums without end."""
        return Drawn(self._draw, split, seed, self.config.size, self.config.test_share)

    def gold(self, prompt: Prompt) -> tuple[str, ...]:
        """The number alone."""
        return (prompt.columns["answer"],)

    def _draw(self, chance: random.Random) -> Prompt:
        for _ in range(TRIES):
            expression = self._expression(chance)
            try:
                value = evaluate(expression)
            except BadExpression:  # a division by zero, or a result that is too large
                continue
            if (value.denominator == 1 or not self.config.whole) and (self.config.negative or value >= 0):
                text = self.config.template.format(expression=expression)
                columns = {"expression": expression, "answer": written(value)}
                return Prompt(identify(self.name, expression), (user(text),), columns)
        raise ValueError(f"none of {TRIES} sums fits the settings {self.config}; expected easier ones to be met")

    def _expression(self, chance: random.Random) -> str:
        config = self.config
        count = chance.randint(config.fewest_terms or config.terms, config.terms)
        sizes = [chance.randint(config.fewest_digits, config.digits) for _ in range(count)]
        terms = [self._number(chance, size) for size in sizes]
        place = 0
        while place < count - 1:
            if count > 2 and chance.random() < config.parentheses:
                terms[place], terms[place + 1] = "(" + terms[place], terms[place + 1] + ")"
                place += 1
            place += 1
        operations = [chance.choice(config.operations) for _ in terms[1:]]
        return terms[0] + "".join(sign + term for sign, term in zip(operations, terms[1:], strict=True))

    def _number(self, chance: random.Random, size: int) -> str:
        number, kinds = str(chance.randint(10 ** (size - 1) if size > 1 else 0, 10**size - 1)), self.config.numbers
        kind = chance.choice(kinds) if len(kinds) > 1 else kinds[0]
        if kind == "fraction":
            return f"({number}/{chance.randint(1, 10**size - 1)})"
        return number + {"whole": "", "square": "**2", "cube": "**3"}[kind]
