"""`catch`: a ball falls, a paddle moves. The smallest world with everything the contract asks for.

10 rows, 5 columns; the ball starts on top in a random column and falls one row each step; the paddle is on the last
row. The reward comes at the end: 1 if the ball is caught, -1 if not.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.frames import render_frame
from envs.specs import ArraySpec, Discrete, EnvSpec, Observation
from envs.timestep import TimeStep, restart, termination, transition, truncation

ROWS, COLUMNS = 10, 5
BALL, PADDLE = 1, 2
ACTIONS = ("left", "stay", "right")


class State(NamedTuple):
    """Where ball and paddle are."""

    row: int
    column: int
    paddle: int


def fall(state: State, action: int, columns: int = COLUMNS) -> State:
    """The state after one step: the ball falls a row, the paddle moves by `action - 1` and stays on the board."""
    return State(state.row + 1, state.column, min(max(state.paddle + action - 1, 0), columns - 1))


def draw(state: State, rows: int = ROWS, columns: int = COLUMNS) -> NDArray[np.uint8]:
    """The board `[rows, columns]`: 0 empty, 1 the ball, 2 the paddle; a caught ball hides the paddle."""
    board = np.zeros((rows, columns), np.uint8)
    board[rows - 1, state.paddle] = PADDLE
    board[state.row, state.column] = BALL
    return board


class Catch:
    """The world of this file as an `Environment`.

    Args:
        rows: height of the board, at least 2.
        columns: width of the board.
        max_episode_steps: the episode is truncated there; None lets the ball fall to the ground.
    """

    def __init__(self, rows: int = ROWS, columns: int = COLUMNS, max_episode_steps: int | None = None) -> None:
        if rows < 2 or columns < 1:
            raise ValueError(f"got a board of {rows} x {columns}; expected at least 2 x 1")
        self._rows, self._columns, self._limit = rows, columns, max_episode_steps
        self._state = State(0, 0, 0)
        self._spec = EnvSpec({"board": ArraySpec((rows, columns), "uint8")}, Discrete(len(ACTIONS)), ACTIONS)

    @property
    def spec(self) -> EnvSpec:
        """A board and three actions."""
        return self._spec

    def reset(self, seed: int) -> TimeStep:
        """Begin an episode: `seed` chooses the column of the ball."""
        column = int(np.random.default_rng(seed).integers(self._columns))
        self._state = State(0, column, self._columns // 2)
        return restart(self._observe())

    def step(self, action: Any) -> TimeStep:
        """Move the paddle and let the ball fall."""
        self._state = fall(self._state, int(action), self._columns)
        if self._state.row == self._rows - 1:
            caught = self._state.paddle == self._state.column
            return termination(1.0 if caught else -1.0, self._observe(), caught)
        if self._state.row == self._limit:
            return truncation(0.0, self._observe(), False)
        return transition(0.0, self._observe())

    def render(self) -> str:
        """The board: `o` the ball, `=` the paddle."""
        return render_frame(self._observe())

    def close(self) -> None:
        """Nothing to free."""

    def _observe(self) -> dict[str, NDArray[np.uint8]]:
        return {"board": draw(self._state, self._rows, self._columns)}


class CatchCaptioner:
    """Where the ball is, seen from the paddle; at the end, whether it was caught."""

    def reset(self, timestep: TimeStep) -> None:
        """Begin an episode."""

    def caption(self, timestep: TimeStep) -> str:
        """One of five sentences."""
        board = timestep.observation["board"]
        row, column = (int(i[0]) for i in np.nonzero(board == BALL))
        ground = len(board) - 1
        paddles = np.flatnonzero(board[ground] == PADDLE)
        if row == ground:
            return "You miss the ball." if len(paddles) else "You catch the ball."
        if column == paddles[0]:
            return "The ball is above you."
        return f"The ball is to your {'left' if column < paddles[0] else 'right'}."


class CatchPlayer:
    """Runs under the ball; does not go where he is shy to, and objects to steps that do not lead to the ball.

    So he knows more than he can: `shy` of 1 keeps him off the outermost columns, where he misses two balls in five.
    """

    def __init__(self, shy: int = 0) -> None:
        """A player who keeps so many columns off the edges."""
        self._shy = shy

    def act(self, observation: Observation) -> int:
        """A step towards the ball, as far as he goes."""
        ball, paddle, columns = places(observation["board"])
        aim = min(max(ball, self._shy), columns - 1 - self._shy)
        return int(np.sign(aim - paddle)) + 1

    def objects(self, observation: Observation, action: int) -> bool:
        """Whether an action leaves the paddle farther from the ball than need be."""
        ball, paddle, columns = places(observation["board"])
        after = min(max(paddle + int(action) - 1, 0), columns - 1)
        return abs(ball - after) > max(abs(ball - paddle) - 1, 0)


def places(board: NDArray[np.uint8]) -> tuple[int, int, int]:
    """Columns of ball and paddle on a board `[rows, columns]`, and how many columns there are."""
    ball = int(np.nonzero(board == BALL)[1][0])
    paddles = np.flatnonzero(board[-1] == PADDLE)
    return ball, int(paddles[0]) if len(paddles) else ball, board.shape[1]
