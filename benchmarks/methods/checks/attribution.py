"""Check of a score that is spread over utterances: a topic to be covered, where most words change nothing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found, Measured
from benchmarks.methods.worlds import attributes
from benchmarks.methods.worlds.language import TinyPolicy, Writing, reinforce, write
from rewards.columns import Column
from rewards.views.view import Config, RewardView

OFF = 0.2
"""Chance that an attribution is off by one grade."""


def marginal(writing: Writing) -> NDArray[np.float32]:
    """What each word adds to the coverage of the topic `[B, T]`: 1 / WORDS for a word of it that was not said yet."""
    topic = (writing.prompts[:, :1] - 1) // attributes.WORDS
    words, found = writing.completions, np.zeros(writing.completions.shape, np.float32)
    for word in range(attributes.WORDS):
        said = (words == 1 + topic * attributes.WORDS + word) & writing.mask
        found += said & (np.cumsum(said, axis=1) == 1)
    share: NDArray[np.float32] = found / np.float32(attributes.WORDS)
    return share


def attributed(writing: Writing, random: np.random.Generator) -> NDArray[np.int64]:
    """Grades 0 … 3 by a rater who has seen the whole: 3 for a word that adds something, else 0; at times one off."""
    off = (random.random(writing.completions.shape) < OFF) * random.choice([-1, 1], writing.completions.shape)
    found: NDArray[np.int64] = np.clip(3 * (marginal(writing) > 0) + off, 0, 3)
    return found


def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks; of equals, their mean."""
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    found: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[where]
    return found


def spread(seed: int, preset: str) -> Measured:
    """Coverage after training each word on its share of the score, and how well shares agree with what words added."""
    random = np.random.default_rng(seed)
    view = RewardView(
        Config.model_validate(
            {
                "name": "attribution",
                "components": {"score": "episode"} | ({"a": "token"} if preset == "sotopia_rl" else {}),
                "parts": [
                    {
                        "part": "redistribute",
                        "preset": preset,
                        "of": "score",
                        "over": "token",
                        "weights": "a",
                        "to": "reward",
                    },
                    {"part": "group_relative", "preset": "grpo", "of": "reward"},
                ],
            }
        )
    )
    agreement: list[float] = []
    covered: list[float] = []

    def components(writing: Writing) -> Mapping[str, Column]:
        score = attributes.coverage(writing)
        columns = {
            "score": Column.full(score),
            "a": Column.full(writing.tokens(attributed(writing, random).astype(np.float64))),
        }
        paid, added = view.apply(columns, writing.layout).reward, marginal(writing)[writing.mask]
        # Within a word's episode every share says something only if it differs: a constant agrees with nothing.
        centred = [ranks(values.astype(np.float64)) for values in (paid, added)]
        agreement.append(float(np.corrcoef(centred[0], centred[1])[0, 1]) if np.ptp(paid) and np.ptp(added) else 0.0)
        covered.append(float(score.mean()))
        return columns

    policy = TinyPolicy(attributes.VOCABULARY, seed)
    reinforce(policy, attributes.prompts, components, view, seed, updates=120, length=attributes.LENGTH)
    asked = attributes.prompts(np.random.default_rng(10_000 + seed), 256)
    found = write(policy, asked, 2, attributes.LENGTH, torch.Generator().manual_seed(seed))
    return {
        "goal": float(attributes.coverage(found).mean()),
        "goal on the way": float(np.mean(covered)),
        "rank correlation": float(np.mean(agreement[:40])),
    }


def _tells_and_teaches(found: Found) -> bool:
    """Attribution agrees better with what words add than the others do, and teaches faster."""
    others = ("spread evenly", "last utterance")
    return all(
        found.above("attribution", other, measure)
        for other in others
        for measure in ("rank correlation", "goal on the way", "goal")
    )


SOTOPIA = Check(
    row=173,
    name="utterance-attribution-reward",
    claim="A score spread by a rater's attribution agrees better with what utterances have added than one spread "
    "evenly or put on the last, and gives a higher goal score on the way and at the end.",
    arms={
        "spread evenly": lambda seed: spread(seed, "uniform"),
        "last utterance": lambda seed: spread(seed, "last"),
        "attribution": lambda seed: spread(seed, "sotopia_rl"),
    },
    holds=_tells_and_teaches,
    units={"goal": "coverage", "goal on the way": "coverage", "rank correlation": "Spearman"},
)
