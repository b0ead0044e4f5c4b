import numpy as np
import pytest

from envs.catch import Catch, CatchPlayer, places
from envs.contract import EnvironmentContract
from envs.overseen import Overseen
from envs.tasks import make_task


class TestOverseen(EnvironmentContract):
    def task(self):
        return make_task("catch-overseen")


def game(seed, play, **options):
    """Takeovers seen after each step, and the last step."""
    env = make_task("catch-overseen", **options).make()
    step, seen = env.reset(seed), []
    while not step.last:
        step = env.step(play(step.observation))
        seen.append(step.observation["takeover"].tolist())
    return seen, step


def far_left(seed):
    return places(Catch().reset(seed).observation["board"])[0] == 0


def test_an_expert_who_sees_everything_takes_over_from_the_next_step_for_as_long_as_he_is_told():
    seed = next(s for s in range(50) if far_left(s))
    seen, last = game(seed, lambda observation: 2, steps=3, notices=1.0, errs=0.0)
    # The policy goes right, away from the ball; he takes three steps back to column 1, and it goes right again.
    assert seen == [[0, 3], [1, 2], [1, 1], [1, 0], [0, 3], [1, 2], [1, 1], [1, 0], [0, 3]]
    assert last.success is False


def test_who_does_what_he_likes_is_left_alone_and_may_do_better_than_he():
    found = [game(seed, CatchPlayer().act, notices=1.0, errs=0.0) for seed in range(20)]
    assert all(by == 0 and left == 0 for seen, _ in found for by, left in seen)
    assert all(last.success for _, last in found)
    shy = [game(seed, CatchPlayer(1).act, notices=0.0, errs=0.0)[1].success for seed in range(20)]
    edges = [places(Catch().reset(seed).observation["board"])[0] in (0, 4) for seed in range(20)]
    assert shy == [not edge for edge in edges] and any(edges)


def test_the_seed_of_an_episode_determines_when_he_errs():
    one, other = (game(3, lambda observation: 1, errs=0.5)[0] for _ in range(2))
    assert one == other


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"steps": 256}, {"notices": 1.5}, {"errs": -0.1}])
def test_numbers_that_do_not_fit_are_refused(wrong):
    with pytest.raises(ValueError, match="expected 1 to 255, and chances"):
        Overseen(Catch(), CatchPlayer(), **wrong)


def test_one_overseer_is_enough():
    with pytest.raises(ValueError, match="shows 'takeover' already"):
        Overseen(Overseen(Catch(), CatchPlayer()), CatchPlayer())


def test_the_environment_itself_is_as_it_was():
    alone, beside = Catch(), Overseen(Catch(), CatchPlayer(), notices=0.0, errs=0.0)
    first, same = alone.reset(5), beside.reset(5)
    for action in (0, 2, 2, 1):
        np.testing.assert_array_equal(first.observation["board"], same.observation["board"])
        assert (first.reward, first.discount) == (same.reward, same.discount) and alone.render() == beside.render()
        first, same = alone.step(action), beside.step(action)
