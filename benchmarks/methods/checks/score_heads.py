"""Check of a score head on a language model, and of the three things that one reward model is good for.

It chooses among answers, it is the reward of policy gradient, and it tells which samples are not worth imitating.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds import attributes
from benchmarks.methods.worlds.language import END, TinyPolicy, imitate, mask_of, reinforce, write
from benchmarks.methods.worlds.scores import grpo
from learners.language.reward_losses import bradley_terry
from pipelines.results import figure
from rewards.columns import Column
from rewards.data.score_filter import lowest
from rewards.evaluation.accuracy import best_of_n

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Score = Callable[[Ints, Ints], Floats]
"""From prompts `[B, 1]` and completions `[B, T]`, `[B]`."""
By = Literal["score head", "likelihood", "chance"]
SAMPLES, CORRUPTED = 400, 0.2
"""Samples for imitation, and the share of them that is empty, of another topic, or padding."""


class ScoreHead(TinyPolicy):
    """A language model whose last state is scored, and no longer the next token."""

    def __init__(self, policy: TinyPolicy, seed: int) -> None:
        """The weights of a policy, and a new head."""
        super().__init__(policy.vocabulary, seed)
        self.load_state_dict(policy.state_dict())
        self.worth = nn.Linear(self.head.in_features, 1)

    def score(self, prompts: Tensor, completions: Tensor) -> Tensor:
        """Of completions `[B]`."""
        found: Tensor = self.worth(self.cell(self.embed(torch.cat([prompts, completions], 1)))[0][:, -1])
        return found[:, 0]


def answers(random: np.random.Generator, asked: Ints, covered: Ints, padded: Ints) -> Ints:
    """Completions with so many words of the topic and so many of padding, in any order `[n, LENGTH]`."""
    found = np.full((len(asked), attributes.LENGTH), END)
    for row, topic in enumerate((asked[:, 0] - 1) // attributes.WORDS):
        said = 1 + topic * attributes.WORDS + random.permutation(attributes.WORDS)[: covered[row]]
        filler = 1 + attributes.TOPICS * attributes.WORDS + random.integers(0, attributes.PADDING, padded[row])
        found[row, : len(said) + len(filler)] = random.permutation(np.concatenate([said, filler]))
    return found


@dataclass(frozen=True)
class Shared:
    """What all arms of a seed begin with.

    Attributes:
        reference: a policy that was taught with answers of all sorts.
        head: its score head, taught with preferences between its answers.
        asked: prompts of the samples for imitation.
        samples: completions, some of them corrupted.
        corrupted: which.
        imitator: the reference after it imitated all of them.
    """

    reference: TinyPolicy
    head: ScoreHead
    asked: Ints
    samples: Ints
    corrupted: NDArray[np.bool_]
    imitator: TinyPolicy


@cache
def shared(seed: int) -> Shared:
    """Teach a reference and its score head, and draw samples for imitation."""
    random, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    asked = attributes.prompts(random, 256)
    reference = TinyPolicy(attributes.VOCABULARY, seed)
    covered, padded = random.integers(0, 5, 256), random.integers(0, 6, 256)
    imitate(reference, asked, answers(random, asked, covered, padded), 120)
    pairs = write(reference, attributes.prompts(random, 512), 2, attributes.LENGTH, generator)
    worth = attributes.gold(pairs).reshape(-1, 2)
    first = random.random(len(worth)) < 1 / (1 + np.exp(-10.0 * (worth[:, 0] - worth[:, 1])))
    order = np.where(first[:, None], [0, 1], [1, 0])
    both = torch.as_tensor(np.take_along_axis(pairs.completions.reshape(len(worth), 2, -1), order[:, :, None], 1))
    prompts = torch.as_tensor(pairs.prompts[::2])
    head = ScoreHead(reference, seed)
    optimiser = torch.optim.Adam(head.parameters(), 3e-3)
    for _ in range(200):
        rows = torch.as_tensor(random.integers(0, len(worth), 64))
        scores = [head.score(prompts[rows], both[rows, side]) for side in (0, 1)]
        optimiser.zero_grad()
        bradley_terry(scores[0], scores[1]).mean().backward()
        optimiser.step()
    asked = attributes.prompts(random, SAMPLES)
    samples = answers(random, asked, random.integers(3, 5, SAMPLES), random.integers(0, 2, SAMPLES))
    corrupted = np.arange(SAMPLES) < CORRUPTED * SAMPLES
    fault = np.arange(SAMPLES) % 3
    samples[corrupted & (fault == 0)] = END
    elsewhere = 1 + (asked - 1 + attributes.WORDS) % (attributes.TOPICS * attributes.WORDS)
    for number, (of, words, filler) in enumerate(((elsewhere, 4, 0), (asked, 0, 5)), start=1):
        those = np.flatnonzero(corrupted & (fault == number))
        samples[those] = answers(random, of[those], np.full(len(those), words), np.full(len(those), filler))
    everything = copy.deepcopy(reference)
    imitate(everything, asked, samples, 80)
    return Shared(reference, head, asked, samples, corrupted, everything)


def scorer(by: By, begun: Shared, seed: int) -> Score:
    """Who says what a completion is worth."""
    random = np.random.default_rng(50_000 + seed)

    @torch.no_grad()
    def score(asked: Ints, said: Ints) -> Floats:
        prompts, completions = torch.as_tensor(asked), torch.as_tensor(said)
        if by == "chance":
            return random.normal(size=len(said))
        if by == "score head":
            return begun.head.score(prompts, completions).double().numpy()
        mask = mask_of(completions)
        logs = begun.reference.log_probs(prompts, completions)
        return ((logs * mask).sum(-1) / mask.sum(-1)).double().numpy()

    return score


def worth_of(policy: TinyPolicy, seed: int) -> float:
    """Mean worth of a policy's answers."""
    asked = attributes.prompts(np.random.default_rng(60_000 + seed), 256)
    found = write(policy, asked, 2, attributes.LENGTH, torch.Generator().manual_seed(seed))
    return float(attributes.gold(found).mean())


