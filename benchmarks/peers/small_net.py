"""What every peer is given: the same two worlds, the same two small nets, and one way to tell what was measured.

These scripts run in the peers' own environments, so nothing of Guerdon is imported here. The nets are those of
`policy.encoder=small policy.recurrent=false`: NetHack with 128 features, CartPole with 64.
"""

from __future__ import annotations

import argparse
import json
import os
import time

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import gymnasium
import numpy as np
import torch
from torch import nn

MAP = (21, 79)
CELLS = MAP[0] * MAP[1]
STATUS = 27
CROP = 9
ACTIONS = {"nethack": 23, "cartpole": 2}
LEARNING_RATE = 3e-4


class Flat(gymnasium.Wrapper):
    """NetHack's map and status line as one row of bytes: each peer copies one array a step, and no dictionaries."""

    def __init__(self, env):
        super().__init__(env)
        self.observation_space = gymnasium.spaces.Box(0, 255, (CELLS + 4 * STATUS,), np.uint8)

    def _flat(self, seen):
        return np.concatenate([seen["chars"].reshape(-1), seen["blstats"].astype(np.float32).view(np.uint8)])

    def reset(self, *, seed=None, options=None):
        return self._flat(self.env.reset()[0]), {}

    def step(self, action):
        seen, reward, over, cut, _ = self.env.step(int(action))
        return self._flat(seen), float(reward), bool(over), bool(cut), {}


def make_world(world):
    """CartPole-v1, or NetHackScore-v0 with map and status line."""
    if world == "cartpole":
        return gymnasium.make("CartPole-v1")
    import nle  # noqa: F401  registers its environments

    return Flat(gymnasium.make("NetHackScore-v0", observation_keys=("chars", "blstats")))


class NetHackFeatures(nn.Module):
    """A 9 × 9 window of the map and the status line, 128 features."""

    size = 128

    def __init__(self):
        super().__init__()
        self.symbols = nn.Embedding(256, 16)
        self.window = nn.Linear(CROP * CROP * 16, 128)
        self.status = nn.Linear(STATUS, 64)
        self.merge = nn.Linear(192, self.size)
        span = torch.arange(CROP) - CROP // 2
        self.register_buffer("down", span.repeat_interleave(CROP)[None])
        self.register_buffer("right", span.repeat(CROP)[None])

    def forward(self, seen):
        seen = seen.to(torch.uint8)
        status = seen[:, CELLS:].contiguous().view(torch.float32)
        rows, columns = status[:, 1:2].long() + self.down, status[:, :1].long() + self.right
        inside = (rows >= 0) & (rows < MAP[0]) & (columns >= 0) & (columns < MAP[1])
        place = rows.clamp(0, MAP[0] - 1) * MAP[1] + columns.clamp(0, MAP[1] - 1)
        window = self.symbols(seen[:, :CELLS].gather(1, place).long() * inside).flatten(1)
        numbers = torch.sign(status) * torch.log1p(status.abs()) / 4
        both = torch.cat([torch.relu(self.window(window)), torch.relu(self.status(numbers))], 1)
        return torch.relu(self.merge(both))


class CartPoleFeatures(nn.Module):
    """Two layers of 64."""

    size = 64

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh())

    def forward(self, seen):
        return self.layers(seen.float())


FEATURES = {"nethack": NetHackFeatures, "cartpole": CartPoleFeatures}


def arguments(**defaults):
    """What to measure: the world, a window after a warm-up, or with frames= how good the policy is by then."""
    parser = argparse.ArgumentParser()
    parser.add_argument("world", choices=sorted(ACTIONS))
    known = {"warm_up": 20.0, "seconds": 60.0, "frames": 0, "seed": 0, "envs": 64, "workers": 2, **defaults}
    for key, value in known.items():
        parser.add_argument(f"--{key}", type=type(value), default=value)
    return parser.parse_args()


class Clock:
    """Counts frames that were learnt from, in a window after a warm-up, or up to a number of them."""

    def __init__(self, asked):
        self.asked, self.began, self.opened = asked, None, None
        self.frames_per_s, self.frames = None, 0

    def tick(self, frames):
        """Say how many frames have been learnt from so far; gives whether that is enough."""
        now = time.perf_counter()
        self.frames = frames
        if self.began is None and frames > 0:
            self.began = now
        if self.asked.frames:
            return frames >= self.asked.frames
        if self.opened is None and self.began is not None and now - self.began >= self.asked.warm_up:
            self.opened = (now, frames)
        if self.opened is None or now - self.opened[0] < self.asked.seconds:
            return False
        self.frames_per_s = (frames - self.opened[1]) / (now - self.opened[0])
        return True

    def tell(self, episode_return, **settings):
        """Print what was found as one line of JSON, the last."""
        found = {"frames_per_s": self.frames_per_s, "frames": self.frames, "episode_return": episode_return}
        print("\n" + json.dumps({**found, "settings": settings}, default=float), flush=True)
