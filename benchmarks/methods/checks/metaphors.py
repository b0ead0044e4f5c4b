"""Check of rewards by parts and meaning: a tiny policy that is to say two things and what joins them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.language import END, TinyPolicy, Writing, imitate, reinforce, write
from benchmarks.methods.worlds.scores import grpo
from rewards.columns import Column
from rewards.sources.decomposition import decomposition_alignment

SOURCES, TARGETS, MEANINGS = np.arange(1, 6), np.arange(6, 11), np.arange(11, 16)
VOCABULARY, LENGTH, RELATED = 16, 5, 0.5
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def prompts(random: np.random.Generator, count: int) -> Ints:
    """Source, target and meaning of each `[count, 3]`."""
    return np.stack([random.choice(kind, count) for kind in (SOURCES, TARGETS, MEANINGS)], axis=1)


def vectors() -> Floats:
    """Embeddings of tokens `[V, V]`: a meaning is half like the source of its number; nothing else is alike."""
    found = np.eye(VOCABULARY)
    found[END] = 0
    found[MEANINGS, SOURCES] = RELATED
    length = np.linalg.norm(found, axis=1, keepdims=True)
    unit: Floats = found / np.where(length > 0, length, 1.0)
    return unit


TABLE = vectors()


def scores(asked: Ints, written: Ints) -> tuple[Floats, Floats, Floats]:
    """Which of source and target are there `[N, 2]`; likeness to the meaning `[N]`, and to the whole prompt `[N]`."""
    present = np.stack([(written == asked[:, [k]]).any(1) for k in (0, 1)], 1).astype(float)
    likeness = TABLE[written] @ TABLE[asked[:, 2]][..., None]  # [N, T, 1]
    said, prompt = TABLE[written].sum(1), TABLE[asked].sum(1)
    length = np.linalg.norm(said, axis=1) * np.linalg.norm(prompt, axis=1)
    whole = (said * prompt).sum(1) / np.where(length > 0, length, 1.0)
    return present, np.clip(likeness[..., 0].max(1), 0, 1), np.clip(whole, 0, 1)


def rewarded(asked: Ints, written: Ints, arm: str) -> Floats:
    """What an arm pays `[N]`."""
    present, meaning, whole = scores(asked, written)
    weights = (0.0, 0.0, 1.0, 0.0) if arm == "whole" else (0.5, 0.5, 0.0, 0.0)
    return decomposition_alignment(present, meaning, whole, weights=weights)


def composed(seed: int, arm: str) -> Mapping[str, float]:
    """Slots that are said, and likeness to the meaning, of new prompts.

    Args:
        seed: of everything.
        arm: `imitation` alone, `best` (of four, by the parts' reward), `whole` likeness, or `parts` and meaning.
    """
    random, policy = np.random.default_rng(seed), TinyPolicy(VOCABULARY, seed)
    shown = prompts(random, 256)
    noise = random.integers(1, VOCABULARY, (256, LENGTH))
    copied = np.concatenate([shown, noise[:, :2]], 1)
    imitate(policy, shown, np.where(random.random((256, LENGTH)) < 0.4, copied, noise), 60)

    def judged(writing: Writing) -> Mapping[str, Column]:
        return {"score": Column.full(rewarded(writing.prompts, writing.completions, arm))}

    if arm in ("whole", "parts"):
        reinforce(policy, prompts, judged, grpo(), seed, updates=250, length=LENGTH)
    asked = prompts(np.random.default_rng(9_000 + seed), 200)
    members = 4 if arm == "best" else 1
    writing = write(policy, asked, members, LENGTH, torch.Generator().manual_seed(seed))
    paid = rewarded(writing.prompts, writing.completions, "parts").reshape(-1, members)
    best = np.arange(200) * members + paid.argmax(1)
    present, meaning, whole = scores(asked, writing.completions[best])
    return {"slots": float(present.mean()), "meaning": float(meaning.mean()), "whole": float(whole.mean())}


def _every_slot(found: Found) -> bool:
    parts, whole = "parts and meaning", "whole likeness"
    return (
        found.above(parts, whole, "slots")
        and (found.difference(parts, whole, "meaning").low or 0.0) > -0.02
        and found.above("best of four", "imitation", "slots")
    )


MINDS_EYE = Check(
    row=178,
    name="decomposition-alignment-reward",
    claim="A policy paid for parts and meaning says more of both slots than one that is paid for whole likeness "
    "and loses no more than 0.02 of the meaning; and the best of four answers by that reward has more than one answer.",
    arms={
        "imitation": lambda seed: composed(seed, "imitation"),
        "best of four": lambda seed: composed(seed, "best"),
        "whole likeness": lambda seed: composed(seed, "whole"),
        "parts and meaning": lambda seed: composed(seed, "parts"),
    },
    holds=_every_slot,
    units={"slots": "share of slots", "meaning": "likeness", "whole": "likeness"},
)
