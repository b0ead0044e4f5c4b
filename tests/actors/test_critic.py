"""The critic: rows of different lengths in one call, each read as if it were alone."""

from __future__ import annotations

import pytest
import torch

from actors.critic import HEADS, RecurrentCritic
from actors.policy import Config
from envs.specs import ArraySpec, Box, Discrete, EnvSpec

SPEC = EnvSpec({"x": ArraySpec((4,), "float32")}, Discrete(3))


@pytest.fixture
def critic():
    torch.manual_seed(0)
    return RecurrentCritic(SPEC, Config(hidden=16))


def test_rows_are_read_one_by_one(critic):
    lengths, state = torch.tensor([2, 5, 1]), torch.randn(3, 16)
    x, action = torch.randn(11, 4), torch.randint(3, (8,))
    together = critic.evaluate({"x": x}, lengths, state, action)
    assert together.q.shape == (HEADS, 8) and together.value.shape == (11,)
    step = seen = 0
    for row, length in enumerate(lengths.tolist()):
        alone = critic.evaluate(
            {"x": x[seen : seen + length + 1]},
            lengths[row : row + 1],
            state[row : row + 1],
            action[step : step + length],
        )
        torch.testing.assert_close(together.q[:, step : step + length], alone.q)
        torch.testing.assert_close(together.value[seen : seen + length + 1], alone.value)
        step, seen = step + length, seen + length + 1


def test_a_value_is_that_of_the_action_that_was_taken(critic):
    x, state, lengths = torch.randn(2, 4), torch.zeros(1, 16), torch.tensor([1])
    by_action = [critic.evaluate({"x": x}, lengths, state, torch.tensor([a])).q[:, 0] for a in range(3)]
    assert len({tuple(q.tolist()) for q in by_action}) == 3
    by_action[1].sum().backward()
    bias = critic.q_heads.bias.grad.view(HEADS, 3)
    assert bias.tolist() == [[0, 1, 0]] * HEADS


def test_actions_that_are_no_choice_are_refused():
    with pytest.raises(ValueError, match="got actions of kind Box; expected Discrete"):
        RecurrentCritic(EnvSpec(SPEC.observation, Box((0.0,), (1.0,))), Config(hidden=16))