def used(seed: int, by: By) -> Mapping[str, float]:
    """All three uses of one scorer."""
    begun = shared(seed)
    score = scorer(by, begun, seed)
    asked = attributes.prompts(np.random.default_rng(70_000 + seed), 128)
    found = write(begun.reference, asked, 8, attributes.LENGTH, torch.Generator().manual_seed(70_000 + seed))
    scores, worth = score(found.prompts, found.completions).reshape(-1, 8), attributes.gold(found).reshape(-1, 8)
    trained = reinforce(
        copy.deepcopy(begun.reference),
        attributes.prompts,
        lambda w: {"score": Column.full(score(w.prompts, w.completions).astype(np.float32))},
        grpo(),
        seed,
        updates=60,
        length=attributes.LENGTH,
    )
    left_out = lowest(score(begun.asked, begun.samples), 0.1)
    imitator = copy.deepcopy(begun.reference)
    imitate(imitator, begun.asked[~left_out], begun.samples[~left_out], 80)
    return {
        **{f"best of {n}": best_of_n(scores.tolist(), worth.tolist(), n) or 0.0 for n in (1, 2, 4, 8)},
        "before": worth_of(begun.reference, seed),
        "after policy gradient": worth_of(trained, seed),
        "corrupted in the lowest decile": float(begun.corrupted[left_out].mean()),
        "after imitating the others": worth_of(imitator, seed),
        "after imitating all": worth_of(begun.imitator, seed),
    }


def _three_uses(found: Found) -> bool:
    """Choosing among more is better, learning is better than choosing one, and filtering finds what is corrupted."""

    def gain(one: str, other: str) -> bool:
        values = found.values["score head"]
        return (figure(np.subtract(values[one], values[other]).tolist(), "difference").low or 0.0) > 0

    more = all(gain(f"best of {2 * n}", f"best of {n}") for n in (1, 2, 4))
    precise = found.mean("score head", "corrupted in the lowest decile") >= 0.8
    return (
        more
        and precise
        and gain("after policy gradient", "before")
        and gain("after imitating the others", "after imitating all")
    )


IXC_REWARD = Check(
    row=177,
    name="score-head-bradley-terry",
    claim="With one score head taught by preferences the best of 2, 4 and 8 answers is worth the more, the more there "
    "are; policy gradient on its scores makes answers worth more; at least 80 % of the tenth that it scores lowest is "
    "corrupted; and imitation of the others makes answers worth more than imitation of all.",
    arms={
        "score head": lambda seed: used(seed, "score head"),
        "likelihood": lambda seed: used(seed, "likelihood"),
        "chance": lambda seed: used(seed, "chance"),
    },
    holds=_three_uses,
    units={"corrupted in the lowest decile": "share"},
)
