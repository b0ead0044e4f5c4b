"""The search for a setting, with a machine that is a formula."""

from __future__ import annotations

import math

import pytest

from pipelines.errors import UserError
from pipelines.machines.tune import Setting, climb


class Clock:
    """Each trial takes ten seconds."""

    def __init__(self, budget_s):
        self.now, self.budget_s = 0.0, budget_s

    def __call__(self):
        return self.now

    def remaining_s(self):
        return self.budget_s - self.now


def found_by(quality, start, budget_s=1e9, cores=8):
    clock = Clock(budget_s)

    def measure(setting):
        clock.now += 10.0
        return quality(setting)

    return climb(start, lambda s: s.neighbours(cores), measure, clock.remaining_s, clock), clock


START = Setting(2, 16, 4, 1)


def test_frames_in_an_update_stay_the_same_and_nothing_becomes_zero():
    seen, border = {START}, [START]
    while border:
        setting = border.pop()
        for other in setting.neighbours(4):
            assert other.environments * other.batch_fragments == 64
            assert 1 <= other.actors <= 8 and 1 <= other.learner_threads <= 4 and other.environments >= 1
            if other not in seen:
                seen.add(other)
                border.append(other)
    assert len({setting.actors for setting in seen}) == 8


def test_it_climbs_to_the_top():
    def quality(s):
        return 1000 - 100 * abs(s.actors - 4) - 100 * abs(math.log2(s.environments / 32)) - 50 * (s.learner_threads - 1)

    (best, tried), _ = found_by(quality, START)
    assert best == Setting(4, 32, 2, 1)
    assert tried[best] == 1000 == max(tried.values())


def test_differences_within_the_noise_move_nothing():
    (best, _), _ = found_by(lambda s: 100.0 + 0.1 * s.actors, START)
    assert best == START


def test_it_ends_in_time():
    (_, tried), clock = found_by(lambda s: float(s.actors), START, budget_s=35)
    assert clock.now <= 35 and len(tried) == 3


def test_what_cannot_be_run_is_passed_over_but_not_the_recipe_itself():
    def quality(s):
        if s.actors > 2:
            raise UserError("no memory")
        return 100.0 / s.environments

    (best, tried), _ = found_by(quality, START)
    assert best.environments == 1 and any(math.isnan(value) for value in tried.values())
    with pytest.raises(UserError):
        found_by(quality, Setting(3, 16, 4, 1))
