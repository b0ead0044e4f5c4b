from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.advantages.group_relative import GroupRelative
from rewards.columns import Column
from rewards.groups import group_advantages
from rewards.views.layout import Layout
from rewards.views.part import Table
from rewards.views.parts import part_of
from rewards.views.view import Config, RewardView

GROUPS = Layout.of(steps=[1] * 6, group=[0, 0, 0, 1, 1, 1])


def column(*values):
    return Column(np.array([np.nan if v is None else v for v in values]), np.array([v is not None for v in values]))


def advantages(preset, *values, layout=GROUPS):
    part = part_of({"part": "group_relative", "preset": preset, "of": "r", "epsilon": 0})
    found = part.apply(Table({"r": column(*values)}, layout, {"r": "episode"}), {})
    return [round(float(v), 5) if ok else None for v, ok in zip(found.values, found.valid, strict=True)]


def test_by_hand():
    assert advantages("dr_grpo", 1, 2, 6, 5, 5, 5) == [-2, -1, 3, 0, 0, 0]
    assert advantages("rloo", 1, 2, 6, 5, 5, 5) == [-3, -1.5, 4.5, 0, 0, 0]
    assert advantages("grpo", 1, 2, 3, 0, 4, None) == [-1, 0, 1, -0.70711, 0.70711, None]
    assert advantages("reinforce_pp", 0, 0, 0, 2, 2, 2) == [-0.91287] * 3 + [0.91287] * 3
    assert advantages("dr_grpo", 1, None, None, 5, None, 7) == [None, None, None, -1, None, 1]


def test_who_has_no_rival_is_in_no_deviation_of_the_batch():
    layout = Layout.of(steps=[1] * 10, group=[0, 0, 1, 1, 2, 2, 3, 3, 4, 4])
    found = advantages("reinforce_pp_baseline", 0, 1, *[1, None] * 4, layout=layout)
    assert found == [-0.70711, 0.70711, *[None] * 8]


def test_what_is_beyond_three_deviations_is_null_and_all_else_is_as_it_was():
    def one_wrong_among(number):
        layout = Layout.of(steps=[1] * number, group=[0] * number)
        return [
            advantages(name, 0, *[1] * (number - 1), layout=layout) for name in ("stable_reinforce", "reinforce_pp")
        ]

    filtered, plain = one_wrong_among(11)  # z = −√10
    assert filtered == [None, *[0.30151] * 10] and plain == [-3.01511, *[0.30151] * 10]
    filtered, plain = one_wrong_among(10)  # z = −3
    assert filtered == plain
    assert advantages("stable_reinforce", 1, 1, 1, 1, None, 1) == [0, 0, 0, 0, None, 0]
    assert part_of({"part": "group_relative", "preset": "stable_reinforce", "of": "r"}).formula("r").endswith("|z| ≤ 3")


def test_of_steps_all_steps_of_a_group_are_rivals():
    layout = Layout.of(steps=[2, 1], group=[0, 0])
    part = GroupRelative(of="r", scale="none")
    assert part.apply(Table({"r": column(1, 2, 6)}, layout, {"r": "step"}), {}).values.tolist() == [-2, -1, 3]


REWARDS = st.lists(st.none() | st.floats(-100, 100, width=32), min_size=6, max_size=6)


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(REWARDS)
def test_rectangular_groups_agree_with_group_advantages(values):
    part = GroupRelative(of="r")
    found = part.apply(Table({"r": column(*values)}, GROUPS, {"r": "episode"}), {})
    rewards = column(*values)
    other = group_advantages(Column(rewards.values.reshape(2, 3), rewards.valid.reshape(2, 3)))
    assert found.valid.tolist() == other.valid.reshape(-1).tolist()
    np.testing.assert_allclose(found.values, other.values.reshape(-1), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(REWARDS, st.sampled_from(["grpo", "dr_grpo", "rloo"]))
def test_advantages_of_a_group_sum_to_nothing_and_a_failure_changes_no_other(values, preset):
    for group in (values[:3], values[3:]):
        found = advantages(preset, *group, layout=Layout.of(steps=[1] * 3, group=[0] * 3))
        known = [v for v in found if v is not None]
        assert abs(sum(known)) <= 1e-3 * max([1.0, *map(abs, known)])
        if None in group:  # as if it had not been asked
            rest = [v for v in group if v is not None]
            if rest:
                assert advantages(preset, *rest, layout=Layout.of(steps=[1] * len(rest), group=[0] * len(rest))) == [
                    v for v, given in zip(found, group, strict=True) if given is not None
                ]


def test_what_each_component_puts_into_an_advantage_sums_to_it():
    view = RewardView(
        Config.model_validate(
            {
                "name": "two",
                "components": {"right": "episode", "short": "episode"},
                "parts": [
                    {"part": "clip", "of": "short", "low": 0, "high": 1},
                    {"part": "weighted_sum", "coefficients": {"right": 1, "short": 0.5}},
                    {"part": "group_relative", "preset": "grpo", "of": "reward"},
                ],
            }
        )
    )
    columns = {"right": column(1, 0, 1, 0, 0, 0), "short": column(0.5, 3, 0, 0, 0.2, 0.1)}
    found = view.explain(columns, 1, GROUPS)
    assert found.advantage == pytest.approx(sum(found.to_advantage.values()), rel=1e-9)
    assert found.to_advantage["right"] < 0 < found.to_advantage["short"] and found.to_advantage["clip"] < 0
    assert view.formula() == (
        "reward = right + 0.5·[clip(short, 0, 1)]\nadvantage = (reward − mean_group(reward))/std_group"
    )


def test_a_column_of_groups_has_no_rivals():
    with pytest.raises(ValueError, match="a group has no rival"):
        GroupRelative(of="r").level({"r": "group"})
