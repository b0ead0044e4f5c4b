"""`Permits`: whether a call may go now: the budget has room for it, and the rates allow it.

Without limits every call may go, and nothing is counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from rewards.budget import Budget, Degrade, Reservation
from rewards.rates import RateLimit

Refusal = Literal["budget", "rate"]

FIRST_GUESS = 256  # tokens a question, until some answers have said what they took
RESERVED_S = 0.05  # until it is asked again whether what was reserved has been settled


@dataclass(frozen=True)
class Permit:
    """Leave to make one call: what was put aside for it."""

    reservation: Reservation | None = None
    tokens: int = 0


@dataclass(frozen=True)
class Refused:
    """No leave: by what, and after how many seconds it is worth asking again."""

    by: Refusal
    wait_s: float


class Permits:
    """The limits of one judge."""

    def __init__(
        self,
        budget: Budget | None = None,
        rates: RateLimit | None = None,
        clock: Callable[[], float] = time.monotonic,
        look_again_s: float = 1.0,
    ) -> None:
        """Leave by these limits.

        Args:
            budget: None: without limit.
            rates: None: without limit.
            clock: seconds.
            look_again_s: how long an empty budget is taken to be empty, before it is asked again.
        """
        self._budget, self._rates, self._clock, self._look_again_s = budget, rates, clock, look_again_s
        self._empty_until = -1.0
        self._tokens_a_question = float(FIRST_GUESS)

    @property
    def degrade(self) -> Degrade:
        """What is done when the budget is used up."""
        return self._budget.config.degrade if self._budget else "stop"

    def ask(self, questions: int) -> Permit | Refused:
        """Leave for a call with so many questions.

        Where the budget has room for fewer only, it is refused with a wait of 0: ask for fewer. Where it has none only
        because calls under way have reserved it, that is no end of the budget, but a wait as for the rate.
        """
        reservation = None
        if self._budget is not None:
            if (wait_s := self._empty_until - self._clock()) > 0:
                return Refused("budget", wait_s)
            reservation = self._budget.reserve(questions)
            if reservation is None:
                if questions > 1:
                    return Refused("budget", 0.0)
                if self._budget.only_reserved(1):  # not spent: most of it comes back when calls under way are settled
                    return Refused("rate", RESERVED_S)
                self._empty_until = self._clock() + self._look_again_s
                return Refused("budget", self._look_again_s)
        tokens = 0
        if self._rates is not None:
            tokens = round(questions * self._tokens_a_question)
            if wait_s := self._rates.take(questions, tokens):
                if self._budget is not None and reservation is not None:
                    self._budget.release(reservation)
                return Refused("rate", wait_s)
        return Permit(reservation, tokens)

    def settle(self, permit: Permit, questions: int, tokens: int) -> None:
        """A call was answered, and took so many tokens."""
        self._tokens_a_question += 0.1 * (tokens / questions - self._tokens_a_question)
        if self._rates is not None:
            self._rates.correct(permit.tokens - tokens)
        if self._budget is not None and permit.reservation is not None:
            self._budget.settle(permit.reservation, questions, tokens)

    def forfeit(self, permit: Permit) -> None:
        """A call failed. What it took is not known, so it counts as all that was put aside for it."""
        if self._budget is not None and permit.reservation is not None:
            amount = permit.reservation.amount
            self._budget.settle(permit.reservation, amount.requests, amount.tokens)

    def release(self, permit: Permit) -> None:
        """A call was never begun: the judge refused it."""
        if self._rates is not None:
            self._rates.correct(permit.tokens)
        if self._budget is not None and permit.reservation is not None:
            self._budget.release(permit.reservation)
