"""Stored observations as frames: rows of text with colours, each frame told by what changed since the last.

A frame is a list of `[row, text, colours]`; colours are runs `[colour, length, colour, length, …]` of NetHack's
sixteen, empty where the row is grey. Most steps change a few rows of a map, so a film costs little more than its
first frame.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.frames import render_frame
from envs.specs import Observation
from pipelines.stored.evidence import printable

SYMBOLS = {"@": 15, "<>": 11, "#": 3, "+": 3, "$": 11, "{}": 12, "_": 15, "^": 13, ')[!?/="(%*`': 14, ".": 8}
"""Colours by symbol, where those of the game were not stored: what one would look for stands out."""

WIDEST, HIGHEST = 200, 60  # what a frame may be; anything else is cut, and no environment of ours reaches it
COLOURS_KEY, PACKED_KEY = "colors", "packed_colors"
GREY = 7  # what NetHack draws in where it says nothing

SYMBOL_COLOURS = np.full(256, GREY, np.uint8)
for _symbols, _colour in SYMBOLS.items():
    SYMBOL_COLOURS[[ord(symbol) for symbol in _symbols]] = _colour
SYMBOL_COLOURS[ord("A") : ord("Z") + 1] = SYMBOL_COLOURS[ord("a") : ord("z") + 1] = 9  # monsters and pets

Row = tuple[str, tuple[int, ...]]


def picture(observation: Observation) -> list[Row]:
    """One observation as rows of text with the runs of their colours.

    Args:
        observation: arrays of one step by key.
    """
    lines = [printable(line)[:WIDEST] for line in render_frame(observation).split("\n")[:HIGHEST]]
    colours = _colours(observation)
    if colours is None and "chars" in observation:
        colours = SYMBOL_COLOURS[np.asarray(observation["chars"], np.uint8)]
    if colours is None:
        return [(line.rstrip(), ()) for line in lines]
    above = 1 if "message" in observation else 0  # the message stands over the map
    rows: list[Row] = []
    for place, line in enumerate(lines):
        line = line.rstrip()
        inside = above <= place < above + len(colours)
        rows.append((line, _runs(colours[place - above][: len(line)]) if inside else ()))
    return rows


def changes(before: list[Row] | None, after: list[Row]) -> list[list[Any]]:
    """What turns one frame into the next: rows that differ; rows that went away become empty."""
    old = before or []
    found: list[list[Any]] = []
    for place in range(max(len(old), len(after))):
        row: Row = after[place] if place < len(after) else ("", ())
        if place >= len(old) or old[place] != row:
            found.append([place, row[0], list(row[1])])
    return found


def _colours(observation: Observation) -> NDArray[np.uint8] | None:
    """The colours of the map `[rows, columns]`; None where they were not stored."""
    if "chars" not in observation:
        return None
    shape = observation["chars"].shape
    if COLOURS_KEY in observation:
        return np.asarray(observation[COLOURS_KEY], np.uint8).reshape(shape)
    if PACKED_KEY in observation:
        packed = np.asarray(observation[PACKED_KEY], np.uint8)
        both = np.stack([packed & 15, packed >> 4], axis=-1).reshape(-1)
        return both[: shape[0] * shape[1]].reshape(shape)
    return None


def _runs(colours: NDArray[np.uint8]) -> tuple[int, ...]:
    runs = [(int(colour) & 15, len(list(group))) for colour, group in groupby(colours.tolist())]
    if all(colour == GREY for colour, _ in runs):
        return ()
    return tuple(number for run in runs for number in run)
