"""`Budget`: requests, tokens and money that a judge may cost, held across processes to the last unit.

Before a call, its most is reserved; after it, what it took is settled and the rest is free again. Spent and reserved
together never pass a limit, whoever reserves at the same time, because each step is one transaction. A reservation
whose owner died counts as spent in full once its lease is over: the money may have left.

    reserve ──→ reserved ──settle──→ spent
       │            ├──release──→ free again: the call was never made
    refused         └──lease over──→ spent, and counted as forfeited

Processes of one machine share a file. Those of a cluster share an object: host a `Budget` in an actor
(`cluster.hosts.start_host`) and call it there.
"""

from __future__ import annotations

import math
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from rewards.database import open_database, transaction
from rewards.prices import Prices

VERSION = 1
NANO = 10**9  # money is counted in whole billionths, so that sums are exact
_SCHEMA = """
CREATE TABLE account (
    name TEXT PRIMARY KEY,
    requests INTEGER NOT NULL DEFAULT 0,
    tokens INTEGER NOT NULL DEFAULT 0,
    money INTEGER NOT NULL DEFAULT 0,
    refused INTEGER NOT NULL DEFAULT 0,
    forfeited INTEGER NOT NULL DEFAULT 0,
    overruns INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE reservation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account TEXT NOT NULL,
    requests INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    money INTEGER NOT NULL,
    until REAL NOT NULL
)
"""

Degrade = Literal["stop", "fallback", "over_budget"]


