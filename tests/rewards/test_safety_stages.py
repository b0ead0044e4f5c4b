from __future__ import annotations

import numpy as np
import pytest

from rewards.safety_stages import HOOKS, SafetyStages

NAN = float("nan")
SCORES = {"fine": 0.1, "edge": 0.5, "bad": 0.9, "unknown": NAN}
ITEMS = list(SCORES)


def scorer(items):
    return [SCORES[item] for item in items]


def test_without_hooks_everything_is_as_it_was_and_the_scorer_is_not_asked():
    def never(items):
        raise AssertionError("asked")

    stages = SafetyStages(never, hooks=())
    for passed in (stages.learnt_from, stages.answered, stages.sent):
        assert passed(ITEMS).all()
    assert stages.rewarded(ITEMS, [1, 2, 3, 4]) == pytest.approx([1, 2, 3, 4])


def test_what_is_unsafe_or_not_known_is_not_learnt_from_nor_answered_nor_sent():
    stages = SafetyStages(scorer)
    for passed in (stages.learnt_from, stages.answered, stages.sent):
        assert passed(ITEMS).tolist() == [True, True, False, False]


def test_an_unsafe_answer_costs_the_penalty_and_what_nobody_scored_has_no_reward():
    found = SafetyStages(scorer, penalty=2).rewarded(ITEMS, [1, 1, 1, 1])
    assert found[:3] == pytest.approx([1, 1, -1]) and np.isnan(found[3])
    assert np.isnan(SafetyStages(scorer).rewarded(["fine"], [NAN])).all()


@pytest.mark.parametrize("hook", HOOKS)
def test_each_hook_acts_at_its_stage_alone(hook):
    stages = SafetyStages(scorer, hooks={hook})
    acted = {
        "pre_data": not stages.learnt_from(["bad"])[0],
        "post_train": stages.rewarded(["bad"], [1.0])[0] < 1,
        "serve_in": not stages.answered(["bad"])[0],
        "serve_out": not stages.sent(["bad"])[0],
    }
    assert [name for name, did in acted.items() if did] == [hook]


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="expected some of"):
        SafetyStages(scorer, hooks={"serve"})
    with pytest.raises(ValueError, match="expected one each"):
        SafetyStages(lambda items: [0.1]).sent(ITEMS)
    with pytest.raises(ValueError, match="expected one each"):
        SafetyStages(scorer).rewarded(ITEMS, [1])
