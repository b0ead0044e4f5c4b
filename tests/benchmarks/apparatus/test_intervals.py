"""Interquartile means and their intervals."""

from __future__ import annotations

import numpy as np
import pytest
from rliable.metrics import aggregate_iqm

from benchmarks.apparatus.intervals import apart, iqm, iqm_figure
from pipelines.results import Figure


def test_the_interquartile_mean_leaves_out_a_quarter_on_each_side():
    # 8 scores: the 2 lowest (0, 1) and the 2 highest (90, 100) go; (2 + 3 + 4 + 7) / 4 = 4
    scores = np.array([[0.0, 100.0], [7.0, 1.0], [2.0, 90.0], [4.0, 3.0]])
    assert iqm(scores[..., None]) == pytest.approx([4.0])


def test_each_point_of_a_curve_has_its_own():
    curves = np.array([[[0.0, 5.0]], [[1.0, 1.0]], [[2.0, 9.0]], [[9.0, 3.0]]])  # [4 runs, 1 task, 2 points]
    assert iqm(curves) == pytest.approx([1.5, 4.0])


@pytest.mark.parametrize("shape", [(1, 1), (3, 1), (5, 2), (7, 3)])
def test_it_is_that_of_rliable(shape):
    scores = np.random.default_rng(0).random(shape)
    assert iqm(scores[..., None]) == pytest.approx([aggregate_iqm(scores)])


def test_three_runs_are_too_few_to_leave_one_out():
    assert iqm(np.array([[[0.0]], [[0.0]], [[0.9]]])) == pytest.approx([0.3])


@pytest.mark.slow
def test_the_interval_of_two_runs_reaches_from_one_to_the_other():
    # A resample of (0, 1) is (0, 0) or (1, 1) in a quarter of all cases each: both lie within the 95 %.
    figure = iqm_figure(np.array([[0.0], [1.0]]), "success rate")
    assert (figure.value, figure.low, figure.high, figure.n) == (0.5, 0.0, 1.0, 2)


@pytest.mark.slow
def test_runs_are_drawn_within_each_task():
    # The tasks differ, the seeds do not: drawn over tasks the interval would be wide.
    figure = iqm_figure(np.array([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]]), "success rate")
    assert (figure.value, figure.low, figure.high, figure.n) == (0.5, 0.5, 0.5, 6)


@pytest.mark.slow
def test_equal_scores_give_equal_intervals():
    scores = np.random.default_rng(1).random((5, 2))
    assert iqm_figure(scores, "success rate") == iqm_figure(scores, "success rate")


def test_one_seed_has_no_interval():
    assert iqm_figure(np.array([[0.2, 0.4]]), "success rate").low is None


@pytest.mark.parametrize("scores", [np.zeros((0, 2)), np.array([[0.1], [np.nan]]), np.zeros(3)])
def test_what_is_not_a_table_of_numbers_is_refused(scores):
    with pytest.raises(ValueError, match="expected finite numbers"):
        iqm_figure(scores, "success rate")


def test_intervals_that_touch_are_not_apart():
    def figure(low: float, high: float) -> Figure:
        return Figure(value=(low + high) / 2, unit="success rate", low=low, high=high, n=3)

    assert apart(figure(0.6, 0.9), figure(0.1, 0.5))
    assert not apart(figure(0.5, 0.9), figure(0.1, 0.5))
    assert not apart(figure(0.1, 0.5), figure(0.6, 0.9))
    assert not apart(Figure(value=1, unit="success rate", low=None, high=None, n=1), figure(0.1, 0.5))
