"""NetHack with a caption that nobody has seen before at a set share of the steps, so that a judge has that much to do.

Of NetHack's own messages one in some hundred observations is new in the first minutes of a run, and ever fewer later.
A benchmark of annotation wants a load that stays what it is.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from functools import partial

from envs.captions import MessageCaptioner
from envs.environment import Task
from envs.tasks import make_task
from envs.timestep import TimeStep

OFTEN = 16  # captions that come again and again, beside the new ones


class SharedCaptions:
    """The game's message where it says something, numbered where it is a new caption's turn."""

    def __init__(self, share: float) -> None:
        """A new caption at `share` of the steps, and one of a few old ones wherever else the game speaks."""
        self._share, self._message = share, MessageCaptioner()
        self._owed, self._said, self._game = 0.0, 0, 0

    def reset(self, timestep: TimeStep) -> None:
        """Begin an episode; what it begins with tells it from others, and when its first new caption comes."""
        self._message.reset(timestep)
        self._game = 0
        for key in sorted(timestep.observation):
            self._game = zlib.crc32(timestep.observation[key].tobytes(), self._game)
        self._owed, self._said = self._game / 2**32, 0

    def caption(self, timestep: TimeStep) -> str:
        """What this step brought about."""
        text = self._message.caption(timestep)
        self._owed += self._share
        if self._owed >= 1.0:
            self._owed -= 1.0
            self._said += 1
            return f"{text or 'You wait.'} (turn {self._said} of game {self._game:x})"
        return f"You hear noise {len(text) % OFTEN}." if text else ""


def nethack(share: float = 0.0004, **options: object) -> Task:
    """The score task with such captions; other options are those of NetHack."""
    task = make_task("nethack-score", **options)
    return replace(task, name=f"nethack-score, {share:.2%} new captions", make_captioner=partial(SharedCaptions, share))
