from __future__ import annotations

import pytest
import torch

from actors.search.steering import effective_size, log_potentials, steer
from actors.search.tilting import soft_value

STATES, STEPS, STRENGTH = 4, 3, 1.5
REWARD = torch.tensor([1.0, -1.0, 0.5, 0.0])
CHAIN = torch.rand(STEPS, STATES, STATES, generator=torch.Generator().manual_seed(3)).square()
CHAIN = CHAIN / CHAIN.sum(-1, keepdim=True)
PLAIN = CHAIN[0, 0] @ CHAIN[1] @ CHAIN[2]
"""Law of the last state, from state 0."""
TILTED = PLAIN * (STRENGTH * REWARD).exp() / (PLAIN * (STRENGTH * REWARD).exp()).sum()


def chain(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return lambda states, step: torch.multinomial(CHAIN[step][states], 1, generator=generator)[:, 0]


def rewarded(states, step):
    """The reward at the end, and on the way something that has nothing to do with it."""
    return REWARD[states] if step == STEPS else 0.3 * step * (states == 1).float()


def steered(rows, width, strength=STRENGTH, score=rewarded, **settings):
    start = torch.zeros(rows, width, dtype=torch.long)
    return steer(chain(), score, start, STEPS, strength, generator=torch.Generator().manual_seed(1), **settings)


def plain(rows, width):
    states, move = torch.zeros(rows * width, dtype=torch.long), chain()
    for step in range(STEPS):
        states = move(states, step)
    return states.view(rows, width)


def law(particles):
    weights = particles.log_weights.exp().flatten()
    return torch.bincount(particles.states.flatten(), weights, STATES) / weights.sum()


def test_effective_size_by_hand():
    weights = torch.tensor([[1.0, 1.0, 1.0], [1.0, 1.0, 2.0], [0.0, 5.0, 0.0]])
    assert effective_size(weights.log()).tolist() == pytest.approx([3.0, 16 / 6, 1.0])


@pytest.mark.parametrize("potential", ["difference", "max", "sum"])
def test_the_product_of_potentials_is_that_of_the_reward_alone(potential):
    scores = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(log_potentials(scores, 2.0, potential).sum(-1), 2 * scores[:, -1], atol=1e-5)


def test_differences_telescope_and_the_others_look_back():
    scores = torch.tensor([1.0, 3.0, 2.0])
    difference = log_potentials(scores, 2.0, "difference", ended=False)
    assert difference.tolist() == [2.0, 4.0, -2.0]
    assert float(difference[1:].sum()) == 2.0 * (2.0 - 1.0)  # λ (r_0 − r_T)
    assert log_potentials(scores, 2.0, "max", ended=False).tolist() == [2.0, 6.0, 6.0]
    assert log_potentials(scores, 2.0, "sum", ended=False).tolist() == [2.0, 8.0, 12.0]
    assert log_potentials(scores, 2.0, "max").tolist() == [2.0, 6.0, -4.0]
    with pytest.raises(ValueError, match="got potential 'mean'"):
        log_potentials(scores, 2.0, "mean")


@pytest.mark.parametrize("potential", ["difference", "max", "sum"])
def test_without_strength_or_with_one_particle_it_is_plain_sampling(potential):
    assert torch.equal(steered(6, 5, strength=0.0, potential=potential).states, plain(6, 5))
    assert torch.equal(steered(30, 1, potential=potential).states, plain(30, 1))


@pytest.mark.parametrize("settings", [{}, {"potential": "max"}, {"potential": "sum"}, {"every": 2}, {"threshold": 0.5}])
def test_the_tilted_law_is_reached_as_particles_grow_whatever_is_scored_on_the_way(settings):
    errors = [float((law(steered(16384 // width, width, **settings)) - TILTED).abs().sum()) for width in (1, 8, 512)]
    assert errors[0] > 2 * errors[1] and errors[2] < 0.06


def test_where_nothing_is_drawn_anew_it_is_importance_sampling():
    found = steered(4, 6, threshold=0.0)
    assert torch.equal(found.states, plain(4, 6)) and torch.equal(found.scores, REWARD[found.states])
    assert torch.allclose(found.log_weights, (STRENGTH * REWARD[found.states]).log_softmax(-1), atol=1e-6)


def exact_values():
    """Soft values after each number of steps `[STEPS + 1, STATES]`."""
    values = [REWARD]
    for matrix in reversed(CHAIN):
        values.append(soft_value(values[-1].expand(STATES, -1), STRENGTH, matrix.log()))
    return torch.stack(values[::-1])


def test_with_exact_soft_values_one_particle_of_many_children_has_the_tilted_law():
    values = exact_values()
    found = steered(4096, 1, score=lambda states, step: values[step][states], children=16)
    assert float((law(found) - TILTED).abs().sum()) < 0.06
    alone = steered(4096, 1, score=lambda states, step: values[step][states], children=1)
    assert torch.equal(alone.states, plain(4096, 1))


def test_children_without_strength_have_the_law_of_the_model():
    found = steered(4096, 1, strength=0.0, children=8)
    assert float((law(found) - PLAIN).abs().sum()) < 0.06


def test_a_chain_that_is_tilted_by_exact_soft_values_step_by_step_has_the_tilted_law():
    values = exact_values()
    twist = CHAIN * (STRENGTH * (values[1:, None, :] - values[:-1, :, None])).exp()
    assert torch.allclose(twist.sum(-1), torch.ones(STEPS, STATES), atol=1e-5)
    assert torch.allclose(twist[0, 0] @ twist[1] @ twist[2], TILTED, atol=1e-5)


MASK, TABLE = 3, torch.tensor([[0.2, 0.05, 0.1], [0.05, 0.2, 0.05], [0.1, 0.05, 0.2]])
"""The token of a place that is hidden, and the law of two tokens."""
WORTH = torch.tensor([[0.0, 0.0, 2.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])


def unmask(seed):
    """A masked diffusion: at each step a hidden place is drawn, and filled by what it is given the other."""
    generator = torch.Generator().manual_seed(seed)

    def move(states, step):
        place = torch.rand(len(states), generator=generator).round().long()
        place = torch.where(states[:, 0] == MASK, torch.where(states[:, 1] == MASK, place, 0), 1)
        other = states.gather(1, 1 - place[:, None])[:, 0]
        rows = torch.cat([TABLE, TABLE.sum(0, keepdim=True)])[other]  # the table is symmetric
        return states.scatter(1, place[:, None], torch.multinomial(rows, 1, generator=generator))

    return move


def promised(states, step):
    """Exact soft values of texts with hidden places."""
    fits = (states[:, :1, None] == torch.arange(3)[:, None]) | (states[:, :1, None] == MASK)
    fits = fits & ((states[:, 1:, None] == torch.arange(3)) | (states[:, 1:, None] == MASK))
    chance = (TABLE * fits).flatten(1)
    return soft_value(WORTH.flatten().expand(len(states), -1), 1.0, (chance / chance.sum(1, keepdim=True)).log())


def test_masked_tokens_are_steered_as_states_of_any_other_chain():
    start = torch.full((4096, 1, 2), MASK)
    found = steer(unmask(0), promised, start, 2, 1.0, children=16, generator=torch.Generator().manual_seed(1))
    codes = found.states[:, 0] @ torch.tensor([3, 1])
    wanted = (TABLE * WORTH.exp() / (TABLE * WORTH.exp()).sum()).flatten()
    assert float((torch.bincount(codes, minlength=9) / 4096 - wanted).abs().sum()) < 0.08


def test_scores_are_asked_for_every_few_steps_and_at_the_end():
    asked = []

    def score(states, step):
        asked.append((step, len(states)))
        return states.sum(1)

    found = steer(lambda states, step: states + step, score, torch.zeros(2, 3, 1), 5, 1.0, every=2, children=2)
    assert asked == [(2, 12), (4, 12), (5, 12)]
    assert found.states.shape == (2, 3, 1) and torch.equal(found.scores, torch.full((2, 3), 10.0))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"strength": float("inf")}, "strength=inf"),
        ({"children": 0}, "children=0"),
        ({"every": 0}, "every=0"),
        ({"score": lambda states, step: states / 0.0}, "of them not finite"),
        ({"score": lambda states, step: states[:1].float()}, r"got scores of shape \(1,\) after 1 steps"),
    ],
)
def test_what_cannot_be_steered_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        steered(2, 3, **settings)
