from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.aggregation.hypervolume import hypervolume
from rewards.columns import Column
from rewards.views.layout import Layout
from rewards.views.part import Table
from rewards.views.parts import part_of

unit = st.floats(0, 1, width=16)


def made(part, columns, state=None, level="episode"):
    """What a part makes of columns by name; None is NULL."""
    shown = {
        name: Column(np.array([np.nan if v is None else v for v in values]), np.array([v is not None for v in values]))
        for name, values in columns.items()
    }
    number = len(next(iter(columns.values())))
    table = Table(shown, Layout.of([1] * number, [0] * number), dict.fromkeys(columns, level))
    built = part_of(part)
    found = built.apply(table, built.initial_state() if state is None else state)
    return [round(float(v), 5) if ok else None for v, ok in zip(found.values, found.valid, strict=True)]


def test_a_geometric_mean_of_equals_is_themselves_and_one_zero_or_negative_part_decides():
    shown = {"a": [4, 0, -4, -4, 9, None], "b": [4, 7, 9, -9, 4, 1]}
    assert made({"part": "geometric_mean", "preset": "krc", "of": ["a", "b"]}, shown) == [4, 0, -6, -6, 6, None]
    assert made({"part": "geometric_mean", "of": ["a"]}, {"a": [3, -3]}) == [3, -3]


def test_without_the_base_a_bonus_is_worth_nothing_and_with_all_of_it_the_base():
    cme = {"part": "base_and_bonus", "preset": "cme", "of": ["done", "kept"]}
    assert made(cme, {"done": [0, 1, 1, 0.5, None], "kept": [1, 1, 0, 0.5, 1]}) == [0, 1, 0.6, 0.4, None]
    assert made({**cme, "share": 0.0}, {"done": [0.3], "kept": [0.9]}) == [0.3]


@settings(max_examples=50, deadline=None)
@given(unit, unit, unit)
def test_base_and_bonus_rises_in_both(base, bonus, more):
    cme = {"part": "base_and_bonus", "preset": "cme", "of": ["a", "b"]}
    low, high = sorted((bonus, more))
    one, two = made(cme, {"a": [base, base], "b": [low, high]})
    three, four = made(cme, {"a": [low, high], "b": [base, base]})
    assert one <= two and three <= four


def test_a_bonus_makes_up_for_low_scores_alone_and_to_one_at_most():
    rpr = {"part": "compensated", "preset": "rpr", "of": ["score", "pattern"]}
    shown = {"score": [0.25, 0.25, 0.49, 0.5, 0.75, None, 0.25], "pattern": [0, 1, 1, 1, 1, 1, None]}
    assert made(rpr, shown) == [0.25, 0.35, 0.59, 0.5, 0.75, None, None]
    assert made({**rpr, "weight": 9.0}, {"score": [0.25], "pattern": [0.5]}) == [1.0]
    assert made({**rpr, "weight": 0.0}, {"score": [0.25, 0.75], "pattern": [1, 1]}) == [0.25, 0.75]
    with pytest.raises(ValueError, match="expected two columns"):
        part_of({**rpr, "of": ["score"]})
    with pytest.raises(ValueError, match="most not less than below"):
        part_of({**rpr, "most": 0.25})


@settings(max_examples=50, deadline=None)
@given(unit, unit, unit)
def test_a_compensated_score_is_never_below_itself_and_rises_with_the_bonus(score, bonus, more):
    rpr = {"part": "compensated", "preset": "rpr", "of": ["a", "b"]}
    low, high = sorted((bonus, more))
    one, two = made(rpr, {"a": [score, score], "b": [low, high]})
    assert round(float(score), 5) <= one <= two


def test_the_min_norm_point_is_nearest_to_zero_and_equals_are_themselves():
    shown = {"a": [1, -1, -3, 2, None], "b": [2, 2, -1, 2, 1]}
    assert made({"part": "min_norm", "preset": "mgda", "of": ["a", "b"]}, shown) == [1, 0, -1, 2, None]
    assert made({"part": "min_norm", "preset": "pama", "of": ["a", "b"]}, shown) == [1, 0, 0, 2, None]
    assert made({"part": "min_norm", "preset": "pama", "of": ["a"]}, {"a": [1, -1]}) == [1, 0]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-4, 4, width=16), min_size=2, max_size=5))
