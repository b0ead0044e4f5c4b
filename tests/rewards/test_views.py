from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from rewards.aggregation.weighted_sum import WeightedSum
from rewards.columns import Column
from rewards.shaping.clip import Clip
from rewards.shaping.count_decay import CountDecay
from rewards.shaping.normalise import Normalise
from rewards.shaping.scale import Scale
from rewards.shaping.threshold import Threshold
from rewards.views.part import Table
from rewards.views.parts import AnyPart
from rewards.views.view import Config, RewardView

NULL = None


def column(*values: float | None) -> Column:
    numbers = np.array([np.nan if v is None else v for v in values], np.float32)
    return Column(numbers, np.array([v is not None for v in values]))


def listed(found: Column) -> list[float | None]:
    return [float(v) if ok else None for v, ok in zip(found.values, found.valid, strict=True)]


def view(*parts: Any, on_null: dict[str, str] | None = None, **coefficients: float) -> RewardView:
    total = WeightedSum(coefficients=coefficients, on_null=on_null or {})
    return RewardView(Config(name="test", parts=(*parts, total)))


def applied(part: Any, **columns: Column) -> list[float | None]:
    return listed(part.apply(Table(columns), part.initial_state()))


def test_parts_by_hand() -> None:
    assert applied(Scale(of="r", factor=0.5), r=column(2, -4, NULL)) == [1, -2, NULL]
    assert applied(Clip(of="r", low=-1, high=1), r=column(2, -4, 0.5, NULL)) == [1, -1, 0.5, NULL]
    assert applied(Threshold(of="r", above=-0.5), r=column(-0.5, -0.25, 3, NULL)) == [0, -0.25, 3, NULL]


def test_count_decay_by_hand() -> None:
    decay = CountDecay(of="r", count="n")
    assert applied(decay, r=column(1, 1, 2, NULL, 1), n=column(1, 2, 2, 1, NULL)) == [1, 0.125, 0.25, NULL, NULL]
    assert applied(decay, r=column(0.0), n=column(0)) == [0]  # a step without a caption
    assert applied(CountDecay(of="r", count="n", beta=0), r=column(5), n=column(9)) == [5]


def test_normalise_divides_by_the_deviation_of_all_valid_values_seen() -> None:
    part = Normalise(of="r")
    first, second = Table({"r": column(0, 2, NULL)}), Table({"r": column(0, 2, NULL, 8)})
    state = part.update(first, part.initial_state())
    assert listed(part.apply(first, state)) == [0, 2, NULL]  # deviation 1
    state = part.update(second, state)
    deviation = np.std([0, 2, 0, 2, 8])
    np.testing.assert_allclose(part.apply(second, state).values[[1, 3]], [2 / deviation, 8 / deviation], rtol=1e-6)
    centred = Normalise(of="r", centre=True)
    np.testing.assert_allclose(centred.apply(second, state).values[0], (0 - 2.4) / deviation, rtol=1e-6)


def test_normalise_leaves_alone_what_never_varied() -> None:
    part = Normalise(of="r", smallest=1.0)
    columns = Table({"r": column(3, 3)})
    assert listed(part.apply(columns, part.update(columns, part.initial_state()))) == [3, 3]


PARTS = [
    Scale(of="r", factor=2),
    Clip(of="r", low=1, high=2),
    Threshold(of="r", above=-1),
    Normalise(of="r"),
    Normalise(of="r", centre=True),
    CountDecay(of="r", count="n"),
]


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.formula("r"))
@settings(max_examples=30, deadline=None)
@given(values=st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6, width=32)), min_size=1, max_size=20))
def test_no_part_turns_null_into_a_number_or_a_number_into_null(part: Any, values: list[float | None]) -> None:
    columns = Table({"r": column(*values), "n": Column.full(np.ones(len(values)))})
    found = part.apply(columns, part.update(columns, part.initial_state()))
    assert found.valid.tolist() == [v is not None for v in values]
    assert np.isnan(found.values[~found.valid]).all()
    assert listed(columns["r"]) == [None if v is None else np.float32(v) for v in values]  # input untouched


