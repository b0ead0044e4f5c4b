"""Check of instructions that evolve with the policy: a plan that is too hard to follow today is the best one later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.forms import Field, Form
from benchmarks.methods.worlds.menu import Floats, softmax
from learners.instruction_population import InstructionPopulation, Trial
from rewards.columns import Column
from rewards.views.layout import Layout
from rewards.views.part import Table
from rewards.views.parts import part_of

Ints = NDArray[np.int64]
Plan = tuple[int, ...]
"""Steps that an instruction asks for, 1 or 0 for each kind."""
Way = Literal["INSPO", "no new instructions", "best of the first", "searched before RL", "every step at once"]
WAYS: tuple[Way, ...] = (
    "INSPO",
    "no new instructions",
    "best of the first",
    "searched before RL",
    "every step at once",
)
QUESTIONS, KINDS, USEFUL, CHOICES = 4, 6, 4, 4
"""Kinds of questions, kinds of steps, how many of these help, and ways to do one, of which one is right."""
GUESSED, GAIN, BEGUN = 0.2, 0.2, 0.5
"""Chance of an answer without any step, what each useful step adds to it, and logit of the right way at first."""
GROUPS, MEMBERS, RATE = 8, 8, 2.0
"""Groups of a batch, answers of each, and rate of the policy."""
BUDGET, EVERY, CHECKED = 400, 10, 4
"""Batches of answers in all, from one evolution to the next, and groups that a new instruction is verified with."""
GRPO = part_of({"part": "group_relative", "preset": "grpo", "of": "paid"})


class Work:
    """A policy that follows plans: each step must be done rightly, and the plan must be good enough."""

    def __init__(self, seed: int) -> None:
        """Which steps help, and what is right, from `seed`."""
        self.random = np.random.default_rng(seed)
        self._useful = self.random.permutation(KINDS) < USEFUL
        self._right = self.random.integers(0, CHOICES, (QUESTIONS, KINDS))
        starts = [BEGUN * np.eye(CHOICES)[right] for right in self._right.T]
        self._form = Form([Field(CHOICES, QUESTIONS, start=start) for start in starts])
        self.answers = 0

    def expected(self, plans: Ints) -> Floats:
        """Chance of a right answer with each plan `[P]`."""
        logits = np.stack(self._form.logits, 1)  # [questions, kinds, choices]
        done = np.take_along_axis(softmax(logits), self._right[..., None], -1)[..., 0]
        every = np.where(plans[:, None] == 1, done, 1.0).prod(-1).mean(1)
        found: Floats = every * self._enough(plans)
        return found

    def follow(self, plans: Ints, learns: bool) -> tuple[Floats, NDArray[np.bool_]]:
        """Rewards of answers to questions with plans `[G, M]`, and which steps were wrong `[G, M, KINDS]`.

        Args:
            plans: of each group.
            learns: whether the policy takes a step of GRPO.
        """
        number = len(plans)
        group = np.repeat(np.arange(number), MEMBERS)
        asked, plan = self.random.integers(0, QUESTIONS, number)[group], plans[group]
        forms = self._form.filled(asked, self.random)
        wrong = (plan == 1) & (forms != self._right[asked])
        paid = (~wrong.any(1) & (self.random.random(len(group)) < self._enough(plan))).astype(np.float32)
        self.answers += len(group)
        if learns:
            layout = Layout.of(np.ones(len(group)), group)
            gain = GRPO.apply(Table({"paid": Column.full(paid)}, layout, {"paid": "episode"}), {}).values
            self._form.ascend(asked, forms, (gain[:, None] * plan).astype(np.float64) / len(group), RATE)
        return paid.astype(np.float64).reshape(number, MEMBERS), wrong.reshape(number, MEMBERS, KINDS)

    def _enough(self, plans: Ints) -> Floats:
        found: Floats = GUESSED + GAIN * (plans * self._useful).sum(-1)
        return found


def reflected(plan: Plan, failures: Sequence[Trial[Plan]], random: np.random.Generator) -> Plan:
    """A plan with one step more or less, by a failure of it where one is remembered.

    Where a step was done wrongly the failure says that it is too hard, else that something is missing.
    """
    own = [one for one in failures if one.instruction == plan]
    wrong = np.asarray(own[random.integers(len(own))].trajectory) if own else np.zeros(KINDS, np.bool_)
    places = np.flatnonzero(wrong if wrong.any() else np.asarray(plan) == 0)
    changed = list(plan)
    place = random.choice(places) if len(places) else random.integers(KINDS)
    changed[place] = 1 - changed[place]
    return tuple(changed)


def evolved(seed: int, way: Way) -> Mapping[str, float]:
    """How well a policy answers with the instruction that it ends with.

    Args:
        seed: of everything.
        way: what evolves. All write as many answers, those of search and verification among them; what is chosen or
            searched before the policy learns takes a quarter. Nobody knows beforehand that every step may be asked for.
    """
    work = Work(seed)
    every = np.array(np.meshgrid(*[[0, 1]] * KINDS)).reshape(KINDS, -1).T
    singles = np.eye(KINDS, dtype=np.int64)[work.random.permutation(KINDS)[:3]]
    first: list[Plan] = [(0,) * KINDS, *(tuple(plan) for plan in singles.tolist())]
    regrets = list[float]()

    def phase(population: InstructionPopulation[Plan], until: float, learns: bool, evolves: bool) -> Plan:
        def verify(plan: Plan) -> float:
            return float(work.follow(np.tile(plan, (CHECKED, 1)), learns=False)[0].mean())

        batch = 0
        while work.answers < until * BUDGET * GROUPS * MEMBERS:
            given = population.draw(GROUPS, work.random)
            plans = np.array(population.instructions)
            chances, expected = population.probabilities(), work.expected(plans)
            regrets.append(float(work.expected(every).max() - chances @ expected))
            paid, wrong = work.follow(plans[given], learns)
            population.credit(given, paid.mean(1))
            of = [population.instructions[number] for number in np.repeat(given, MEMBERS)]
            shown = zip(of, wrong.reshape(-1, KINDS), paid.ravel().tolist(), strict=True)
            population.remember([Trial(*one) for one in shown])
            batch += 1
            if evolves and batch % EVERY == 0:
                population.evolve(partial(reflected, random=work.random), verify)
        return population.instructions[population.best]

    if way == "INSPO":
        plan = phase(InstructionPopulation(first), 1.0, True, True)
    elif way == "no new instructions":
        plan = phase(InstructionPopulation(first), 1.0, True, False)
    elif way == "every step at once":
        plan = phase(InstructionPopulation([(1,) * KINDS]), 1.0, True, False)
    else:
        plan = phase(InstructionPopulation(first), 0.25, False, way == "searched before RL")
        plan = phase(InstructionPopulation([plan]), 1.0, True, False)
    success = float(work.expected(np.array([plan]))[0])
    return {
        "right": success,
        "steps asked for": float(sum(plan)),
        "regret on the way": float(np.mean(regrets)),
        "regret at last": float(work.expected(every).max() - success),
    }


def _together(found: Found) -> bool:
    rivals = ("no new instructions", "best of the first", "searched before RL")
    return all(found.above("INSPO", rival, "right", by=0.2) for rival in rivals)


INSPO = Check(
    row=224,
    name="instruction-policy-coevolution",
    claim="Where a plan pays only once its steps can be done, a policy that learns while its instructions evolve ends "
    "right more often, by over 0.2, than one that learns with the instructions of the beginning, with the best of "
    "these, or with the best that a search had found before, with as many answers in all.",
    arms={way: partial(evolved, way=way) for way in WAYS},
    holds=_together,
    seeds=10,
    units={"right": "share of answers", "steps asked for": "steps"},
)
