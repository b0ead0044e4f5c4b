"""What the books of a run must come to, whatever kind of run it is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict

from learners.replay.ledger import ReplayLedger

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
