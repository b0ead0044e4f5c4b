"""What every part of a view must keep, whatever it does."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.columns import Column
from rewards.views.layout import Layout
from rewards.views.part import Table, settled
from rewards.views.parts import KINDS, NAMES, part_of

LAYOUT = Layout.of(
    steps=[2, 1, 3, 2], group=[0, 0, 1, 1], tokens=[1, 2, 1, 3, 1, 1, 2, 1], ended=[True, False, True, True]
)
PARTS = [part_of({"part": name, **kind.example}) for name, kind in NAMES.items()]
PRESETS = [(name, preset) for name, kind in NAMES.items() for preset in kind.presets]
every = pytest.mark.parametrize("part", PARTS, ids=lambda part: part.part)


def tables(part):
    """Tables of what the part reads: values between 0 and 1, each NULL now and then."""
    levels = {name: part.levels.get(name, "step") for name in part.inputs}
    value = st.none() | st.floats(0, 1, width=32)
    sizes = {name: LAYOUT.size(level) for name, level in levels.items()}
    values = st.fixed_dictionaries({name: st.lists(value, min_size=n, max_size=n) for name, n in sizes.items()})
    return values.map(lambda found: Table({name: column(numbers) for name, numbers in found.items()}, LAYOUT, levels))


def column(values):
    return Column(np.array([np.nan if v is None else v for v in values]), np.array([v is not None for v in values]))


def test_parts_have_names_of_their_own():
    assert len(NAMES) == len(KINDS)


def test_a_number_that_no_reward_can_be_is_refused():
    with pytest.raises(ValueError, match=r"factor: got 1e\+39; expected at most 3.4e\+38"):
        part_of({"part": "scale", "of": "r", "factor": 1e39})
    with pytest.raises(ValueError, match="coefficients: got -1e"):
        part_of({"part": "weighted_sum", "coefficients": {"r": -1e39}})
    with pytest.raises(ValueError, match="finite number"):
        part_of({"part": "scale", "of": "r", "factor": float("inf")})
    assert part_of({"part": "clip", "of": "r", "low": 0, "high": float("inf")}).high == float("inf")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_every_preset_builds(name, preset):
    assert part_of({**NAMES[name].example, "part": name, "preset": preset}).part == name


@pytest.mark.slow
@every
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_a_part_leaves_what_it_reads_alone_and_is_a_pure_function_of_it_and_its_state(part, data):
    table = data.draw(tables(part))
    before = {name: table[name].values.copy() for name in table}
    state = part.update(table, part.initial_state())
    one = part.apply(table, state)
    again = part.apply(table, json.loads(json.dumps(state)))  # as it would come out of a checkpoint
    np.testing.assert_array_equal(one.values, again.values)
    for name, values in before.items():
        np.testing.assert_array_equal(table[name].values, values)
    assert one.values.shape == (LAYOUT.size(part.level(table.levels)),)


@pytest.mark.slow
@every
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_null_does_what_the_part_says(part, data):
    table = data.draw(tables(part))
    found = part.apply(table, part.update(table, part.initial_state()))
    if part.null == "declared":
        return
    level = part.level(table.levels)
    known = np.ones(LAYOUT.size(level), np.bool_)
    for name in part.inputs:
        known &= table.at(name, level).valid
    assert not (found.valid & ~known).any(), "what is not known became a number"
    if part.null == "stays":
        assert (found.valid == known).all(), "a number became NULL"


@pytest.mark.slow
@every
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_what_is_put_in_sums_to_what_comes_out(part, data):
    table = data.draw(tables(part))
    state = part.update(table, part.initial_state())
    terms = {name: {name: np.where(table[name].valid, table[name].values, 0.0).astype(float)} for name in table}
    found = part.apply(table, state)
    passed = settled(part.attribute(table, terms, state), found, part.part)
    total = sum(passed.values(), np.zeros(found.values.shape))
    np.testing.assert_allclose(total[found.valid], found.values[found.valid].astype(float), rtol=1e-9, atol=1e-9)


@pytest.mark.slow
@every
def test_a_part_says_what_it_does(part):
    assert part.describe({name: name for name in part.inputs}).strip()
    assert (type(part).__doc__ or "").strip() and part.stage in (
        "shaping",
        "aggregation",
        "credit",
        "advantage",
        "loss",
    )


@pytest.mark.slow
@every
def test_of_nothing_comes_nothing(part):
    levels = {name: part.levels.get(name, "step") for name in part.inputs}
    nothing = Table({name: column([None] * LAYOUT.size(level)) for name, level in levels.items()}, LAYOUT, levels)
    found = part.apply(nothing, part.update(nothing, part.initial_state()))
    if part.null != "declared":
        assert not found.valid.any()
