"""Replicas of the reward server are killed under load: no question is lost, and none is answered twice."""

from __future__ import annotations

import pytest

from benchmarks.reward_server_chaos import main
from pipelines.results import read_result

pytestmark = [pytest.mark.cluster, pytest.mark.chaos]


def test_killed_and_stopped_replicas_cost_no_question_and_no_verdict_comes_twice(tmp_path):
    code = main(
        ["seconds=6", "every_s=3", "stop_every=2", "hits=2", "judge=rules", "questions_per_s=50", f"results={tmp_path}"]
    )
    figures = read_result(tmp_path / "reward-server-chaos.json").figures
    assert figures["questions lost"].value == figures["verdicts applied twice"].value == 0
    assert figures["ledger balanced"].value == 1 and figures["replicas hit"].value >= 2
    assert figures["replicas replaced"].value == figures["replicas hit"].value
    assert code in (0, 1), "how long a learner waits on a busy machine is measured, and not tested"
