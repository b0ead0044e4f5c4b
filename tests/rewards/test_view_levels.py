"""Views over tokens, steps, episodes and groups: what fits together, and who put what into the result."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from rewards.columns import Column
from rewards.views.layout import Layout
from rewards.views.view import Config, RewardView


def scale(of, to, factor=1):
    return {"part": "scale", "of": of, "to": to, "factor": factor}


NESTED = Layout.of(steps=[2, 1, 3], group=[0, 1, 0], tokens=[1, 2, 0, 1, 1, 2], ended=[True, True, False])


def column(*values):
    return Column(np.array([np.nan if v is None else v for v in values]), np.array([v is not None for v in values]))


def listed(found):
    return [round(float(v), 6) if ok else None for v, ok in zip(found.values, found.valid, strict=True)]


def view(*parts, **components):
    return RewardView(Config.model_validate({"name": "test", "components": components, "parts": parts}))


def test_a_layout_by_hand():
    assert [NESTED.size(level) for level in ("token", "step", "episode", "group")] == [7, 6, 3, 2]
    assert NESTED.owner("token", "step").tolist() == [0, 1, 1, 3, 4, 5, 5]
    assert NESTED.owner("token", "episode").tolist() == [0, 0, 0, 2, 2, 2, 2]
    assert NESTED.owner("step", "group").tolist() == [0, 0, 1, 0, 0, 0]
    assert NESTED.last("step", "episode").tolist() == [False, True, True, False, False, True]
    assert NESTED.total(np.arange(6.0), "step", "episode").tolist() == [1, 2, 12]
    assert NESTED.extreme(np.arange(6.0), "step", "group", largest=True).tolist() == [5, 2]
    grid = NESTED.padded(np.arange(6.0), fill=-1)
    assert grid.tolist() == [[0, 2, 3], [1, -1, 4], [-1, -1, 5]]
    assert NESTED.flat(grid).tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": [2, 0, 3]}, "episode of 0 steps"),
        ({"group": [0, 2, 0]}, "without gaps"),
        ({"tokens": [1]}, "got tokens of 1 steps; expected of 6"),
        ({"tokens": [1, 2, -1, 1, 1, 2]}, "step of -1 tokens"),
        ({"ended": [True]}, "expected one of each an episode"),
    ],
)
def test_a_layout_that_does_not_fit_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Layout.of(**{"steps": [2, 1, 3], **changes})


def test_an_episode_reward_counts_in_each_step_and_a_step_reward_is_reduced():
    spread = view({"part": "weighted_sum", "coefficients": {"step": 1, "whole": 10}}, step="step", whole="episode")
    columns = {"step": column(1, 2, 3, 4, 5, 6), "whole": column(1, 2, None)}
    found = spread.apply(columns, NESTED)
    assert found.reward.tolist() == [11, 12, 23, 0, 0, 0] and found.weight.tolist() == [1, 1, 1, 0, 0, 0]
    assert spread.levels["reward"] == "step"
    for by, expected in {
        "sum": [1, 3, 10],
        "mean": [1, 3, 5],
        "min": [1, 3, 4],
        "max": [1, 3, 6],
        "last": [None, 3, 6],
    }.items():
        reduced = view({"part": "reduce", "of": "step", "by": by, "to": "reward"})
        found = reduced.apply({"step": column(1, None, 3, 4, None, 6)}, NESTED)
        assert [r if w else None for r, w in zip(found.reward, found.weight, strict=True)] == expected, by
    strict = view({"part": "reduce", "of": "step", "strict": True, "to": "reward"})
    assert strict.apply({"step": column(1, None, 3, 4, None, 6)}, NESTED).weight.tolist() == [0, 1, 0]


def test_returns_by_hand_stop_at_what_is_not_known():
    to_go = view({"part": "returns", "of": "r", "gamma": 0.5, "to": "reward"})
    assert to_go.apply({"r": column(1, 2, 3, 4, 5, 6)}, NESTED).reward.tolist() == [2, 2, 3, 8, 8, 6]
    found = to_go.apply({"r": column(1, None, 3, 4, None, 6)}, NESTED)
    assert found.weight.tolist() == [0, 0, 1, 0, 0, 1]
    omitted = view({"part": "returns", "of": "r", "gamma": 0.5, "to": "reward", "on_null": "omit"})
    assert omitted.apply({"r": column(1, None, 3, 4, None, 6)}, NESTED).reward.tolist() == [1, 0, 3, 5.5, 3, 6]


@pytest.mark.parametrize(
    ("parts", "components", "message"),
    [
        ([scale("b", "a"), scale("a", "b")], {},
         r"parts\[0\] \(scale\): got a circle of columns: 'b' is made from 'a'"),
        ([scale("b", "reward"), scale("a", "b")], {},
         r"got column 'b', which is written later, by parts\[1\] \(scale\); put that one first"),
        ([{"part": "reduce", "of": "a", "to": "reward"}], {"a": "episode"}, "expected a finer one than episode"),
        ([{"part": "returns", "of": "a", "to": "reward"}], {"a": "episode"}, "expected one of each step or token"),
        ([{"part": "count_decay", "of": "a", "count": "n", "to": "reward"}], {"a": "episode", "n": "step"},
         "got 'n', a column of each step; expected one of each episode or coarser"),
        ([{"part": "scale", "of": "a", "factor": 1}], {}, "expected one that writes 'reward'"),
        ([scale("a", "reward")], {"b": "step"}, r"components \['b'\] that no part reads"),
    ],
)  # fmt: skip
def test_parts_that_do_not_fit_together_are_refused_with_their_place(parts, components, message):
    with pytest.raises(ValueError, match=message):
        view(*parts, **components)


def test_unknown_parts_and_presets_name_what_there_is():
    with pytest.raises(ValidationError, match=r"got part 'shrink'; expected one of .*clip, "):
        view({"part": "shrink", "of": "a"})
    with pytest.raises(ValidationError, match=r"got preset 'omni' of 'count_decay'; expected one of \['oni'\]"):
        view({"part": "count_decay", "preset": "omni", "of": "a"})
    with pytest.raises(ValidationError, match="cannot be imported"):
        view({"part": "no_such_lab.parts:Fade", "of": "a"})
    oni = view({"part": "count_decay", "preset": "oni", "of": "a", "to": "reward"})
    assert oni.formula() == "reward = a/caption_count^3"


def test_a_column_of_another_level_than_the_view_expects_is_refused_before_the_run():
    judged = view({"part": "scale", "of": "judge", "factor": 2, "to": "reward"}, judge="episode")
    judged.check({"judge": "episode"})
    with pytest.raises(ValueError, match="got 'judge', a column of each step; expected one of each episode"):
        judged.check({"judge": "step"})
    with pytest.raises(ValueError, match=r"column 'judge' of shape \(6,\); expected \(3,\), one value of each episode"):
        judged.apply({"judge": column(1, 2, 3, 4, 5, 6)}, NESTED)


def test_the_picture_is_a_tree_down_to_the_components():
    drawn = view(
        {"part": "count_decay", "of": "judge", "preset": "oni"},
        {"part": "weighted_sum", "coefficients": {"judge": 0.5, "won": 1}},
        won="episode",
    ).picture()
    assert drawn.splitlines() == [
        "reward = weighted_sum",
        "├── judge = count_decay",
        "│   ├── judge  (step)",
        "│   └── caption_count  (step)",
        "└── won  (episode)",
    ]


FLOATS = st.none() | st.floats(-1e3, 1e3, width=32)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    a=st.lists(FLOATS, min_size=6, max_size=6),
    b=st.lists(FLOATS, min_size=6, max_size=6),
    won=st.lists(FLOATS, min_size=3, max_size=3),
    by=st.sampled_from(["sum", "mean", "min", "max", "last"]),
)
def test_what_components_and_parts_put_in_sums_to_the_result(a, b, won, by):
    whole = view(
        {"part": "clip", "of": "a", "low": -1, "high": 2},
        {"part": "normalise", "of": "b", "centre": True},
        {"part": "reduce", "of": "b", "by": by, "to": "judged"},
        {"part": "weighted_sum", "coefficients": {"a": 2, "judged": -1, "won": 3}, "on_null": {"a": "omit"}},
        {"part": "returns", "of": "reward", "gamma": 0.9, "to": "advantage"},
        won="episode",
    )
    columns = {"a": column(*a), "b": column(*b), "won": column(*won)}
    found = whole.apply(columns, NESTED)
    terms = whole.attribute(columns, NESTED)
    assert {"a", "b", "won"} <= set(terms["advantage"])
    for name, values, valid in [
        ("reward", found.reward, found.weight > 0),
        ("advantage", found.advantage.values, found.advantage.valid),
    ]:
        total = sum(terms[name].values())
        np.testing.assert_allclose(total[valid], values[valid].astype(np.float64), rtol=1e-12, atol=1e-12)


def test_a_clip_owns_what_it_cuts_off_and_an_explanation_says_so():
    clipped = view(
        {"part": "clip", "of": "a", "low": -1, "high": 2},
        {"part": "weighted_sum", "coefficients": {"a": 2, "b": 1}},
        {"part": "returns", "of": "reward", "to": "advantage"},
    )
    found = clipped.explain({"a": column(5, 1, 0, 0, 0, 0), "b": column(1, 1, 0, 0, 0, 0)}, 0, NESTED)
    assert found.contributions == {"a": 10.0, "clip": -6.0, "b": 1.0} and found.reward == 5.0
    assert found.advantage == 8.0 and found.to_advantage == {"a": 12.0, "clip": -6.0, "b": 2.0}


def test_of_a_reward_that_is_rewritten_after_the_sum_the_contributions_are_the_reward_itself():
    summed = {"part": "weighted_sum", "coefficients": {"a": 2, "b": 1}}
    columns = {"a": column(5, 1, 0, 0, None, 0), "b": column(1, 1, 0, 0, 0, 0)}
    clipped = view(summed, {"part": "clip", "of": "reward", "low": 0, "high": 4}).apply(columns, NESTED)
    assert {name: values.tolist() for name, values in clipped.contributions.items()} == {"reward": [4, 3, 0, 0, 0, 0]}
    assert clipped.null_counts == {"reward": 1}
    of_episodes = view(summed, {"part": "reduce", "of": "reward", "by": "mean"}).apply(columns, NESTED)
    assert of_episodes.reward.shape == (3,)
    assert of_episodes.contributions["reward"].tolist() == of_episodes.reward.tolist()
