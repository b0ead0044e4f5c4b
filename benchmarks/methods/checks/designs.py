"""Check of predictors as rewards: strings that are to bind receptors, by a generator that was not told how."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.language import END, TinyPolicy, Writing, imitate, reinforce, write
from benchmarks.methods.worlds.scores import grpo
from rewards.columns import Column
from rewards.evaluation.unseen_contexts import unseen_contexts
from rewards.sources.predictors import predicted_design

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

POCKETS, KINDS = 4, 4
"""Pockets of a receptor, and kinds of them; the atom of a pocket's kind binds in it."""
STICKY, OPEN, CLOSE = KINDS + 1, KINDS + 2, KINDS + 3
"""The atom that binds a little everywhere, and is toxic; brackets."""
RECEPTOR = CLOSE + 1
"""Token of a pocket of the first kind."""
VOCABULARY, LENGTH = RECEPTOR + KINDS, 8
STICKS = 0.7
BINDS = 0.7
"""Affinity above which a string is a binder: three of four atoms in place, or four of five."""
TARGETS, UNSEEN, SAMPLES = 41, 10, 64
"""Receptors, how many of them are left out of training, and strings that are made for each of those."""
MANY, FEW = 4000, 150
"""Strings that predictors are taught with."""


def molecules(random: np.random.Generator, number: int) -> Ints:
    """Valid strings, for no receptor in particular `[n, LENGTH]`: four to six atoms, some of them in brackets."""
    found = np.full((number, LENGTH), END)
    for row in found:
        atoms = np.where(
            random.random(size := random.integers(4, 7)) < 0.1, STICKY, random.integers(1, 1 + KINDS, size)
        )
        if random.random() < 0.5:
            first = random.integers(0, size)
            atoms = np.insert(atoms, [first, random.integers(first + 1, size + 1)], [OPEN, CLOSE])
        row[: len(atoms)] = atoms
    return found


def valid(strings: Ints) -> Bools:
    """Which strings have an atom, nothing but atoms and brackets, and brackets that close in order `[n]`."""
    depth = ((strings == OPEN).astype(np.int64) - (strings == CLOSE)).cumsum(1)
    empty = ((strings[:, :-1] == OPEN) & (strings[:, 1:] == CLOSE)).any(1)
    known = (strings <= CLOSE).all(1) & ((strings != END) & (strings <= STICKY)).any(1)
    found: Bools = known & (depth >= 0).all(1) & (depth[:, -1] == 0) & ~empty
    return found


def counts(tokens: Ints) -> Floats:
    """How often each token is there `[n, VOCABULARY]`."""
    found: Floats = np.eye(VOCABULARY)[tokens].sum(1)
    return found


def affinity(receptors: Ints, strings: Ints) -> Floats:
    """True affinity `[n]`: what the atoms are worth in pockets, over the pockets, or over the atoms if these are more.

    An atom is worth 1 in a pocket of its kind; in pockets that are left, sticky atoms are worth STICKS.
    """
    atoms, pockets = counts(strings), counts(receptors)[:, RECEPTOR:]
    bound = np.minimum(atoms[:, 1 : 1 + KINDS], pockets).sum(1)
    stuck = np.minimum(atoms[:, STICKY], POCKETS - bound)
    found: Floats = (bound + STICKS * stuck) / np.maximum(POCKETS, atoms[:, 1 : 1 + STICKY].sum(1))
    return found


def assays(strings: Ints) -> Floats:
    """True results of two assays, 1 where positive `[n, 2]`: a sticky atom, and three or more of another kind."""
    atoms = counts(strings)
    return np.stack([atoms[:, STICKY] > 0, (atoms[:, 1 : 1 + KINDS] > 2).any(1)], 1).astype(np.float64)


class Predictor(nn.Module):
    """Chances of what is measured on strings, alone or against receptors, from how often each token is there."""

    def __init__(self, outputs: int, hidden: int = 64) -> None:
        """Random weights, by torch's own generator."""
        super().__init__()
        self.body = nn.Sequential(nn.Linear(2 * VOCABULARY, hidden), nn.ReLU(), nn.Linear(hidden, outputs))

    def forward(self, read: Tensor) -> Tensor:
        """Chances `[n, outputs]` of what was `read` `[n, 2 · VOCABULARY]`."""
        found: Tensor = self.body(read).sigmoid()
        return found


def read(strings: Ints, receptors: Ints | None = None) -> Tensor:
    """What a predictor reads of strings `[n, LENGTH]` against receptors `[n, POCKETS]`, or against none."""
    against = np.zeros((len(strings), VOCABULARY)) if receptors is None else counts(receptors)
    return torch.as_tensor(np.concatenate([counts(strings), against], 1), dtype=torch.float32)


def taught(inputs: Tensor, measured: Floats, steps: int = 400) -> Predictor:
    """A predictor of measurements `[n, outputs]`, taught in batches of 256."""
    predictor = Predictor(measured.shape[1])
    optimiser = torch.optim.Adam(predictor.parameters(), 5e-3)
    wanted = torch.as_tensor(measured, dtype=torch.float32)
    for _ in range(steps):
        rows = torch.randint(len(wanted), (256,))
        optimiser.zero_grad()
        nn.functional.binary_cross_entropy(predictor(inputs[rows]), wanted[rows]).backward()
        optimiser.step()
    return predictor


