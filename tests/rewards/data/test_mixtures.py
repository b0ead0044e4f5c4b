from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.data.mixtures import MOST, Surrogate, best_mixture, fit_surrogate, left_out, seed_mixtures


def test_seed_mixtures_by_hand():
    found = seed_mixtures(3, 2, np.random.default_rng(0))
    assert found[:4].tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0.5, 0.5]]
    assert found[6].tolist() == [1 / 3] * 3
    assert len(found) == 9 and np.allclose(found.sum(1), 1)
    assert len(seed_mixtures(2, 0, np.random.default_rng(0))) == 3


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4))
def test_with_as_many_runs_as_coefficients_it_goes_through_all_of_them(seed, domains):
    random = np.random.default_rng(seed)
    # Vertices and the middles of edges: the points that determine a quadratic form.
    corners = np.eye(domains)
    first, second = np.triu_indices(domains)
    mixtures, scores = (corners[first] + corners[second]) / 2, random.normal(size=len(first))
    assert fit_surrogate(mixtures, scores)(mixtures) == pytest.approx(scores)


def test_constants_and_linear_terms_are_part_of_the_quadratic_form():
    random = np.random.default_rng(1)
    mixtures = random.dirichlet(np.ones(3), 12)
    scores = 2.0 + mixtures @ [0.5, -1.0, 0.0] + 3 * mixtures[:, 0] * mixtures[:, 1]
    surrogate = fit_surrogate(mixtures, scores)
    fresh = random.dirichlet(np.ones(3), 5)
    assert surrogate(fresh) == pytest.approx(2.0 + fresh @ [0.5, -1.0, 0.0] + 3 * fresh[:, 0] * fresh[:, 1])
    assert left_out(mixtures, scores) == pytest.approx(scores)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["linear", "quadratic"]))
def test_of_a_linear_truth_the_best_is_a_single_data_set(seed, kind):
    random = np.random.default_rng(seed)
    worth, mixtures = random.normal(size=4), random.dirichlet(np.ones(4), 15)
    found = best_mixture(fit_surrogate(mixtures, mixtures @ worth, kind))
    assert worth @ found == pytest.approx(worth.max())
    if kind == "linear":
        assert found.tolist() == np.eye(4)[worth.argmax()].tolist()


def test_the_optimum_by_hand():
    # w1 w2 is most in the middle; with a third that helps nobody it stays out
    assert best_mixture(Surrogate(np.array([[0, 0.5], [0.5, 0]]))).tolist() == pytest.approx([0.5, 0.5])
    form = np.array([[0.0, 0.5, -1.0], [0.5, 0.0, -1.0], [-1.0, -1.0, 0.2]])
    assert best_mixture(Surrogate(form)).tolist() == pytest.approx([0.5, 0.5, 0.0])
    assert best_mixture(Surrogate(-np.eye(3))).tolist() == pytest.approx([1 / 3] * 3)
    assert best_mixture(Surrogate(np.zeros((2, 2)))).sum() == 1.0


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5))
def test_no_mixture_is_predicted_to_be_better_than_the_optimum(seed, domains):
    random = np.random.default_rng(seed)
    form = random.normal(size=(domains, domains))
    surrogate = Surrogate((form + form.T) / 2)
    found = best_mixture(surrogate)
    assert (found >= 0).all() and found.sum() == pytest.approx(1.0)
    others = random.dirichlet(np.full(domains, 0.5), 2000)
    assert float(surrogate(found)) >= float(surrogate(others).max()) - 1e-9


def test_a_ridge_makes_few_runs_enough_and_draws_to_nothing():
    mixtures, scores = np.eye(3), [1.0, 2.0, 3.0]
    with pytest.raises(ValueError, match="got 3 runs for 6 coefficients"):
        fit_surrogate(mixtures, scores)
    assert fit_surrogate(mixtures, scores, ridge=1.0)(mixtures) == pytest.approx([0.5, 1.0, 1.5])
    assert fit_surrogate(mixtures, scores, "linear")(mixtures) == pytest.approx(scores)


def test_what_is_no_run_is_refused():
    for mixtures, scores in (([[0.5, 0.6]], [1.0]), ([[1.5, -0.5]], [1.0])):
        with pytest.raises(ValueError, match="off the simplex"):
            fit_surrogate(mixtures, scores, ridge=1.0)
    with pytest.raises(ValueError, match="all of them known"):
        fit_surrogate([[1.0, 0.0]], [np.nan], ridge=1.0)
    with pytest.raises(ValueError, match="got kind 'cubic'"):
        fit_surrogate([[1.0, 0.0]], [1.0], "cubic")
    with pytest.raises(ValueError, match=f"expected at most {MOST}"):
        best_mixture(Surrogate(np.eye(MOST + 1)))
    with pytest.raises(ValueError, match="at least 2 and 0"):
        seed_mixtures(1, 0, np.random.default_rng(0))
