import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.monitors.detectors import Cusum, Level
from rewards.monitors.observation import Observation, observed
from rewards.monitors.suite import Config, Monitors


def test_evidence_worked_by_hand():
    drift = Cusum(side=1, slack=0.5, threshold=3.0, warm_up=3)
    assert [drift.observe(x) for x in (1.0, 2.0, 3.0)] == [False] * 3  # μ = 2, σ = 1
    assert drift.z(4.0) == pytest.approx(2.0)
    assert not drift.observe(4.0) and drift.evidence == pytest.approx(1.5)
    assert not drift.observe(None) and not drift.observe(float("nan")) and drift.evidence == pytest.approx(1.5)
    assert not drift.observe(1.0) and drift.evidence == 0.0  # 1.5 − 1 − 0.5
    assert not drift.observe(4.5) and drift.observe(4.0) and drift.evidence == 0.0  # 2 + 1.5 ≥ 3


def test_a_fall_alarms_on_the_other_side_only():
    down, up = (Cusum(side=side, slack=0.5, threshold=5.0, warm_up=10) for side in (-1, 1))
    stream = [0.0, 1.0] * 5 + [-3.0] * 10
    assert any([down.observe(x) for x in stream]) and not any([up.observe(x) for x in stream])


@pytest.mark.slow
def test_false_alarms_come_as_rarely_as_the_formula_says():
    random, lengths = np.random.default_rng(0), []
    for _ in range(300):
        drift = Cusum(side=1, slack=0.5, threshold=3.0, warm_up=2000)
        for x in random.normal(size=2000):
            drift.observe(x)
        count = 1
        while not drift.observe(random.normal()):
            count += 1
        lengths.append(count)
    # Siegmund's approximation of the mean run length: (exp(2·½·(h + 1.166)) − (h + 1.166) − 1) / (2·½²) = 118.6
    assert 0.8 * 118.6 < np.mean(lengths) < 1.25 * 118.6


def test_so_many_in_a_row_alarm_and_a_null_is_none_of_them():
    level = Level(level=1.0, patience=3, warm_up=1)
    assert [level.observe(x) for x in (2, 2, 2, None, 2)] == [False, False, False, False, True]
    assert [level.observe(x) for x in (2, 0, 2, 2, 2)] == [False, False, False, False, True]


def clean(n=40, seed=0):
    random = np.random.default_rng(seed)
    for _ in range(n):
        gold = random.random(64) < 0.5
        yield observed(np.where(random.random(64) < 0.05, ~gold, gold).astype(float), gold.astype(float), 10.0, 1.0)


def run(observations, **settings):
    monitors = Monitors(Config(**settings))
    return [alarm for one in observations for alarm in monitors.observe(one)]


def test_a_clean_stream_is_quiet():
    assert run(clean(200)) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "hacked"),
    [
        ("gold", lambda: observed(np.ones(64) * 0.5, np.zeros(64), 10.0, 1.0)),
        ("divergence", lambda: Observation(proxy=0.95, gold=0.05)),
        ("disagreement", lambda: observed(np.r_[np.ones(32), np.zeros(32)], np.r_[np.zeros(32), np.ones(32)], 10.0)),
        ("saturation", lambda: observed(np.ones(64), np.r_[np.ones(32), np.zeros(32)], 10.0)),
        ("collapse", lambda: observed(np.full(64, 0.5), np.r_[np.ones(32), np.zeros(32)], 10.0)),
        ("length", lambda: Observation(length=30.0)),
        ("length", lambda: Observation(length=3.0)),
        ("entropy", lambda: Observation(entropy=0.001)),
    ],
)
def test_each_hack_is_named(kind, hacked):
    found = run([*clean(), *(hacked() for _ in range(20))])
    assert kind in {alarm.monitor for alarm in found} and all(alarm.message for alarm in found)


