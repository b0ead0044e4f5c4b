"""The writer of a store is killed under load; what it acknowledged is there, once."""

from __future__ import annotations

import pytest

from benchmarks.replay_crash import kill_at_random

pytestmark = pytest.mark.chaos


@pytest.mark.parametrize("policy", ["always", "interval", "none"])
def test_a_writer_that_is_killed_under_load_loses_nothing_acknowledged_and_doubles_nothing(tmp_path, policy):
    toll = kill_at_random(tmp_path, policy, kills=8, seed=7)
    assert toll.kills == 8 and toll.acknowledged_rows > 0
    assert (toll.rows_lost, toll.rows_doubled, toll.rows_wrong) == (0, 0, 0)
