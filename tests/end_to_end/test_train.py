"""`guerdon train`, distributed, as a person starts it; nothing may be left behind, however it ends."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.cluster


def test_a_distributed_run_ends_well_and_leaves_nothing_behind(training):
    run = training("catch")
    assert run.wait() == 0, run.output
    run.nothing_left()
    assert run.ledger["balanced"] and run.ledger["verdicts"]["ok"] == run.ledger["verdicts"]["asked"] > 0
    assert not run.ledger["deaths"] and not run.events
    last = run.metrics()
    assert (
        last["learnt_frames"] >= 1200
        and last["annotated_share"] > 0
        and last["updates"] == run.tree["status"]["updates"]
    )
    assert run.directory.report.is_file() and "Traceback" not in run.output