class Config(BaseModel):
    """Limits, and what happens at them; without a limit nothing is kept.

    Attributes:
        degrade: "stop": questions wait until there is budget again; "fallback": a cheaper judge answers;
            "over_budget": their verdicts are NULL, with that status.
        tokens_a_question: the most that one question can take, reserved until it is known what it took. Where a judge
            takes more, the account goes beyond its limit by as much, and `overruns` counts it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests: int | None = Field(default=None, ge=0, description="questions sent, retries included")
    tokens: int | None = Field(default=None, ge=0, description="tokens read and written")
    money: float | None = Field(default=None, ge=0, description="in the currency of the prices")
    degrade: Degrade = "over_budget"
    tokens_a_question: int = Field(default=1024, ge=1)
    lease_s: float = Field(default=900.0, gt=0, description="a reservation not settled for this long counts as spent")
    file: str | None = Field(default=None, description="SQLite file shared by processes; None: this process only")

    @property
    def limited(self) -> bool:
        """Whether there is any limit."""
        return (self.requests, self.tokens, self.money) != (None, None, None)


class Amount(NamedTuple):
    """Something that can be spent; money in billionths."""

    requests: int
    tokens: int
    money: int


@dataclass(frozen=True)
class Reservation:
    """What was put aside for one call."""

    id: int
    amount: Amount


@dataclass(frozen=True)
class Account:
    """The state of an account.

    Attributes:
        spent: what calls took, and what was forfeited.
        reserved: put aside for calls under way.
        refused: reservations that did not fit.
        forfeited: reservations whose lease was over before they were settled.
        overruns: calls that took more than was reserved.
    """

    spent: Amount
    reserved: Amount
    refused: int
    forfeited: int
    overruns: int


class Budget:
    """One account. Every method is one transaction; the clock is one that all processes share."""

    def __init__(
        self,
        config: Config,
        prices: Prices | None = None,
        account: str = "judge",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open the account, and make it where it is missing.

        Args:
            config: limits; they are this process's own, the account is everybody's.
            prices: of the judge.
            account: name in the file.
            clock: seconds.

        Raises:
            rewards.database.DatabaseForeign: the file is something else.
        """
        self.config, self._prices, self._name, self._clock = config, prices or Prices(), account, clock
        self._limits = (
            config.requests,
            config.tokens,
            None if config.money is None else math.floor(config.money * NANO),
        )
        self._base = open_database(Path(config.file).expanduser() if config.file else None, "budget", VERSION, _SCHEMA)
        weakref.finalize(self, self._base.close)
        self._base.execute("INSERT OR IGNORE INTO account (name) VALUES (?)", (account,))

    def reserve(self, questions: int) -> Reservation | None:
        """Put aside the most that `questions` can cost; None where that does not fit.

        Raises:
            ValueError: fewer than one question.
        """
        if questions < 1:
            raise ValueError(f"got {questions} questions to reserve for; expected at least 1")
        wanted = self._amount(questions, questions * self.config.tokens_a_question)
        with transaction(self._base):
            self._forfeit()
            spent, reserved = self._spent(), self._reserved()
            for limit, *parts in zip(self._limits, spent, reserved, wanted, strict=True):
                if limit is not None and sum(parts) > limit:
                    self._base.execute("UPDATE account SET refused = refused + 1 WHERE name = ?", (self._name,))
                    return None
            ident = self._base.execute(
                "INSERT INTO reservation (account, requests, tokens, money, until) VALUES (?, ?, ?, ?, ?)",
                (self._name, *wanted, self._clock() + self.config.lease_s),
            ).lastrowid
        assert ident is not None
        return Reservation(ident, wanted)

    def only_reserved(self, questions: int) -> bool:
        """Whether so many would fit but for what is put aside: once calls under way are settled, they may."""
        wanted = self._amount(questions, questions * self.config.tokens_a_question)
        with transaction(self._base):
            self._forfeit()
            parts = zip(self._limits, self._spent(), wanted, strict=True)
            return all(limit is None or spent + more <= limit for limit, spent, more in parts)

    def settle(self, reservation: Reservation, requests: int, tokens: int) -> bool:
        """Say what a call took; gives False, and changes nothing, where the reservation had ended before."""
        used = self._amount(requests, tokens)
        overrun = any(took > had for took, had in zip(used, reservation.amount, strict=True))
        with transaction(self._base):
            if not self._close(reservation.id):
                return False
            self._spend(used)
            self._base.execute("UPDATE account SET overruns = overruns + ? WHERE name = ?", (overrun, self._name))
        return True

    def release(self, reservation: Reservation) -> bool:
        """Say that the call was never made; gives False where the reservation had ended before."""
        with transaction(self._base):
            return self._close(reservation.id)

    def account(self) -> Account:
        """What was spent, and what is put aside."""
        with transaction(self._base):
            self._forfeit()
            counts = self._base.execute(
                "SELECT refused, forfeited, overruns FROM account WHERE name = ?", (self._name,)
            ).fetchone()
            return Account(self._spent(), self._reserved(), *counts)

    def left(self) -> dict[str, float]:
        """Share of each limit that is neither spent nor reserved, by "requests", "tokens" and "money"."""
        account = self.account()
        return {
            name: max(0.0, 1 - (spent + reserved) / limit) if limit else 0.0
            for name, spent, reserved, limit in zip(
                Amount._fields, account.spent, account.reserved, self._limits, strict=True
            )
            if limit is not None
        }

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def _amount(self, requests: int, tokens: int) -> Amount:
        return Amount(requests, tokens, math.ceil(self._prices.cost(requests, tokens) * NANO))

    def _spent(self) -> Amount:
        row = self._base.execute("SELECT requests, tokens, money FROM account WHERE name = ?", (self._name,)).fetchone()
        return Amount(*row)

    def _reserved(self) -> Amount:
        row = self._base.execute(
            "SELECT coalesce(sum(requests), 0), coalesce(sum(tokens), 0), coalesce(sum(money), 0)"
            " FROM reservation WHERE account = ?",
            (self._name,),
        ).fetchone()
        return Amount(*row)

    def _spend(self, amount: Amount) -> None:
        self._base.execute(
            "UPDATE account SET requests = requests + ?, tokens = tokens + ?, money = money + ? WHERE name = ?",
            (*amount, self._name),
        )

    def _close(self, ident: int) -> bool:
        return self._base.execute("DELETE FROM reservation WHERE id = ?", (ident,)).rowcount == 1

    def _forfeit(self) -> None:
        """Count reservations as spent whose lease is over."""
        over = self._base.execute(
            "SELECT id, requests, tokens, money FROM reservation WHERE account = ? AND until <= ?",
            (self._name, self._clock()),
        ).fetchall()
        for ident, *amount in over:
            self._close(ident)
            self._spend(Amount(*amount))
        if over:
            self._base.execute("UPDATE account SET forfeited = forfeited + ? WHERE name = ?", (len(over), self._name))