def test_the_min_norm_point_is_the_least_square_over_the_simplex(values):
    names = [f"a{k}" for k in range(len(values))]
    found = made(
        {"part": "min_norm", "preset": "mgda", "of": names}, {n: [v] for n, v in zip(names, values, strict=True)}
    )
    weights = np.linspace(0, 1, 401)  # an edge of the simplex is enough for numbers on a line
    best = min(abs(w * max(values) + (1 - w) * min(values)) for w in weights)
    assert abs(abs(found[0]) - best) < 0.02


def test_only_what_scatters_more_than_the_mean_is_tamed_and_equal_scatter_leaves_the_sum():
    wild, calm = [0.0, 4.0], [2.0, 2.2]
    found = made({"part": "log_tamed", "preset": "paco", "of": ["wild", "calm"]}, {"wild": wild, "calm": calm})
    assert found == [2.0, round(float(np.log(5) + 2.2), 5)]
    same = made({"part": "log_tamed", "of": ["a", "b"], "weights": [1, 2]}, {"a": [0.0, 4.0], "b": [0.0, 4.0]})
    assert same == [0, 12]
    with pytest.raises(ValueError, match=r"got -1 in 'b'; .* put the part {part: clip, of: b, low: 0"):
        made({"part": "log_tamed", "of": ["a", "b"]}, {"a": [1.0], "b": [-1.0]})


def test_a_judge_is_heard_only_where_no_rule_knows_and_null_stays_where_nobody_does():
    shown = {"rule": [1, None, 0, None], "judge": [0.2, 0.7, 0.9, None]}
    assert made({"part": "first_known", "preset": "harmo", "of": ["rule", "judge"]}, shown) == [1, 0.7, 0, None]
    assert made({"part": "first_known", "of": ["rule"]}, {"rule": [1, 0]}) == [1, 0]


def test_weights_of_a_lagrangian_sum_to_the_number_of_terms_and_fall_beyond_the_point():
    part = part_of({"part": "lagrangian", "preset": "mu_ppo", "of": "r", "limits": {"a": 0.5}, "rate": 1.0})
    assert part.weights({"z": [0.0]}).tolist() == [1.5, 0.5]  # σ(0) = 1/2
    table = Table({"r": Column.full([0.0]), "a": Column.full([1.5])})
    after = part.update(table, part.initial_state())
    assert after["z"] == [-1.0]  # one above the point, at rate 1
    assert part.update(table, after)["z"] == [pytest.approx(-2.1)]  # and a tenth of the step before
    assert part.weights({"z": [-40.0]}).tolist() == pytest.approx([2, 0])  # far beyond it, only r₀ counts
    assert part.weights(after).sum() == pytest.approx(2)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-20, 20), min_size=1, max_size=4))
def test_softmax_weights_are_one_in_size_and_a_frozen_one_is_a_weighted_sum(z):
    limits = {f"c{k}": 0.0 for k in range(len(z))}
    part = part_of({"part": "lagrangian", "preset": "direct_behaviour", "of": "r", "limits": limits, "rate": 0.0})
    assert np.abs(part.weights({"z": z})).sum() == pytest.approx(1)
    table = Table({name: Column.full([1.0]) for name in part.inputs})
    assert part.update(table, part.initial_state())["z"] == [0.0] * len(z)


LAYOUT = Layout.of([1])


def test_a_bootstrap_lends_its_weight_to_the_main_reward_while_success_is_rare():
    part = part_of(
        {
            "part": "lagrangian",
            "preset": "direct_behaviour",
            "of": "r",
            "limits": {"lava": 0.1},
            "rate": 1.0,
            "bootstrap": "success",
            "least": 0.9,
        }
    )
    assert part.weights({"z": [0.0, 0.0]}).tolist() == pytest.approx([1 / 3, -1 / 3])
    levels = {"r": "step", "lava": "step", "success": "episode"}
    table = Table({"r": Column.full([1.0]), "lava": Column.full([1.0]), "success": Column.full([0.0])}, LAYOUT, levels)
    state = part.update(table, part.initial_state())
    assert state["z"] == pytest.approx([0.9, 0.9])  # one limit is broken by 0.9, success is 0.9 too rare
    weights = part.weights(state)
    assert weights[0] == pytest.approx(-weights[1])  # as much for arriving as against lava
    done = Table({"r": Column.full([1.0]), "lava": Column.full([0.0]), "success": Column.full([1.0])}, LAYOUT, levels)
    for _ in range(100):
        state = part.update(done, state)
    assert part.weights(state).tolist() == pytest.approx([1, 0], abs=1e-3)  # plain RL: nothing is broken
    unknown = Table({**table, "success": Column(np.array([np.nan]), np.array([False]))}, LAYOUT, levels)
    assert part.apply(unknown, state).valid.all() and part.update(unknown, state)["z"][1] == state["z"][1]
    with pytest.raises(ValueError, match="expected form: softmax"):
        part_of({"part": "lagrangian", "of": "r", "limits": {"a": 1}, "bootstrap": "s"})