def test_a_component_that_becomes_everything_is_named_and_one_that_always_was_is_not():
    even, all_one = Observation(components={"a": 1.0, "b": 1.0}), Observation(components={"a": 99.0, "b": 1.0})
    assert {alarm.monitor for alarm in run([even] * 20 + [all_one] * 10)} == {"dominance"}
    assert run([all_one] * 40) == []


def test_a_solved_task_is_neither_saturated_nor_collapsed():
    solved = observed(np.ones(64), np.ones(64), 10.0, 1.0)
    assert run([*clean(), *[solved] * 30]) == []


def test_a_task_whose_best_gold_is_not_positive_is_solved_all_the_same():
    random = np.random.default_rng(0)
    early = [observed(random.random(64), -1 - random.random(64)) for _ in range(30)]
    assert run([*early, *[observed(np.ones(64), np.full(64, -1.0))] * 30]) == []
    hacked = observed(np.ones(64), np.r_[np.full(32, -1.0), np.full(32, -2.0)])
    assert "saturation" in {alarm.monitor for alarm in run([*early, *[hacked] * 30])}


def test_where_nothing_succeeds_all_earn_the_lowest_reward_and_not_the_highest():
    lost = observed(np.zeros(64), np.zeros(64), 10.0, 1.0)
    assert "saturation" not in {alarm.monitor for alarm in run([*clean(), *[lost] * 30])}


def test_a_reward_without_a_reference_has_not_risen():
    random = np.random.default_rng(0)
    gold = [Observation(gold=0.5 + 0.1 * x) for x in random.normal(size=10)]  # its model has yet to learn
    both = [Observation(proxy=0.9 * 2.0 ** (k - 8), gold=0.0) for k in range(9)]
    assert "divergence" not in {alarm.monitor for alarm in run([*gold, *both])}


def updates_that_alarm(until, **settings):
    monitors = Monitors(Config(warm_up=4, patience=1, **settings))
    return [k for k in range(1, until) if monitors.observe(Observation(length=10.0 if k < 5 else 90.0))]


def test_levels_with_a_reference_count_from_twice_the_warm_up_on():
    assert updates_that_alarm(9) == [8]


def test_what_lasts_warns_again_once_the_run_is_twice_as_old_and_does_what_it_is_to_do_each_time():
    assert updates_that_alarm(40) == [8, 16, 32]
    assert updates_that_alarm(12, action="stop") == [8, 9, 10, 11]


def test_actions_are_those_of_the_config():
    found = run([Observation(length=10.0)] * 20 + [Observation(length=90.0)] * 9, actions={"length": "stop"})
    assert found[0].action == "stop"


STREAM = [
    *clean(30),
    observed(np.zeros(64), np.ones(64)),
    *(Observation(proxy=0.9, gold=0.1, length=40.0) for _ in range(30)),
]


@pytest.mark.slow
@given(st.integers(0, len(STREAM)))
@settings(max_examples=20, deadline=None)
def test_state_goes_on_where_it_was(cut):
    whole, second = Monitors(Config()), Monitors(Config())
    for one in STREAM[:cut]:
        whole.observe(one)
    second.load_state_dict(json.loads(json.dumps(whole.state_dict())))
    # update by update: what alarms, and when, is that of the run that was never cut
    assert [whole.observe(one) for one in STREAM[cut:]] == [second.observe(one) for one in STREAM[cut:]]
    assert whole.state_dict() == second.state_dict()


def test_without_its_state_a_monitor_would_say_something_else():
    whole, anew = Monitors(Config()), Monitors(Config())
    for one in STREAM[:31]:
        whole.observe(one)
    assert [whole.observe(one) for one in STREAM[31:]] != [anew.observe(one) for one in STREAM[31:]]
    with pytest.raises(ValueError, match="state version 0"):
        anew.load_state_dict({"version": 0})


def test_what_is_null_is_no_observation_and_no_zero():
    seen = observed([np.nan, 1.0, 0.0], [1.0, np.nan, 0.0])
    assert (seen.proxy, seen.gold, seen.disagreement) == (0.5, 0.5, None)
    assert observed([np.nan]).proxy is None and Observation().dominance is None
