"""Auto MC-Reward: a reward program that is written, read, tried and written again by what went wrong.

    design     a model writes a program (`rewards.sources.reward_programs`) from the task and what was learnt so far
    criticise  what can be read of its faults, and what a second model says; it is written again, at most 3 times
    train      an agent learns by it
    analyse    a third model looks at the ends of the trajectories that failed; what it says goes to the next design

Who designs, reviews, trains and analyses is handed in; what is here is when they are asked about what, and that no
program is tried that still has faults.

Source: Auto MC-Reward (Li et al. 2024); that there are 3 attempts, and that a design which nobody could mend ends in
the program of before being kept, is chosen here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from rewards.sources.reward_programs import faults

Step = TypeVar("Step")


class Roles(NamedTuple, Generic[Step]):
    """Three models.

    Attributes:
        design: a program, from what analyses have said so far and what is wrong with the last attempt.
        review: what is wrong with a program that can be read; nothing: it may be tried.
        analyse: why trajectories failed, from the last steps of each.
    """

    design: Callable[[Sequence[str], Sequence[str]], str]
    review: Callable[[str], Sequence[str]]
    analyse: Callable[[Sequence[Sequence[Step]]], str]


@dataclass
class RewardDesign(Generic[Step]):
    """Programs with their history.

    Attributes:
        fields: of an observation.
        roles: the models.
        attempts: at each design.
        programs: that were tried, in order; the last is the one to learn by.
        analyses: what was said of the failures of each, in order.
        refused: programs that were not tried, with what was wrong with each.
    """

    fields: Sequence[str]
    roles: Roles[Step]
    attempts: int = 3
    programs: list[str] = field(default_factory=list)
    analyses: list[str] = field(default_factory=list)
    refused: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Check.

        Raises:
            ValueError: no attempt.
        """
        if self.attempts < 1:
            raise ValueError(f"got attempts={self.attempts}; expected at least 1")

    def next(self) -> str | None:
        """The next program without a fault that was found; None: none came of the attempts, and the last one stays."""
        complaints: tuple[str, ...] = ()
        for _ in range(self.attempts):
            program = self.roles.design(tuple(self.analyses), complaints)
            complaints = faults(program, self.fields) or tuple(self.roles.review(program))
            if not complaints:
                self.programs.append(program)
                return program
            self.refused.append((program, complaints))
        return None

    def learnt(self, failed: Sequence[Sequence[Step]], tail: int) -> None:
        """Have the ends of failed trajectories analysed; without any there is nothing to say.

        Args:
            failed: the steps of each.
            tail: how many at its end are looked at.
        """
        if failed:
            self.analyses.append(self.roles.analyse([steps[-tail:] for steps in failed]))
