"""The numbers of a run, counted by hand."""

from __future__ import annotations

import json
import math

import pytest

from envs.trajectory import EpisodeEnd, Fragment
from pipelines.environment.status import RunStatus


def fragment(*episodes, frames=40):
    ends = [EpisodeEnd(f"e{n}", *episode) for n, episode in enumerate(episodes)]
    return Fragment((0, 0, 0), 0, frames, 1, {}, {}, ends)


def test_nothing_is_known_of_a_run_that_has_not_begun():
    numbers = RunStatus().summary()
    assert "episode_return" not in numbers and "success_rate" not in numbers and "annotated_share" not in numbers
    assert numbers["frames"] == numbers["updates"] == numbers["frames_per_s"] == 0


def test_episodes_are_averaged_over_the_last_hundred():
    status = RunStatus()
    for n in range(150):
        status.gathered(fragment((float(n), n, n % 2 == 0, False)))
    numbers = status.summary()
    assert numbers["frames"] == 150 * 40 and numbers["episodes"] == 150
    assert numbers["episode_return"] == numbers["episode_length"] == pytest.approx(sum(range(50, 150)) / 100)
    assert numbers["success_rate"] == 0.5 and status.successes == 75


def test_a_task_that_does_not_say_has_no_success_rate_and_not_one_of_zero():
    status = RunStatus()
    status.gathered(fragment((1.0, 5, None, False)))
    assert "success_rate" not in status.summary() and status.successes == 0


def test_updates_are_counted_and_shares_are_of_all_updates():
    status = RunStatus()
    status.learnt({"frames": 60.0, "loss": 1.0, "captioned": 10, "annotated": 5}, 1.0)
    status.learnt({"frames": 60.0, "loss": 3.0, "captioned": 30, "annotated": 30}, 1.0)
    numbers = status.summary()
    assert (numbers["updates"], numbers["learnt_frames"], numbers["learner/loss"]) == (2, 120, 3.0)
    assert numbers["annotated_share"] == 35 / 40


def test_when_the_latest_update_ended_is_told_however_late_the_report():
    status = RunStatus()
    status.learnt({"frames": 60.0}, 2.5)
    status.elapsed_s = 4.0
    assert (status.summary()["learnt_s"], status.summary()["elapsed_s"]) == (2.5, 4.0)


def test_rare_rewards_are_averaged_over_the_latest_updates():
    status = RunStatus()
    for value in [100.0] * 10 + [0.0] * 49 + [1.0]:
        status.learnt({"frames": 1.0, "reward_intrinsic": value}, 1.0)
    assert status.summary()["learner/reward_intrinsic"] == pytest.approx(1 / 50)


def test_numbers_that_json_does_not_have_are_left_out():
    status = RunStatus()
    status.learnt({"frames": 60.0, "loss": math.nan, "entropy": math.inf, "value_loss": 1.0}, 1.0)
    numbers = status.summary()
    assert "learner/loss" not in numbers and "learner/entropy" not in numbers and numbers["learner/value_loss"] == 1.0
    json.dumps(numbers, allow_nan=False)


def test_a_status_goes_on_from_its_state():
    one, other = RunStatus(), RunStatus()
    for n in range(120):
        one.gathered(fragment((float(n), n, True, False)))
        one.learnt({"frames": 40.0, "reward_extrinsic": float(n)}, 1.0)
    one.deaths["env-actor-0"] += 2
    one.lost_fragments, one.elapsed_s = 3, 12.5
    other.load_state_dict(one.state_dict())
    for status in (one, other):
        status.gathered(fragment((1000.0, 7, False, True)))
        status.deaths["env-actor-0"] += 1
    mine, theirs = one.summary(), other.summary()
    assert {k: v for k, v in mine.items() if k != "frames_per_s"} == {
        k: v for k, v in theirs.items() if k != "frames_per_s"
    }
    assert len(other.returns) == 100 and other.returns.maxlen == 100 and other.deaths["env-actor-0"] == 3