def test_the_sum_by_hand() -> None:
    found = view(env=10.0, llm=0.5).apply({"env": column(0, 1), "llm": column(2, -1)})
    assert found.reward.tolist() == [1.0, 9.5]
    assert found.weight.tolist() == [1.0, 1.0]
    assert {k: v.tolist() for k, v in found.contributions.items()} == {"env": [0.0, 10.0], "llm": [1.0, -0.5]}


def test_omit_leaves_the_component_out_and_mask_excludes_the_step() -> None:
    columns = {"env": column(1, 1), "llm": column(1, NULL)}
    omitted = view(env=1.0, llm=1.0, on_null={"llm": "omit"}).apply(columns)
    assert (omitted.reward.tolist(), omitted.weight.tolist()) == ([2.0, 1.0], [1.0, 1.0])
    masked = view(env=1.0, llm=1.0, on_null={"llm": "mask"}).apply(columns)
    assert (masked.reward.tolist(), masked.weight.tolist()) == ([2.0, 0.0], [1.0, 0.0])
    assert omitted.null_counts == masked.null_counts == {"env": 0, "llm": 1}


def test_a_null_nobody_declared_excludes_the_step() -> None:
    assert view(env=1.0).apply({"env": column(NULL, 1)}).weight.tolist() == [0.0, 1.0]


def test_oni_a_goal_reward_of_50_reaches_the_learner() -> None:
    found = view(Scale(of="env", factor=0.1), env=10.0).apply({"env": column(0, 50)})
    assert found.reward.tolist() == [0.0, 50.0]


def test_oni_an_unjudged_caption_is_counted_and_not_worth_zero() -> None:
    mean = view(Normalise(of="llm", centre=True), llm=1.0, on_null={"llm": "omit"})
    mean.apply({"llm": column(1, 3, NULL, NULL, NULL)})
    assert mean.state_dict()["parts"][0]["mean"] == 2.0  # zeros would give 0.8


FLOATS = st.floats(-1e4, 1e4, width=32)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.none() | FLOATS, st.none() | FLOATS, FLOATS, st.integers(1, 50)), min_size=1),
    coefficients=st.tuples(FLOATS, FLOATS, FLOATS),
)
def test_contributions_sum_exactly_to_the_reward(rows: list[Any], coefficients: tuple[float, ...]) -> None:
    a, b, c, n = zip(*rows, strict=True)
    columns = {"a": column(*a), "b": column(*b), "c": column(*c), "n": column(*n)}
    mixed = view(
        Normalise(of="a"),
        CountDecay(of="b", count="n"),
        Threshold(of="c", above=0),
        **dict(zip("abc", coefficients, strict=True)),
        on_null={"a": "omit", "b": "omit"},
    )
    found = mixed.apply(columns)
    total = np.zeros(len(rows), np.float32)
    for contribution in found.contributions.values():
        total = total + contribution
    np.testing.assert_array_equal(total, found.reward)
    assert np.isfinite(found.reward).all()
    assert found.null_counts == {"a": a.count(None), "b": b.count(None), "c": 0}


def test_time_major_columns_keep_their_shape_and_values() -> None:
    flat = np.arange(12, dtype=np.float32)
    one = view(Scale(of="env", factor=2), env=1.0)
    by_step = one.apply({"env": Column.full(flat.reshape(3, 4))})
    np.testing.assert_array_equal(by_step.reward.reshape(-1), one.apply({"env": Column.full(flat)}).reward)
    assert by_step.weight.shape == (3, 4)


def test_stored_columns_are_not_overwritten() -> None:
    columns = {"env": column(1, 2)}
    view(Scale(of="env", factor=3), env=1.0).apply(columns)
    assert listed(columns["env"]) == [1, 2]


def test_a_part_may_write_a_column_of_its_own() -> None:
    both = view(Scale(of="env", to="scaled", factor=3), env=1.0, scaled=1.0)
    assert both.inputs == ("env",)
    assert both.apply({"env": column(2)}).reward.tolist() == [8.0]


def test_evaluation_does_not_move_the_statistics() -> None:
    normal = view(Normalise(of="env"), env=1.0)
    normal.apply({"env": column(0, 2)})
    before = normal.state_dict()
    found = normal.apply({"env": column(100)}, learn=False)
    assert normal.state_dict() == before and found.reward.tolist() == [100.0]


