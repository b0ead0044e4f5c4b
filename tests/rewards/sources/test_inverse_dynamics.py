import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rewards.sources.inverse_dynamics import action_consistency, executability

commands = arrays(float, (3, 6, 2), elements=st.floats(-1, 1))


def test_who_follows_every_action_is_worth_one_and_half_of_them_a_half():
    asked = np.array([[0, 1, 2, 3], [0, 1, 2, 3]])
    read = np.array([[0, 1, 2, 3], [0, 1, 0, 0]])
    assert action_consistency(read, asked).tolist() == [1.0, 0.5]


@given(commands)
def test_real_actions_that_are_read_as_they_were_are_worth_one_and_distance_counts_by_its_scale(asked):
    np.testing.assert_allclose(action_consistency(asked, asked, scale=0.5), 1.0)
    moved = asked + np.array([0.3, 0.4])  # squared distance 0.25
    np.testing.assert_allclose(action_consistency(moved, asked, scale=0.25), np.exp(-1))


@given(commands, st.floats(-0.5, 0.5))
def test_an_offset_inside_of_the_limits_changes_nothing_and_nothing_is_above_zero(read, offset):
    np.testing.assert_allclose(executability(read + offset, 1.5), executability(read, 1.5), atol=1e-12)
    assert (executability(read, 0.5) <= 0).all()


def test_steady_commands_cost_their_velocity_alone_by_hand():
    steady = np.arange(5.0)[:, None] * 0.1  # velocity 0.1, no acceleration, no jerk
    assert executability(steady, 1.0, (1, 0, 0)) == pytest.approx(-0.01)
    assert executability(steady, 1.0, (0, 1, 1)) == pytest.approx(0)
    turn = np.array([[0.0], [0.0], [1.0], [1.0]])  # Δ: 0 1 0, Δ²: 1 −1, Δ³: −2
    assert executability(turn, 1.0) == pytest.approx(-(1 / 3 + 1 + 4))
    assert executability(turn, 0.5, (0, 0, 0)) == pytest.approx(-0.25)
    assert executability(turn[:1], 1.0) == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda: action_consistency([0, 1], [0, 1, 2]),
        lambda: action_consistency([], []),
        lambda: action_consistency([[0.0]], [[0.0]], scale=0),
        lambda: executability([1.0, 2.0], 1.0),
        lambda: executability([[1.0]], 0.0),
        lambda: executability([[1.0]], 1.0, (-1, 0, 0)),
    ],
)
def test_what_does_not_fit_is_refused(call):
    with pytest.raises(ValueError, match="expected"):
        call()
