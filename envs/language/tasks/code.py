"""`code`: write a small Python function; unit tests say whether it does what was asked.

    Write a Python function f(xs) … that keeps the even numbers, then adds 3 to each, then gives their sum.

The tests run in the sandbox of the rewards' room, which is named here by its dotted path alone. Code from other places
(prompts, tests and solutions in a file) is the task `dataset` with `reward="rewards.verifiers.unit_tests:all_passed"`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from envs.language.splits import ENDLESS, TEST_SHARE, Drawn, identify
from envs.language.task import Prompt, Split, TextTask, Weighted, user

Numbers = list[int]


class Step(NamedTuple):
    """One thing to do to a list of whole numbers.

    Attributes:
        said: in words, `{n}` being a number.
        code: the same in Python, of `xs`.
        run: the same here, where the outputs that tests want are computed.
    """

    said: str
    code: str
    run: Callable[[Numbers, int], Any]


STEPS = (
    Step("adds {n} to each", "[x + {n} for x in xs]", lambda xs, n: [x + n for x in xs]),
    Step("multiplies each by {n}", "[x * {n} for x in xs]", lambda xs, n: [x * n for x in xs]),
    Step("keeps the even numbers", "[x for x in xs if x % 2 == 0]", lambda xs, n: [x for x in xs if x % 2 == 0]),
    Step("keeps the odd numbers", "[x for x in xs if x % 2]", lambda xs, n: [x for x in xs if x % 2]),
    Step("keeps those above {n}", "[x for x in xs if x > {n}]", lambda xs, n: [x for x in xs if x > n]),
    Step("reverses the order", "xs[::-1]", lambda xs, n: xs[::-1]),
    Step("sorts them from low to high", "sorted(xs)", lambda xs, n: sorted(xs)),
    Step("drops the first {n}", "xs[{n}:]", lambda xs, n: xs[n:]),
    Step("squares each", "[x * x for x in xs]", lambda xs, n: [x * x for x in xs]),
    Step(
        "drops repeated ones, the first of them stays", "list(dict.fromkeys(xs))", lambda xs, n: list(dict.fromkeys(xs))
    ),
)
ENDS = (
    Step("gives the list", "xs", lambda xs, n: xs),
    Step("gives their sum", "sum(xs)", lambda xs, n: sum(xs)),
    Step("gives how many there are", "len(xs)", lambda xs, n: len(xs)),
    Step("gives the largest, or {n} if there is none", "max(xs, default={n})", lambda xs, n: max(xs, default=n)),
)


class Config(BaseModel):
    """How hard the functions are.

    Attributes:
        steps: of a function at most, before what it gives.
        fewest_steps: at least.
        tests: of each function.
        largest: number in a function.
        reward: dotted path of the reward, which asks for `completion` and `tests`.
        size: prompts of each split.
        test_share: of all functions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(3, ge=1, le=8)
    fewest_steps: int = Field(1, ge=1)
    tests: int = Field(6, ge=2)
    largest: int = Field(9, ge=2)
    reward: str = "rewards.verifiers.unit_tests:all_passed"
    size: int = Field(ENDLESS, ge=1)
    test_share: float = Field(TEST_SHARE, gt=0, lt=1)


class Code(TextTask):
    """Functions over lists of whole numbers.

    Example:
        >>> task = Code(Config(steps=5))
        >>> task.gold(task.load("train", seed=0)[0])[0].startswith("```python")
        True
    """

    name = "code"

    def __init__(self, config: Config | None = None) -> None:
        """Ready at once."""
        self.config = config or Config()
        self.rewards = {"tests": Weighted(1.0, self.config.reward)}

    def load(self, split: Split, seed: int) -> Sequence[Prompt]:
        """Functions without end."""
        return Drawn(self._draw, split, seed, self.config.size, self.config.test_share)

    def gold(self, prompt: Prompt) -> tuple[str, ...]:
        """A solution, in a fence."""
        return (f"```python\n{prompt.columns['solution']}```",)

    def _draw(self, chance: random.Random) -> Prompt:
        config = self.config
        count = chance.randint(min(config.fewest_steps, config.steps), config.steps)
        chosen = [*(chance.choice(STEPS) for _ in range(count)), chance.choice(ENDS)]
        numbers = [chance.randint(1, config.largest) for _ in chosen]
        said = [step.said.format(n=n) for step, n in zip(chosen, numbers, strict=True)]
        *body, last = [step.code.format(n=n) for step, n in zip(chosen, numbers, strict=True)]
        solution = "def f(xs):\n" + "".join(f"    xs = {line}\n" for line in body) + f"    return {last}\n"
        what = ", then ".join(said)
        text = f"Write a Python function f(xs) that takes a list of whole numbers, {what}. Reply with its code alone."
        # The inputs follow from the function: one prompt has one set of tests, wherever it was drawn.
        inputs = _inputs(random.Random(what), config.tests)
        tests = [f"assert f({xs}) == {_run(chosen, numbers, xs)}" for xs in inputs]
        return Prompt(identify(self.name, what), (user(text),), {"tests": tests, "solution": solution})


def _inputs(chance: random.Random, count: int) -> list[Numbers]:
    """Lists of all sizes, the empty one among them."""
    return [[], *([chance.randint(-9, 20) for _ in range(size % 8 + 2)] for size in range(count - 1))]


def _run(steps: Sequence[Step], numbers: Sequence[int], xs: Numbers) -> Any:
    value: Any = list(xs)
    for step, number in zip(steps, numbers, strict=True):
        value = step.run(value, number)
    return value