def test_plain_multipliers_grow_while_a_limit_is_broken_and_never_fall_below_nothing():
    part = part_of({"part": "lagrangian", "form": "plain", "of": "r", "limits": {"a": 0.5}, "rate": 10, "momentum": 0})
    broken, kept = (Table({"r": Column.full([0.0]), "a": Column.full([a])}) for a in (1.0, 0.0))
    state = part.initial_state()
    for _ in range(9):
        state = part.update(broken, state)
    assert part.weights(state).tolist() == [1, -45]
    for _ in range(20):
        state = part.update(kept, state)
    assert part.weights(state).tolist() == [1, 0]


def test_a_hypervolume_is_the_area_of_the_union_and_progress_sets_the_multiplier():
    assert hypervolume([[2, 1], [1, 2]], [0, 0]) == 3
    assert hypervolume([[1, 1, 1], [2, 0.5, 0.5]], [0, 0, 0]) == pytest.approx(1.25)
    assert hypervolume(np.zeros((0, 2)), [0, 0]) == 0
    part = part_of(
        {"part": "hypervolume_guided", "preset": "hypervolume", "coefficients": {"a": 1, "b": 1}, "reference": [0, 0]}
    )
    first = part.update(Table({"a": Column.full([1.0]), "b": Column.full([1.0])}), part.initial_state())
    assert first["multiplier"] == pytest.approx(0.5 + 1.5 * np.tanh(1))  # ΔHV = 1
    again = part.update(Table({"a": Column.full([1.0]), "b": Column.full([0.5])}), first)
    assert again == {"front": [[1.0, 1.0]], "multiplier": 0.5}  # no progress


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(unit, unit), min_size=1, max_size=6))
def test_a_hypervolume_is_what_a_fine_grid_counts(points):
    ticks = (np.arange(64) + 0.5) / 64
    x, y = np.meshgrid(ticks, ticks)
    inside = np.zeros_like(x, bool)
    for a, b in points:
        inside |= (x < a) & (y < b)
    assert abs(hypervolume(points, [0, 0]) - inside.mean()) < 0.04


def test_a_reward_of_being_clean_changes_nothing_with_weight_0_and_parts_what_was_equal_with_1():
    columns = {"proxy": [1.0, 1.0, None], "clean": [0.75, 0.25, 0.25]}
    for weight, wanted in ((0.0, [1.0, 1.0, None]), (1.0, [1.75, 1.25, None])):
        part = {"part": "weighted_sum", "coefficients": {"proxy": 1.0, "clean": weight}}
        assert made(part, columns) == wanted


def test_an_expression_is_null_where_a_column_is_or_the_formula_has_no_value():
    part = {"part": "expression", "of": ["a", "b/c"], "formula": "g1 / g2 + 1"}
    assert made(part, {"a": [1, 1, None, 1], "b/c": [2, 0, 1, None]}) == [1.5, None, None, None]
    assert made({**part, "formula": "g1 * 1e30 * 1e30"}, {"a": [0, 1], "b/c": [0, 0]}) == [0, None]
    assert made({**part, "preset": "derl"}, {"a": [0, 1], "b/c": [0, 1]}) == [2, 2]
    assert part_of(part).describe({"a": "right", "b/c": "form"}) == "g1 / g2 + 1 where g1 = right, g2 = form"


def test_an_expression_of_products_by_numbers_is_a_weighted_sum():
    shown = {"a": [1, 2, None], "b": [3, -1, 1]}
    weighted = {"part": "weighted_sum", "coefficients": {"a": 0.5, "b": -2.0}}
    assert made({"part": "expression", "of": ["a", "b"], "formula": "0.5 * g1 - 2 * g2"}, shown) == made(
        weighted, shown
    )


def test_an_expression_that_cannot_be_read_is_no_part():
    for formula in ("__import__('os')", "g1 + g2", "a"):
        with pytest.raises(ValueError, match="cannot read"):
            part_of({"part": "expression", "of": ["a"], "formula": formula})
