from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rewards.models.localised_defect import Findings, LocalisedDefect, best_stretch

CLEAN, SOUND, DEFECTIVE = [200.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 1.0, 3.0]
STEPS = [-1.0, 2.0, -0.5, 1.0, -3.0]


def findings(*kinds, steps=STEPS):
    return Findings(torch.tensor(kinds), torch.tensor([steps] * len(kinds)))


def test_a_clean_trajectory_pays_nothing_at_any_step():
    clean = findings(CLEAN, steps=[3.0, 4.0, 5.0])
    assert clean.kind().tolist() == [0] and clean.spans().tolist() == [[-1, -1]] and clean.score().tolist() == [1]
    assert clean.step_rewards().tolist() == [[0, 0, 0]]


def test_any_other_pays_in_its_span_what_its_score_is_short_of_1():
    found = findings(DEFECTIVE)
    lost = 1 - 1 / (1 + math.e + math.e**3)
    assert found.kind().tolist() == [2] and found.spans().tolist() == [[1, 3]]
    assert found.step_rewards()[0].tolist() == pytest.approx([0, -lost / 3, -lost / 3, -lost / 3, 0])
    rather = findings(SOUND)
    assert rather.kind().tolist() == [0] and rather.spans().tolist() == [[-1, -1]]
    for one in (found, rather):
        assert one.step_rewards().sum().item() == pytest.approx(one.score().item() - 1)


@given(st.lists(st.floats(-4, 4), min_size=1, max_size=9), st.integers(0, 2))
def test_no_stretch_has_a_larger_sum_and_steps_that_are_not_there_are_in_none(scores, absent):
    steps = torch.tensor([scores + [-math.inf] * absent])
    first, last = best_stretch(steps)[0].tolist()
    sums = [sum(steps[0, a : b + 1].tolist()) for a in range(len(scores)) for b in range(a, len(scores))]
    assert 0 <= first <= last < len(scores)
    assert sum(steps[0, first : last + 1].tolist()) == pytest.approx(max(sums), abs=1e-6)


def test_the_loss_by_hand():
    found = Findings(torch.zeros(3, 3), torch.zeros(3, 4))
    kind, spans = torch.tensor([0, 1, 2]), torch.tensor([[-1, -1], [1, 2], [-1, -1]])
    what, when = math.log(3), math.log(2)
    assert found.loss(kind, spans).tolist() == pytest.approx([what + when, what + when, what])
    assert found.loss(kind, spans, when=0.0).tolist() == pytest.approx([what] * 3)
    sure = found._replace(steps=torch.tensor([[-9.0, 9.0, 9.0, -math.inf]] * 3))
    assert sure.loss(kind, spans)[1].item() == pytest.approx(what + math.log1p(math.exp(-9)), rel=1e-6)


def test_a_defect_of_which_nobody_knows_when_teaches_steps_nothing():
    steps = torch.zeros(2, 3, requires_grad=True)
    Findings(torch.zeros(2, 2), steps).loss(torch.tensor([1, 0]), torch.full((2, 2), -1)).sum().backward()
    assert not steps.grad[0].any() and (steps.grad[1] > 0).all()


def test_what_comes_after_the_end_is_not_read():
    model = LocalisedDefect(features=2, kinds=3, hidden=8)
    states = torch.rand(1, 6, 2).repeat(2, 1, 1)
    states[1, 4:] = torch.tensor([9.0, torch.nan])
    found = model(states, (torch.arange(6) < 4).repeat(2, 1))
    torch.testing.assert_close(found.kinds[0], found.kinds[1])
    torch.testing.assert_close(found.steps[0], found.steps[1])
    torch.testing.assert_close(found.steps[:1, :4], model(states[:1, :4]).steps)
    assert torch.isinf(found.steps[:, 4:]).all()
    assert found.loss(torch.tensor([0, 1]), torch.tensor([[-1, -1], [1, 3]])).isfinite().all()


def test_the_seed_determines_the_weights_and_the_global_generator_is_left_alone():
    before = torch.random.get_rng_state()
    one, other, third = (LocalisedDefect(2, 3, hidden=4, seed=seed).kind.weight for seed in (1, 1, 2))
    assert torch.equal(before, torch.random.get_rng_state()) and torch.equal(one, other) and not torch.equal(one, third)


@pytest.mark.parametrize(
    ("kind", "spans", "said"),
    [
        ([1], [[2, 1]], "0 <= onset <= offset < 5"),
        ([1], [[2, 5]], "0 <= onset <= offset < 5"),
        ([1], [[-1, 2]], "-1 and -1"),
        ([0], [[1, 2]], "for a sound trajectory"),
        ([0, 1], [[-1, -1]], r"expected \[1\] and \[1, 2\]"),
    ],
)
def test_annotations_that_do_not_fit_are_refused(kind, spans, said):
    with pytest.raises(ValueError, match=said):
        findings(DEFECTIVE).loss(torch.tensor(kind), torch.tensor(spans))


def test_sizes_and_states_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="odd width"):
        LocalisedDefect(2, 3, width=4)
    with pytest.raises(ValueError, match="at least 1"):
        LocalisedDefect(2, 0)
    with pytest.raises(ValueError, match="leave such steps out"):
        LocalisedDefect(1, 1)(torch.full((1, 3, 1), torch.nan))