class Lab:
    """Receptors, predictors of what was measured on others, and a generator that knows strings, and no receptor."""

    def __init__(self, seed: int) -> None:
        """All from `seed`."""
        random = np.random.default_rng(seed)
        receptors = RECEPTOR + np.stack(np.unravel_index(random.permutation(KINDS**POCKETS), (KINDS,) * POCKETS), 1)
        self.unseen, self.seen, others = np.split(receptors, [UNSEEN, TARGETS])
        torch.manual_seed(seed)
        self._predictors = {}
        for measured in (MANY, FEW):
            tried, against = molecules(random, measured), others[random.integers(0, len(others), measured)]
            noisy = np.clip(affinity(against, tried) + random.normal(0, 0.1, measured), 0, 1)
            self._predictors[measured] = (
                taught(read(tried, against), noisy[:, None]),
                taught(read(tried), assays(tried)),
            )
        self.known = molecules(random, 512)
        self.generator = TinyPolicy(VOCABULARY, seed)
        imitate(self.generator, self.seen[random.integers(0, len(self.seen), len(self.known))], self.known, 100)

    @torch.no_grad()
    def predicted(self, receptors: Ints, strings: Ints, measured: int) -> tuple[Floats, Floats]:
        """Affinity `[n]` and assays `[n, 2]`, by predictors that were taught with so many measurements."""
        bound, positive = self._predictors[measured]
        return (
            bound(read(strings, receptors))[:, 0].double().numpy(),
            positive(read(strings)).double().numpy(),
        )


@cache
def lab(seed: int) -> Lab:
    """The same for all arms of a seed."""
    return Lab(seed)


def designed(seed: int, measured: int, weight: float = 0.5, updates: int = 100) -> Mapping[str, float]:
    """What a generator makes for receptors that it was not trained on; binders are by the predictors that paid it.

    Args:
        seed: of everything.
        measured: strings that the predictors were taught with; 0: they pay what is true, and MANY judge.
        weight: of each risk.
        updates: of the policy gradient; 0 leaves the generator untuned.
    """
    here = lab(seed)
    policy = TinyPolicy(VOCABULARY, seed)
    policy.load_state_dict(here.generator.state_dict())

    def prompts(random: np.random.Generator, number: int) -> Ints:
        return here.seen[random.integers(0, len(here.seen), number)]

    def judged(writing: Writing) -> Mapping[str, Column]:
        asked, made = writing.prompts, writing.completions
        bound, positive = here.predicted(asked, made, measured) if measured else (affinity(asked, made), assays(made))
        risks = {"sticky": positive[:, :1], "crowded": positive[:, 1:]}
        found = predicted_design(bound, risks, dict.fromkeys(risks, weight))
        return {"score": Column.full(np.where(valid(made), found, 0.0))}

    def tried(who: TinyPolicy, draw: int) -> tuple[Writing, Bools, Floats]:
        writing = write(who, here.unseen, SAMPLES, LENGTH, torch.Generator().manual_seed(draw))
        fine = valid(writing.completions)
        bound, _ = here.predicted(writing.prompts, writing.completions, measured or MANY)
        return writing, fine, np.where(fine, bound, np.nan).reshape(UNSEEN, SAMPLES)

    reinforce(policy, prompts, judged, grpo(), seed, updates, length=LENGTH)
    _, _, before = tried(here.generator, 5000 + seed)
    writing, fine, after = tried(policy, 6000 + seed)
    asked, made = writing.prompts[fine], writing.completions[fine]
    found = unseen_contexts(before, after, BINDS)
    return {
        "receptors raised": found.raised.value or 0.0,
        "predicted binders": float(np.nanmean(found.after)),
        "true binders": float((affinity(asked, made) > BINDS).mean()),
        "toxic": float(assays(made).any(1).mean()),
        "valid": float(fine.mean()),
        "novel": float((~(made[:, None] == here.known[None]).all(2).any(1)).mean()),
    }


def _unseen_receptors_are_bound(found: Found) -> bool:
    both, few, untuned = "affinity and risks", "the same, few measurements", "untuned generator"
    return (
        found.interval(both, "receptors raised")[0] > 0.5
        and found.above(both, untuned, "true binders")
        and found.below(both, "affinity alone", "toxic")
        and found.interval(few, "predicted binders")[0] > found.interval(few, "true binders")[1]
    )


PACCMANN = Check(
    row=196,
    name="predictor-rewarded-conditional-generator",
    claim="Rewarded by predictors, a generator makes more strings of high predicted affinity than untuned for most "
    "receptors that it was not trained on, and more strings that truly bind; with risks in the reward fewer are toxic. "
    "Predictors taught with few measurements find binders where there are none.",
    arms={
        "untuned generator": lambda seed: designed(seed, MANY, updates=0),
        "affinity alone": lambda seed: designed(seed, MANY, weight=0.0),
        "affinity and risks": lambda seed: designed(seed, MANY),
        "the same, few measurements": lambda seed: designed(seed, FEW),
        "true affinity and risks": lambda seed: designed(seed, 0),
    },
    holds=_unseen_receptors_are_bound,
    units={
        "receptors raised": "share of unseen receptors",
        "predicted binders": "share of valid strings",
        "true binders": "share of valid strings",
        "toxic": "share of valid strings",
        "valid": "share of strings",
        "novel": "share of valid strings",
    },
)
