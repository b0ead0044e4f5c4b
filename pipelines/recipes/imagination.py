"""What a model of demonstrations imagines of `catch`: where the paddle will be, and how far the game has come.

Two heads, linear in the board, are fitted to games of a player who catches every ball in time; that takes a moment,
once a process. The columns are functions of steps (`pipelines.observed`): the environment stays as it is.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.catch import BALL, PADDLE, Catch, CatchPlayer, places
from pipelines.observed import Steps
from rewards.sources.directions import move_cosine

GAMES, AHEAD = 512, 5
Floats = NDArray[np.float64]


def _features(boards: NDArray[np.uint8]) -> Floats:
    """Where the ball is and where the paddle is, one-hot, and a constant `[N, 2 · cells + 1]`."""
    flat = boards.reshape(len(boards), -1)
    return np.column_stack([flat == BALL, flat == PADDLE, np.ones(len(flat))]).astype(np.float64)


@lru_cache
def heads(rows: int, columns: int) -> tuple[Floats, Floats]:
    """Coefficients of the displacement in the next five steps, and of the progress from 0 to 1.

    Demonstrations begin anywhere in a game that was played at random until then: who only sees how a good player plays
    from the start has never seen a paddle that is on the wrong side late in a game.
    """
    player, random = CatchPlayer(), np.random.default_rng(0)
    boards: list[NDArray[np.uint8]] = []
    displacements: list[float] = []
    progressed: list[float] = []
    for seed in range(GAMES):
        game, begin = Catch(rows, columns), int(random.integers(rows))
        step, seen = game.reset(seed), []
        while True:
            seen.append(step.observation["board"])
            if step.last:
                break
            chasing = len(seen) > begin
            step = game.step(player.act(step.observation) if chasing else int(random.integers(3)))
        paddle = np.array([places(board)[1] for board in seen], np.float64)
        later = np.minimum(np.arange(len(seen)) + AHEAD, len(seen) - 1)
        boards += seen[begin:]
        displacements += (paddle[later] - paddle)[begin:].tolist()
        progressed += np.linspace(0, 1, len(seen))[begin:].tolist()
    features = _features(np.stack(boards))
    fitted = [np.linalg.lstsq(features, np.array(wanted), rcond=None)[0] for wanted in (displacements, progressed)]
    return fitted[0], fitted[1]


def direction(steps: Steps) -> Floats:
    """How well each step's move points at the place imagined before it, −1 to 1 `[N]`; 0 for who stands still.

    Imagined anew at each step, since a row of experience may begin anywhere in a game, and to the nearest column.
    """
    before, after = steps.before["board"], steps.after["board"]
    if not before.any():  # the boards of zeros that are asked beforehand
        return np.zeros(len(before))
    displaced = np.rint(_features(before) @ heads(*before.shape[1:])[0])
    path = np.stack([_paddles(before), _paddles(after)], 1)[..., None]  # [N, 2, 1]
    cosine = move_cosine(path, path[:, :1] + displaced[:, None, None])[:, 0]
    # There, every way leads off: at 0 for that, to and fro would be paid at each second step.
    return np.where((displaced == 0) & (path[:, 0, 0] != path[:, 1, 0]), -1.0, cosine)


def progress(steps: Steps) -> Floats:
    """How far the game has come after each step, 0 to 1 `[N]`."""
    after = steps.after["board"]
    return np.clip(_features(after) @ heads(*after.shape[1:])[1], 0.0, 1.0)


def _paddles(boards: NDArray[Any]) -> Floats:
    return np.array([places(board)[1] for board in boards], np.float64)
