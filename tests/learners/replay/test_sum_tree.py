"""Trees agree with plain arrays, whatever their size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learners.replay.sum_tree import MinTree, SumTree


class Points:
    """Chance that says what it is told."""

    def __init__(self, *points):
        self.points = np.array(points)

    def random(self, shape):
        return self.points.reshape(shape)


def test_each_point_falls_into_the_share_that_holds_it():
    tree = SumTree()
    tree.set(np.array([0, 1, 3]), np.array([1.0, 2.0, 1.0]))
    # Of a sum of 4, quarter by quarter: 0.5 is slot 0; 1.5 and 2.5 slot 1; 3.5 slot 3; slot 2 has nothing.
    assert tree.draw(4, Points(0.5, 0.5, 0.5, 0.5)).tolist() == [0, 1, 1, 3]
    assert tree.root == 4


def test_a_point_on_the_very_end_belongs_to_the_last_slot_with_any_mass():
    tree = SumTree()
    tree.set(np.array([5, 400]), np.array([1.0, 1.0]))
    tree.set(np.array([700]), 0.0)
    assert tree.draw(1, Points(1.0)).tolist() == [400]


def test_nothing_can_be_drawn_from_nothing():
    with pytest.raises(ValueError, match="above 0"):
        SumTree().draw(1, np.random.default_rng(0))
    with pytest.raises(ValueError, match="one at least"):
        MinTree().lowest()


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20_000), st.sampled_from([0.0, 0.5, 1.0, 7.0])), min_size=1, max_size=200))
def test_trees_keep_up_with_an_array(changes):
    total, least, values = SumTree(), MinTree(), {}
    for part in (changes[: len(changes) // 2], changes[len(changes) // 2 :]):
        values.update(part)
        slots = np.array(list(values), np.int64)
        total.set(slots, np.array([values[s] for s in slots.tolist()]))
        least.set(slots, np.array([values[s] for s in slots.tolist()]))
    assert total.root == pytest.approx(sum(values.values()))
    lowest = least.lowest()
    assert values[lowest] == min(values.values())
    if total.root:
        assert all(values[slot] > 0 for slot in total.draw(64, np.random.default_rng(0)).tolist())


def test_draws_follow_the_values():
    tree, rng = SumTree(), np.random.default_rng(0)
    weights = rng.random(3000)
    tree.set(np.arange(3000), weights)
    counts = np.bincount(np.concatenate([tree.draw(3000, rng) for _ in range(100)]), minlength=3000)
    expected = 300_000 * weights / weights.sum()
    # Stratified draws stray less than independent ones, whose squared deviations would be about chi-squared.
    assert ((counts - expected) ** 2 / np.maximum(expected, 1e-9)).sum() < 3200


def test_each_of_several_samples_is_stratified():
    tree = SumTree()
    tree.set(np.arange(400), np.ones(400))
    drawn = tree.draw(4, np.random.default_rng(0), samples=50).reshape(50, 4)
    assert (drawn // 100 == np.arange(4)).all() and len(np.unique(drawn)) > 100


@pytest.mark.slow
@pytest.mark.parametrize("slots", [5, 129, 20_000])
def test_many_points_fall_where_each_by_itself_would(slots):
    tree, rng = SumTree(), np.random.default_rng(slots)
    tree.set(np.arange(slots), rng.random(slots) * (rng.random(slots) < 0.5))
    if slots > 200:
        tree.set(np.arange(slots - 200, slots), 0.0)  # a point on the very end falls before these
    points = np.concatenate([rng.random(500), [0.0, 1.0, np.nextafter(1.0, 0.0)]])

    def chance(some):
        return type("Chance", (), {"random": lambda self, shape: some.reshape(shape)})()

    alone = np.concatenate([tree.draw(1, chance(points[at : at + 1])) for at in range(len(points))])
    assert (tree.draw(1, chance(points), samples=len(points)) == alone).all() and (tree[alone] > 0).all()
