"""What the books of a run come to."""

from learners.replay.ledger import Count, ReplayLedger
from pipelines.driver.accounts import deaths_by_role, imbalance


def test_deaths_are_counted_by_role():
    assert deaths_by_role({"env-actor-0": 1, "env-actor-12": 2, "learner": 1}) == {"env-actor": 3, "learner": 1}


def test_an_imbalance_counts_what_is_missing_and_what_is_there_twice():
    def share(accepted: int) -> ReplayLedger:
        one = Count(1, 2, 30)
        return ReplayLedger(Count(accepted, 2, 30), one, Count(), Count(), {}, 0, 0, 0, 0, 0, 0, 0)

    assert imbalance(0, [share(1)]) == 0
    assert imbalance(-2, [share(4), share(0)]) == 2 + 3 + 1
