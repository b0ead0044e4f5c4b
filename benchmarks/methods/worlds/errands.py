"""Errands to be run in order, and then to be handed in: long enough for credit to matter, with many ways to waste time.

A prompt names places. A completion is a walk: each token goes to a place or idles, and END hands in. Through is who has
visited the places in their order, whatever else he did between; whoever then also hands in before time is up succeeds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.methods.worlds.language import END, TinyPolicy, Writing, imitate, reinforce, write
from rewards.columns import Column
from rewards.views.view import Config, RewardView

PLACES, ERRANDS, LENGTH = 5, 3, 8
IDLE = 1 + PLACES
VOCABULARY = 2 + PLACES


def prompts(random: np.random.Generator, number: int, errands: int = ERRANDS) -> NDArray[np.int64]:
    """Places to be visited `[n, errands]`, all different."""
    return 1 + random.permuted(np.tile(np.arange(PLACES), (number, 1)), axis=1)[:, :errands]


def counted(asked: NDArray[np.int64], walks: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many errands `[B, K]` are done after each token of walks `[B, T]`; nothing is done behind END."""
    found = np.zeros_like(walks)
    count, rows = np.zeros(len(found), np.int64), np.arange(len(found))
    wanted = np.pad(asked, ((0, 0), (0, 1)), constant_values=-1)
    for t in range(found.shape[1]):
        count += walks[:, t] == wanted[rows, count]
        found[:, t] = count
    return found


def done(writing: Writing) -> NDArray[np.int64]:
    """How many errands are done after each token `[B, T]`."""
    return counted(writing.prompts, np.where(writing.mask, writing.completions, END))


def new(writing: Writing) -> NDArray[np.bool_]:
    """Which tokens do the next errand `[B, T]`."""
    return np.diff(done(writing), axis=1, prepend=0) > 0


def handed_in(writing: Writing) -> NDArray[np.bool_]:
    """Who has said END `[B]`."""
    found: NDArray[np.bool_] = ((writing.completions == END) & writing.mask).any(-1)
    return found


def through(writing: Writing) -> NDArray[np.float32]:
    """1 where all errands were done, handed in or not `[B]`."""
    found: NDArray[np.float32] = (done(writing)[:, -1] == writing.prompts.shape[1]).astype(np.float32)
    return found


def success(writing: Writing) -> NDArray[np.float32]:
    """1 where all errands were done and handed in, 0 elsewhere `[B]`."""
    return through(writing) * handed_in(writing)


def with_detours(random: np.random.Generator, asked: NDArray[np.int64]) -> NDArray[np.int64]:
    """Walks that run all errands `[n, K]` in order, hand in, and idle or go elsewhere in between `[n, LENGTH]`."""
    found = np.full((len(asked), LENGTH), END)
    for row, places in enumerate(asked):
        walk = random.integers(1, VOCABULARY, random.integers(len(places) + 1, LENGTH))
        walk[np.sort(random.permutation(len(walk))[: len(places)])] = places
        found[row, : len(walk)] = walk
    return found


def taught(seed: int, steps: int = 30, errands: int = ERRANDS) -> TinyPolicy:
    """A policy that has seen walks with detours for `steps`: at 30 it succeeds in about a fifth of its walks."""
    random, policy = np.random.default_rng(1000 + seed), TinyPolicy(VOCABULARY, seed)
    asked = prompts(random, 256, errands)
    imitate(policy, asked, with_detours(random, asked), steps)
    return policy


def trained(
    parts: list[dict[str, Any]],
    levels: Mapping[str, str],
    components: Callable[[Writing], Mapping[str, Column]],
    seed: int,
    policy: TinyPolicy,
    updates: int = 120,
    errands: int = ERRANDS,
    length: int = LENGTH,
    reached: Callable[[Writing], NDArray[np.float32]] = success,
    **settings: Any,
) -> dict[str, float]:
    """What comes of training with a view: success before, on the way and at the end, and the length of a walk."""
    curve: list[float] = []
    view = RewardView(Config.model_validate({"name": "errands", "components": levels, "parts": parts}))
    asking = partial(prompts, errands=errands)
    reinforce(
        policy,
        asking,
        components,
        view,
        seed,
        updates=updates,
        length=length,
        on_update=lambda update, writing: curve.append(float(reached(writing).mean())),
        **settings,
    )
    asked = asking(np.random.default_rng(10_000 + seed), 256)
    found = write(policy, asked, 2, length, torch.Generator().manual_seed(seed))
    return {
        "before": float(np.mean(curve[:3])),
        "success": float(reached(found).mean()),
        "success on the way": float(np.mean(curve)),
        "steps": float(found.length.mean()),
    }