def test_running_statistics_survive_a_checkpoint() -> None:
    one, again = (view(Normalise(of="env"), env=1.0) for _ in range(2))
    one.apply({"env": column(0, 2, 7)})
    again.load_state_dict(json.loads(json.dumps(one.state_dict())))
    found = [v.apply({"env": column(1, 5)}).reward.tolist() for v in (one, again)]
    assert found[0] == found[1]


def test_the_state_of_another_view_is_refused() -> None:
    with pytest.raises(ValueError, match="got the state of view version"):
        view(env=1.0).load_state_dict(view(env=2.0).state_dict())


def test_version_and_formula_say_what_the_view_does() -> None:
    oni = view(CountDecay(of="llm"), env=10.0, llm=0.4, on_null={"llm": "omit"})
    assert oni.formula() == "reward = 10·[env] + 0.4·[llm/caption_count^3]"
    assert oni.inputs == ("caption_count", "env", "llm")
    assert oni.version == view(CountDecay(of="llm"), env=10, llm=0.4, on_null={"llm": "omit"}).version
    others = [
        view(CountDecay(of="llm", beta=2), env=10.0, llm=0.4, on_null={"llm": "omit"}),
        view(CountDecay(of="llm"), env=10.0, llm=0.5, on_null={"llm": "omit"}),
        view(CountDecay(of="llm"), env=10.0, llm=0.4),
    ]
    assert len({oni.version, *(other.version for other in others)}) == 4


def test_a_step_is_explained_part_by_part() -> None:
    oni = view(CountDecay(of="llm"), env=10.0, llm=0.5, on_null={"llm": "omit"})
    columns = {"env": column(0, 1), "llm": column(1, NULL), "caption_count": column(2, 1)}
    first = oni.explain(columns, 0)
    assert first.raw == {"caption_count": 2.0, "env": 0.0, "llm": 1.0}
    assert first.shaped == (("llm/caption_count^3", "llm", 0.125),)
    assert (first.contributions, first.reward, first.weight) == ({"env": 0.0, "llm": 0.0625}, 0.0625, 1.0)
    assert oni.explain(columns, 1).raw["llm"] is None
    assert oni.explain(columns, 1).reward == 10.0


def test_a_missing_column_is_named_with_its_place() -> None:
    oni = view(Scale(of="env", factor=2), CountDecay(of="llm"), env=1.0, llm=1.0)
    with pytest.raises(ValueError, match=r"parts\[1\] \(count_decay\): got column 'caption_count'; expected one of"):
        oni.check({"env", "llm"})
    with pytest.raises(ValueError, match=r"parts\[0\] \(weighted_sum\): got column 'env'"):
        view(env=1.0).check({"llm"})


def test_columns_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="expected one shape"):
        view(env=1.0, llm=1.0).apply({"env": column(1, 2), "llm": column(1)})


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_valid_value_that_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="at position 1 of a reward column"):
        Column.full([0.0, value])


def test_values_too_large_for_the_sum_are_refused() -> None:
    with pytest.raises(ValueError, match="scale what it reads"):
        view(env=1e30).apply({"env": column(1e30)})


@pytest.mark.parametrize(
    "raw",
    [
        {"part": "scale", "of": "r", "factor": 2, "colour": "red"},
        {"part": "shrink", "of": "r"},
        {"part": "clip", "of": "r", "low": 2, "high": 1},
        {"part": "count_decay", "of": "r", "beta": -1},
    ],
)
def test_unknown_parts_keys_and_values_are_refused(raw: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(AnyPart).validate_python(raw)


def test_a_rule_for_a_component_that_is_not_summed_is_refused() -> None:
    with pytest.raises(ValidationError, match="expected components of the sum"):
        WeightedSum(coefficients={"env": 1.0}, on_null={"llm": "omit"})


def test_a_view_is_plain_data() -> None:
    config = view(CountDecay(of="llm"), env=10.0, llm=0.4).config
    assert Config.model_validate_json(config.model_dump_json()) == config
