from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from learners.objectives.influence import reweighted
from learners.source_sampling import next_scores, reptile_step, source_influences


def test_influences_are_what_each_source_takes_off_the_loss():
    before, after = torch.tensor([1.0, 3.0]), torch.tensor([[0.5, 2.0], [1.0, 3.0], [2.0, 3.0]])
    assert source_influences(before, after).tolist() == [0.75, 0.0, -0.5]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=5), st.floats(-3, 3), st.floats(0, 5))
def test_equal_influences_change_nothing_with_a_baseline(scores, influence, rate):
    given_scores = torch.tensor(scores, dtype=torch.float64)
    assert torch.allclose(next_scores(given_scores, torch.full_like(given_scores, influence), rate), given_scores)


@pytest.mark.parametrize("baseline", [True, False])
def test_it_is_the_gradient_of_reinforce(baseline):
    scores = torch.tensor([0.2, -0.4, 1.0], dtype=torch.float64, requires_grad=True)
    influences = torch.tensor([0.5, -1.0, 0.1], dtype=torch.float64)
    gain = influences - influences.mean() if baseline else influences
    (gain * scores.log_softmax(0)).sum().backward()
    found = next_scores(scores.detach(), influences, 0.7, baseline)
    assert torch.allclose(found, (scores + 0.7 * scores.grad).detach())


def test_with_a_baseline_the_shares_are_those_that_objectives_are_weighed_by():
    scores, influences = torch.tensor([0.2, -0.4, 1.0]), torch.tensor([0.5, -1.0, 0.1])
    found = next_scores(scores, influences, 0.7).softmax(0)
    assert torch.allclose(found, reweighted(scores.softmax(0), influences, 0.7))


def test_one_source_is_plain_training_and_shares_draw_theta_to_their_proxies():
    start, proxies = torch.tensor([0.0, 2.0]), torch.tensor([[1.0, 2.0], [0.0, 4.0]])
    assert torch.equal(reptile_step(start, proxies[:1], torch.ones(1)), proxies[0])
    assert torch.equal(next_scores(torch.zeros(1), torch.tensor([-3.0]), 1.0), torch.zeros(1))
    assert reptile_step(start, proxies, torch.tensor([0.25, 0.75]), 0.5).tolist() == [0.125, 2.75]


def test_a_harmful_source_goes_and_helpful_ones_stay():
    scores = torch.zeros(3)
    for _ in range(200):  # however long, nothing overflows
        scores = next_scores(scores, torch.tensor([0.5, 0.5, -0.5]), 1.0)
    assert scores.softmax(0).tolist() == pytest.approx([0.5, 0.5, 0.0])


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"expected \[N\] and \[M, N\]"):
        source_influences(torch.zeros(2), torch.zeros(2, 3))
    with pytest.raises(ValueError, match="not finite"):
        source_influences(torch.zeros(1), torch.full((2, 1), torch.nan))
    with pytest.raises(ValueError, match=r"expected \[D\], \[M, D\] and \[M\]"):
        reptile_step(torch.zeros(2), torch.zeros(3, 2), torch.full((2,), 0.5))
    with pytest.raises(ValueError, match=r"sum 0\.5"):
        reptile_step(torch.zeros(2), torch.zeros(1, 2), torch.full((1,), 0.5))
    for influences, rate in ((torch.zeros(3), 1.0), (torch.zeros(2), -1.0), (torch.full((2,), torch.inf), 1.0)):
        with pytest.raises(ValueError, match="as many finite influences"):
            next_scores(torch.zeros(2), influences, rate)
