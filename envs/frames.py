"""Stored observations as text frames, without the environment that made them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from envs.blstats import BLSTATS_SIZE, Blstat
from envs.specs import Observation


def render_frame(observation: Observation) -> str:
    """One observation as text.

    NetHack and MiniHack: the message, 21 rows of map, the status line. Boards of small integers: a grid of symbols.
    Anything else: one line for each key.

    Args:
        observation: arrays of one step by key.
    """
    if "chars" in observation:
        lines = [_text(observation["message"])] if "message" in observation else []
        lines += [_text(row) for row in observation["chars"]]
        if "blstats" in observation:
            lines.append(status_line(observation["blstats"]))
        return "\n".join(lines)
    if "board" in observation:
        return "\n".join("".join(".o="[int(cell)] for cell in row) for row in observation["board"])
    with np.printoptions(precision=3, threshold=32, linewidth=120):
        return "\n".join(f"{key}: {value}" for key, value in observation.items())


def status_line(blstats: NDArray[np.generic]) -> str:
    """NetHack's status, from `blstats` [27], in one line."""
    if len(blstats) < BLSTATS_SIZE:
        raise ValueError(f"got blstats of {len(blstats)} entries; expected {BLSTATS_SIZE}: use nle 1.0 or later")
    if not blstats[Blstat.HP_MAX]:
        return "(the game is over)"
    s = {stat: int(blstats[stat]) for stat in Blstat}
    return (
        f"Dlvl:{s[Blstat.DEPTH]} $:{s[Blstat.GOLD]} HP:{s[Blstat.HP]}({s[Blstat.HP_MAX]}) "
        f"Pw:{s[Blstat.ENERGY]}({s[Blstat.ENERGY_MAX]}) AC:{s[Blstat.ARMOR_CLASS]} "
        f"Xp:{s[Blstat.EXPERIENCE_LEVEL]}/{s[Blstat.EXPERIENCE_POINTS]} T:{s[Blstat.TIME]} S:{s[Blstat.SCORE]}"
    )


def _text(row: NDArray[np.generic]) -> str:
    return row.tobytes().replace(b"\0", b"").decode("latin-1").rstrip() if row.dtype == np.uint8 else str(row)
