import numpy as np
import pytest

from envs.catch import Catch, CatchCaptioner, State, fall
from envs.contract import EnvironmentContract
from envs.tasks import make_task


class TestCatch(EnvironmentContract):
    def task(self):
        return make_task("catch")


class TestCatchCutOff(EnvironmentContract):
    def task(self):
        return make_task("catch", max_episode_steps=4)


def play(env, seed, policy):
    captioner, timestep = CatchCaptioner(), env.reset(seed)
    captioner.reset(timestep)
    said = []
    while not timestep.last:
        timestep = env.step(policy(timestep.observation["board"]))
        said.append(captioner.caption(timestep))
    return timestep, said


def chase(board):
    ball, paddle = np.argwhere(board == 1)[0][1], np.argwhere(board[-1] == 2)[0][0]
    return int(np.sign(ball - paddle)) + 1


@pytest.mark.parametrize("seed", range(10))
def test_running_under_the_ball_catches_it(seed):
    last, said = play(Catch(), seed, chase)
    assert (last.reward, last.discount, last.success) == (1.0, 0.0, True)
    assert said[-1] == "You catch the ball." and said[-2] == "The ball is above you."
    assert len(said) == 9


def test_standing_still_beside_the_ball_misses_it():
    seed = next(s for s in range(50) if Catch().reset(s).observation["board"][0, 0] == 1)
    last, said = play(Catch(), seed, lambda board: 1)
    assert (last.reward, last.discount, last.success) == (-1.0, 0.0, False)
    assert said == ["The ball is to your left."] * 8 + ["You miss the ball."]


def test_the_paddle_stays_on_the_board():
    assert fall(State(0, 2, 0), 0) == State(1, 2, 0)
    assert fall(State(0, 2, 4), 2) == State(1, 2, 4)
    assert fall(State(3, 2, 1), 2) == State(4, 2, 2)


def test_a_step_limit_truncates_and_keeps_the_discount():
    last, said = play(Catch(max_episode_steps=4), 0, chase)
    assert (last.reward, last.discount, last.success, len(said)) == (0.0, 1.0, False, 4)


def test_the_board_is_drawn():
    env = Catch(rows=3, columns=3)
    column = int(np.argwhere(env.reset(1).observation["board"][0] == 1)[0][0])
    rows = ["...", "...", ".=."]
    rows[0] = "".join("o" if c == column else "." for c in range(3))
    assert env.render() == "\n".join(rows)
