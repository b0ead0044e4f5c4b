"""A room and a road that are seen and described: pairs of observation and caption, with things that do not matter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SIZE = 6
LAMPS = ("red", "green", "blue")
NUMBERS = ("one", "two", "three", "four", "five", "six")
FAR = 9
"""Cells to the car ahead from which on the road is clear."""
WEATHER = ("in rain", "in sunshine", "at night", "in fog")


def room() -> tuple[Floats, list[tuple[str, ...]]]:
    """All states of a room of 6 × 6 under three lamps: observations `[108, 5]`, and what may be said of each."""
    states = [(row, column, lamp) for row in range(SIZE) for column in range(SIZE) for lamp in range(len(LAMPS))]
    seen = np.array([[row / SIZE, column / SIZE, *np.eye(len(LAMPS))[lamp]] for row, column, lamp in states])

    def words(row: int, column: int, lamp: int) -> tuple[str, ...]:
        place = f"the robot is in row {NUMBERS[row]} and column {NUMBERS[column]}"
        light = f"under a {LAMPS[lamp]} lamp"
        return f"{place} {light}", place, f"the robot is {light}", "the robot is in a room"

    return seen, [words(*state) for state in states]


def road() -> tuple[Floats, list[tuple[str, ...]]]:
    """Gaps to the car ahead in four weathers: observations `[(FAR + 1) · 4, 5]`, and what may be said of each."""
    states = [(gap, sky) for gap in range(FAR + 1) for sky in range(len(WEATHER))]
    seen = np.array([[gap / FAR, *np.eye(len(WEATHER))[sky]] for gap, sky in states])

    def words(gap: int, sky: int) -> tuple[str, ...]:
        place = "the road is clear" if gap >= 7 else "a car is some way ahead" if gap > 2 else "a crash is near"
        return f"{place} {WEATHER[sky]}", place, f"a road {WEATHER[sky]}", "a road"

    return seen, [words(*state) for state in states]
