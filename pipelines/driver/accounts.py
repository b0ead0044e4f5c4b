"""What the books of a run must come to, whatever kind of run it is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from learners.replay.ledger import ReplayLedger, combined

NUMBER = re.compile(r"-\d+$")


def deaths_by_role(deaths: Mapping[str, int]) -> Counter[str]:
    """Deaths of all processes of a role together: `env-actor-3` is an `env-actor`."""
    found: Counter[str] = Counter()
    for name, times in deaths.items():
        found[NUMBER.sub("", name)] += times
    return found


def imbalance(questions: int, shares: Iterable[ReplayLedger]) -> int:
    """Questions, fragments, rows and frames that the accounts miss, or have twice; 0 where they balance."""
    experience = [abs(n) for share in shares for n in asdict(share.imbalance).values()]
    return abs(questions) + int(sum(experience))


def experience(shares: Iterable[ReplayLedger]) -> dict[str, Any]:
    """What the ledger says of experience: what came in, is there, was drawn and has gone, of all shares together."""
    books = combined(tuple(shares))
    return {
        "accepted": asdict(books.accepted),
        "live": asdict(books.waiting),
        "sampled": asdict(books.sampled),
        "dropped": {reason: asdict(count) for reason, count in books.dropped.items()},
        "duplicates": books.duplicates,
        "fenced": books.fenced,
        "samples": books.samples,
        "samples_in_no_checkpoint": books.unreleased,
        "samples_given_again": books.redelivered,
        "balanced": books.balanced,
    }
