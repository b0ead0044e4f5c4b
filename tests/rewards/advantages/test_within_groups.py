from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.columns import Column
from rewards.views.layout import Layout
from rewards.views.part import Table
from rewards.views.parts import part_of


def made(part, columns, group, state=None):
    shown = {
        name: Column(np.array([np.nan if v is None else v for v in values]), np.array([v is not None for v in values]))
        for name, values in columns.items()
    }
    table = Table(shown, Layout.of([1] * len(group), group), dict.fromkeys(columns, "episode"))
    built = part_of(part)
    found = built.apply(table, built.update(table, state or built.initial_state()))
    return [round(float(v), 4) if ok else None for v, ok in zip(found.values, found.valid, strict=True)]


EMA = {"part": "task_relative", "preset": "ema_grpo", "of": "r"}


def test_with_one_group_and_no_memory_the_scale_of_a_task_is_that_of_grpo():
    reward = [1.0, 0.0, 0.0, 0.0]
    deviation = np.std(reward)  # population
    found = made({**EMA, "decay": 0.0}, {"r": reward, "task": [3] * 4}, [0] * 4)
    np.testing.assert_allclose(found, (np.array(reward) - 0.25) / deviation, atol=1e-3)


def test_tasks_of_different_unit_get_advantages_of_one_size_and_sums_of_zero():
    reward, task = [1, 0, None, 0.1, 0.0, 0.1], [0, 0, 0, 1, 1, None]
    found = made(EMA, {"r": reward, "task": task}, [0, 0, 0, 1, 1, 1])
    assert found == [1.0, -1.0, None, 1.0, -1.0, None]


def test_a_group_that_would_pass_the_guard_is_scaled_by_itself():
    state = {"moments": {"0": [0.0, 0.0]}}  # all were equal so far: the least deviation, 0.001
    assert made({**EMA, "decay": 0.999999}, {"r": [1, 0], "task": [0, 0]}, [0, 0], state) == [1.0, -1.0]


def test_with_one_reward_the_best_are_left_and_where_none_dominates_all():
    shown = {"advantage": [1, 2, 3, 4], "a": [1, 0, 1, None], "b": [0, 1, 0, 1]}
    front = {"part": "pareto_front", "preset": "parrot"}
    assert made({**front, "rewards": ["a"]}, shown, [0] * 4) == [1, None, 3, None]
    assert made({**front, "rewards": ["a", "b"]}, shown, [0] * 4) == [1, 2, 3, None]
    assert made({**front, "rewards": ["a", "b"]}, shown, [0, 1, 2, 3]) == [1, 2, 3, None]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=6))
def test_who_is_left_is_beaten_by_nobody_and_who_is_not_by_somebody_who_is(points):
    shown = {"advantage": [0] * len(points), "a": [p[0] for p in points], "b": [p[1] for p in points]}
    found = made({"part": "pareto_front", "rewards": ["a", "b"]}, shown, [0] * len(points))
    beats = lambda p, q: p[0] >= q[0] and p[1] >= q[1] and p != q  # noqa: E731
    left = [p for p, value in zip(points, found, strict=True) if value is not None]
    for point, value in zip(points, found, strict=True):
        assert (value is not None) == (not any(beats(q, point) for q in points))
        assert value is not None or any(beats(q, point) for q in left)


BRPO = {"part": "reference_duel", "preset": "brpo"}


def test_a_win_needs_all_votes_and_a_reference_that_tells_nobody_apart_is_left_out():
    votes = [None, 1, 0, 0.5, 1, None, 1, 1]
    found = made(BRPO, {"preferred": votes}, [0, 0, 0, 0, 0, 1, 1, 1])
    assert found == [None, 1, -1, -1, 1, None, None, None]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 99), min_size=2, max_size=8, unique=True))
def test_over_all_references_the_advantages_of_a_transitive_judge_sum_to_zero(quality):
    total = 0.0
    for reference in range(len(quality)):
        votes = [None if k == reference else float(q > quality[reference]) for k, q in enumerate(quality)]
        found = made({**BRPO, "skew": 1.0}, {"preferred": votes}, [0] * len(quality))
        total += sum(value for value in found if value is not None)
    assert total == 0
