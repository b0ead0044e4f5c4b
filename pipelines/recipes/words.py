"""How near a step of `catch` is to a goal in words: an encoder learns from captions what boards have to do with them.

It is trained once a process, in seconds, on games played at random, and stands in for a vision-language model; the
column is a function of steps (`pipelines.observed`).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from envs.catch import BALL, PADDLE, Catch, CatchCaptioner
from pipelines.observed import Steps
from rewards.models.contrastive import ContrastiveEncoder
from rewards.sources.goal_similarity import contrasting_goals

GAMES, UPDATES = 300, 400
WANTED = ("The ball is above you.", "You catch the ball.")
UNWANTED = ("The ball is to your left.", "The ball is to your right.", "You miss the ball.")
Floats = NDArray[np.float64]


def _features(boards: NDArray[np.uint8]) -> Floats:
    """Columns of ball and paddle, and rows of the ball, one-hot `[N, 2 · columns + rows]`."""
    ball, paddle = boards == BALL, boards == PADDLE
    return np.concatenate([ball.any(1), paddle.any(1), ball.any(2)], axis=1).astype(np.float64)


@lru_cache
def _encoder(rows: int, columns: int) -> ContrastiveEncoder:
    random, captioner, boards, said = np.random.default_rng(0), CatchCaptioner(), [], []
    for seed in range(GAMES):
        game = Catch(rows, columns)
        step = game.reset(seed)
        while not step.last:
            step = game.step(int(random.integers(3)))
            boards.append(step.observation["board"])
            said.append(captioner.caption(step))
    features = _features(np.stack(boards))
    found = ContrastiveEncoder(features.shape[1])
    found.train(features, said, UPDATES)
    return found


def likeness(steps: Steps) -> Floats:
    """Nearer to the wanted words than to the unwanted ones, −1 to 1, after each step `[N]`."""
    after = steps.after["board"]
    encoder = _encoder(*after.shape[1:])
    return contrasting_goals(encoder.of_seen(_features(after)), encoder.of_texts(WANTED), encoder.of_texts(UNWANTED))
