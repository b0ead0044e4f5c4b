import pytest

from benchmarks import lm_learning
from pipelines.errors import UserError

VALUES = {**lm_learning.KEYS, "prompts": 10}


def test_a_run_that_was_stopped_before_its_end_is_no_result():
    experiment = lm_learning.experiment_of("dpo", 3)
    assert lm_learning.whole(experiment.updates, experiment) == experiment.updates
    with pytest.raises(UserError, match=rf"seed 3: the run was stopped after 7 of {experiment.updates} updates"):
        lm_learning.whole(7, experiment)


def test_what_was_kept_of_a_stopped_run_is_measured_again_and_what_came_to_its_end_is_not(tmp_path, monkeypatch):
    values, updates = {**VALUES, "work": str(tmp_path)}, lm_learning.experiment_of("dpo", 0).updates
    told = [updates - 1, updates]
    monkeypatch.setattr(lm_learning, "measured", lambda *given: {"updates": told.pop(0)})
    for left, found in ((1, updates - 1), (0, updates), (0, updates)):
        assert lm_learning.kept("dpo", 0, values) == {"updates": found} and len(told) == left
