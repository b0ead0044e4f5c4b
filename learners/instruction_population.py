"""INSPO: a population of instructions that evolves with the policy that follows them.

Each question is given with an instruction of the population, and the answers to both are a group of GRPO. What a group
earns is credited to its instruction as well, and says how often that is given from then on:

    P(I_k) = softmax(w / τ)_k over those that live        w_k ← w_k + η (mean reward of its groups − w_k)

Now and then the lowest are pruned, and new ones written: whoever reflects reads an instruction that does well and
trajectories that earned least, and what he writes joins only where the policy of now does well enough with it on a
small batch. Who answers, reflects and verifies is handed in; what is here is the population.

Source: INSPO, Agentic Policy Optimization via Instruction-Policy Co-Evolution (Zhou et al. 2025): the softmax of
weights, pruning, reflection on failures and verification. Chosen here: the running mean; one that was not given yet has
the mean weight of the others; a new one begins with what it was verified with; half of those that live are pruned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Instruction = TypeVar("Instruction")
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Trial(NamedTuple, Generic[Instruction]):
    """What is remembered of a trajectory: the instruction, whatever shows what was done, and the reward."""

    instruction: Instruction
    trajectory: object
    reward: float


@dataclass
class InstructionPopulation(Generic[Instruction]):
    """Instructions with their weights, and the trajectories that earned least.

    Attributes:
        first: instructions to begin with.
        temperature: τ; the higher, the more alike they are given.
        rate: η.
        remembered: trajectories that are kept for reflection, those that earned least.
    """

    first: Sequence[Instruction]
    temperature: float = 0.1
    rate: float = 0.2
    remembered: int = 32
    instructions: list[Instruction] = field(init=False)
    weights: Floats = field(init=False)
    living: NDArray[np.bool_] = field(init=False)
    failures: list[Trial[Instruction]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        """All live, and nothing is known of them.

        Raises:
            ValueError: no instruction, or a setting out of its range.
        """
        if not self.first or not self.temperature > 0 or not 0 < self.rate <= 1 or self.remembered < 0:
            raise ValueError(
                f"got {len(self.first)} instructions, temperature={self.temperature}, rate={self.rate} and "
                f"remembered={self.remembered}; expected at least one, τ above 0, 0 < η <= 1, and at least 0"
            )
        self.instructions = list(self.first)
        self.weights, self.living = np.full(len(self.first), np.nan), np.ones(len(self.first), np.bool_)

    @property
    def best(self) -> int:
        """Number of the one with the highest weight among those that live; of equals the first."""
        return int(np.where(self.living, self._known(), -np.inf).argmax())

    def probabilities(self) -> Floats:
        """P of each instruction, 0 for those that were pruned `[N]`."""
        logits = np.where(self.living, self._known() / self.temperature, -np.inf)
        chances = np.exp(logits - logits.max())
        found: Floats = chances / chances.sum()
        return found

    def draw(self, number: int, random: np.random.Generator) -> Ints:
        """Numbers of the instructions that go with so many questions `[number]`."""
        return random.choice(len(self.weights), number, p=self.probabilities())

    def credit(self, given: ArrayLike, rewards: ArrayLike) -> None:
        """Take in what groups earned.

        Args:
            given: number of the instruction of each group `[G]`.
            rewards: their mean rewards; NaN where one is not known `[G]`.

        Raises:
            ValueError: shapes that do not fit.
        """
        numbers, earned = np.asarray(given, np.int64), np.asarray(rewards, np.float64)
        if numbers.ndim != 1 or earned.shape != numbers.shape:
            raise ValueError(f"got {numbers.shape} instructions for {earned.shape} rewards; expected [G] twice")
        for number in np.unique(numbers[~np.isnan(earned)]):
            mean, weight = np.nanmean(earned[numbers == number]), self.weights[number]
            self.weights[number] = mean if np.isnan(weight) else weight + self.rate * (mean - weight)

    def remember(self, trials: Sequence[Trial[Instruction]]) -> None:
        """Keep the trajectories that earned least; of equals the newest. Unknown rewards are left out."""
        known = [one for one in trials if not np.isnan(one.reward)]
        self.failures = sorted([*known, *self.failures], key=lambda one: one.reward)[: self.remembered]

    def prune(self, share: float = 0.5) -> Ints:
        """Take out the lowest of those that live and were given; the best stays. Gives their numbers.

        Args:
            share: of those that live, rounded down.

        Raises:
            ValueError: a share that is not from 0 to 1.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"got share={share}; expected 0 to 1")
        tried = np.flatnonzero(self.living & ~np.isnan(self.weights))
        order = tried[np.argsort(self.weights[tried], kind="stable")]
        gone: Ints = order[order != self.best][: int(share * self.living.sum())]
        self.living[gone] = False
        return gone

    def admit(self, candidates: Sequence[Instruction], verified: ArrayLike, most: int) -> Ints:
        """Let the candidates join that were verified best, while fewer than `most` live. Gives their numbers.

        Args:
            candidates: new instructions.
            verified: mean reward of the policy of now with each; NaN, and it does not join `[C]`.
            most: instructions that live.

        Raises:
            ValueError: not one number for each candidate.
        """
        scores = np.asarray(verified, np.float64)
        if scores.shape != (len(candidates),):
            raise ValueError(f"got {scores.shape} numbers for {len(candidates)} candidates; expected one for each")
        room = max(most - int(self.living.sum()), 0)
        joined = [k for k in np.argsort(-scores, kind="stable") if not np.isnan(scores[k])][:room]
        self.instructions += [candidates[k] for k in joined]
        self.weights = np.append(self.weights, scores[joined])
        self.living = np.append(self.living, np.ones(len(joined), np.bool_))
        return np.arange(len(self.weights) - len(joined), len(self.weights))

    def evolve(
        self,
        reflect: Callable[[Instruction, Sequence[Trial[Instruction]]], Instruction],
        verify: Callable[[Instruction], float],
        candidates: int = 3,
        most: int = 8,
        share: float = 0.5,
    ) -> Ints:
        """Prune, write candidates from the best and what failed, verify, and admit. Gives the numbers of the new ones.

        Args:
            reflect: a new instruction for one, after a look at trajectories that earned least.
            verify: mean reward of the policy of now with an instruction, on a small batch.
            candidates: how many are written; one that lives already is not verified.
            most: instructions that live.
            share: of those that live, which is pruned.
        """
        self.prune(share)
        parent, new = self.instructions[self.best], list[Instruction]()
        present = [one for one, lives in zip(self.instructions, self.living, strict=True) if lives]
        for _ in range(candidates):
            written = reflect(parent, self.failures)
            if written not in present and written not in new:
                new.append(written)
        self.failures = []  # the policy will have gone on when these are read next
        return self.admit(new, [verify(one) for one in new], most)

    def _known(self) -> Floats:
        known = self.living & ~np.isnan(self.weights)
        return np.where(np.isnan(self.weights), self.weights[known].mean() if known.any() else 0.0, self.weights)
