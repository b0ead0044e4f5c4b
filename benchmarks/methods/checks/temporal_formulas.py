"""Check of reward models of several aspects: sentences of a template, written as formulas of temporal logic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache, partial
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.language import END, TinyPolicy, Writing, imitate, reinforce, write
from benchmarks.methods.worlds.scores import grpo
from pipelines.results import figure
from rewards.columns import Column
from rewards.data.formula_edits import PROPOSITION, SYMBOL, edited, places, redundant
from rewards.models.multi_aspect import AspectPairs, MultiAspect
from rewards.sources.formula_aspects import aspects
from rewards.verifiers.robustness import agreement
from rewards.verifiers.temporal_logic import Formula, Operator

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

NAMES, MOST = ("x", "y", "z"), 4
"""Signals, and the largest number there is."""
SIGNS: tuple[Operator, ...] = ("G", "F", "!", "&", ">", "<")
NAME = 1 + len(SIGNS)
NUMBER = NAME + len(NAMES)
WORD = NUMBER + MOST + 1
"""Tokens of the first signal, of 0, and of the first word; signs begin with 1."""
WORDS = ("always", "throughout", "eventually", "at some time", "above", "below")
VOCABULARY, LENGTH = WORD + len(WORDS), 13
PROPOSITIONS, MEANING, SUCCINCTNESS, SYMBOLS = ASPECTS = "propositions", "meaning", "succinctness", "symbols"
TOLD, UNORDERED = "single edits told", "the same, taught in any order"
PAIRS, SHOWN, ASKED = 400, 300, 300
"""Pairs that teach an aspect, sentences with a formula to imitate, and new sentences in the end."""


def meant() -> list[Formula]:
    """All that sentences can mean: one comparison, always or at some time of an interval."""
    steps = [(first, last) for first, last in product(range(MOST + 1), repeat=2) if first <= last]
    signs: tuple[tuple[Operator, ...], tuple[Operator, ...]] = (("G", "F"), (">", "<"))
    return [
        Formula(timed, (Formula(direction, name=name, bound=float(bound)),), interval)
        for timed, interval, name, direction, bound in product(signs[0], steps, NAMES, signs[1], range(MOST + 1))
    ]


def sentence(formula: Formula, random: np.random.Generator) -> list[int]:
    """What is meant in words, by a template; always and at some time have two words each."""
    (comparison,) = formula.of
    when = [WORD + 2 * (formula.operator == "F") + int(random.integers(2)), *(NUMBER + s for s in formula.interval)]
    what = [
        NAME + NAMES.index(comparison.name),
        WORD + 4 + (comparison.operator == "<"),
        NUMBER + int(comparison.bound),
    ]
    return when + what


def tokens(formula: Formula) -> list[int]:
    """A formula as tokens, operators before what they join."""
    sign = [1 + SIGNS.index(formula.operator)]
    if not formula.of:
        return [*sign, NAME + NAMES.index(formula.name), NUMBER + int(formula.bound)]
    timed = [NUMBER + step for step in formula.interval] if formula.operator in "GF" else []
    return sign + timed + [token for part in formula.of for token in tokens(part)]


@lru_cache(maxsize=100_000)
def formula_of(written: tuple[int, ...]) -> Formula | None:
    """The formula that tokens up to END are, if they are one."""
    rest = list(written[: written.index(END)] if END in written else written)[::-1]

    def number() -> int:
        found = rest.pop() - NUMBER
        if not 0 <= found <= MOST:
            raise IndexError
        return found

    def walked() -> Formula:
        sign = SIGNS[rest.pop() - 1]
        if sign in "><":
            return Formula(sign, name=NAMES[rest.pop() - NAME], bound=float(number()))
        interval = (number(), number()) if sign in "GF" else (0, 0)
        if interval[0] > interval[1]:
            raise IndexError
        return Formula(sign, tuple(walked() for _ in range(2 if sign == "&" else 1)), interval)

    try:
        found = walked()
    except IndexError:
        return None
    return None if rest else found


def _hot(values: Sequence[int], size: int) -> list[float]:
    """How often each of 0 to size − 1 is among values, as shares."""
    return [values.count(value) / max(len(values), 1) for value in range(size)]


@lru_cache(maxsize=100_000)
def parts(formula: Formula) -> tuple[list[float], list[float], list[float]]:
    """What reward models read of a formula: of its comparisons, of its operators, and of its length."""
    nodes = list(formula.nodes())
    leaves, timed = [node for node in nodes if not node.of], [node for node in nodes if node.operator in "GF"]
    signs = [node.operator for node in nodes]
    compared = [
        *_hot([NAMES.index(node.name) for node in leaves], len(NAMES)),
        *_hot([int(node.operator == "<") for node in leaves], 2),
        *_hot([int(node.bound) for node in leaves], MOST + 1),
    ]
    joined = [
        *_hot([int(node.operator == "F") for node in timed], 2),
        *_hot([node.interval[0] for node in timed], MOST + 1),
        *_hot([node.interval[1] for node in timed], MOST + 1),
        float(signs.count("!") % 2),
    ]
    return compared, joined, [len(nodes) / 4, float(signs.count("!")), float(signs.count("&"))]


def read(aspect: str, formulas: Sequence[Formula], references: Sequence[Formula]) -> Tensor:
    """What the model of an aspect reads of formulas beside what was meant `[n, d]`."""
    rows = []
    for formula, reference in zip(formulas, references, strict=True):
        (compared, joined, length), (wanted, operators, _) = parts(formula), parts(reference)
        rows.append(
            {
                PROPOSITIONS: compared + wanted,
                MEANING: compared + joined + wanted + operators,
                SUCCINCTNESS: length,
                SYMBOLS: joined + length[1:] + operators,
            }[aspect]
        )
    return torch.tensor(rows)


def pairs(aspect: str, random: np.random.Generator, number: int, edits: Sequence[int]) -> AspectPairs:
    """What was meant beside what was made worse in one aspect; the fewer edits, the harder.

    Some pairs are written at greater length on both sides, which is of no matter to the aspects but one.
    """
    known = meant()
    references = [known[int(random.integers(len(known)))] for _ in range(number)]
    made = random.choice(edits, number)
    better, worse = [], []
    for reference, times in zip(references, made, strict=True):
        if aspect == SUCCINCTNESS:
            good, bad = reference, redundant(reference, int(times), random)
        else:
            kinds = {PROPOSITIONS: PROPOSITION, SYMBOLS: SYMBOL, MEANING: PROPOSITION + SYMBOL}[aspect]
            at = places(reference, kinds)
            drawn = [at[place] for place in random.permutation(len(at))[:times]]
            good, bad = reference, edited(reference, drawn, random, NAMES, MOST)
            if random.random() < 0.3:
                draw = int(random.integers(1000))  # the same place in both
                good, bad = (redundant(one, 1, np.random.default_rng(draw)) for one in (good, bad))
        better.append(good)
        worse.append(bad)
    return AspectPairs(read(aspect, better, references), read(aspect, worse, references), -made)


def models(seed: int, first: float) -> MultiAspect:
    """Reward models, taught from easy to hard, or in any order where the first share is all."""
    found = MultiAspect({aspect: read(aspect, meant()[:1], meant()[:1]).shape[1] for aspect in ASPECTS}, seed=seed)
    for aspect in ASPECTS:
        random = np.random.default_rng([seed, ASPECTS.index(aspect)])
        found.teach(aspect, pairs(aspect, random, PAIRS, (1, 2, 3)), steps=200, seed=seed, first=first)
    return found


@torch.no_grad()
def told_apart(found: MultiAspect, seed: int) -> float:
    """Share of new pairs with a single edit that are told apart, on average over aspects."""
    shares = []
    for aspect, head in found.heads.items():
        new = pairs(aspect, np.random.default_rng([8000 + seed, ASPECTS.index(aspect)]), 500, (1,))
        shares.append(float((head(new.better) > head(new.worse)).float().mean()))
    return float(np.mean(shares))


def compared(formulas: Sequence[Formula | None], wanted: Sequence[Formula], seed: int) -> dict[str, float]:
    """How near formulas are to what was meant, on average; what is no formula is near to nothing."""
    random = np.random.default_rng(seed)
    signals = {name: random.uniform(-0.5, MOST + 0.5, (64, 4 * LENGTH)) for name in NAMES}
    names = ("exact", MEANING, PROPOSITIONS, SYMBOLS, SUCCINCTNESS)
    found = np.zeros((len(wanted), len(names)))
    for row, formula, reference in zip(found, formulas, wanted, strict=True):
        if formula is not None:
            row[:] = (formula == reference, agreement(formula, reference, signals), *aspects(formula, reference))
    return dict(zip(names, found.mean(0).tolist(), strict=True))


class Lab:
    """Sentences, a policy that imitated formulas half of which are wrong or long, and reward models."""

    def __init__(self, seed: int) -> None:
        """All from `seed`."""
        random = np.random.default_rng(seed)
        every = [meant()[place] for place in random.permutation(len(meant()))]
        self.shown, self.asked = every[:SHOWN], every[SHOWN : SHOWN + ASKED]
        self.sentences = {formula: sentence(formula, random) for formula in every}
        written = np.full((SHOWN, LENGTH), END)
        for row, formula in zip(written, self.shown, strict=True):
            kind = random.random()
            if kind < 0.25:
                at = places(formula)
                formula = edited(formula, [at[int(random.integers(len(at)))]], random, NAMES, MOST)
            elif kind < 0.5:
                formula = redundant(formula, 1, random)
            row[: len(tokens(formula))] = tokens(formula)
        self.policy = TinyPolicy(VOCABULARY, seed, hidden=64)
        imitate(self.policy, np.array([self.sentences[one] for one in self.shown]), written, 150)
        self.models = models(seed, 0.1)
        self.told = {TOLD: told_apart(self.models, seed), UNORDERED: told_apart(models(seed, 1.0), seed)}
        self.meant = {tuple(words): formula for formula, words in self.sentences.items()}


@cache
def lab(seed: int) -> Lab:
    """The same for all arms of a seed."""
    return Lab(seed)


def written(seed: int, left_out: str | None = None, updates: int = 90) -> Mapping[str, float]:
    """How good formulas for new sentences are.

    Args:
        seed: of everything.
        left_out: an aspect that is not paid.
        updates: of the policy gradient; 0 is imitation alone.
    """
    here = lab(seed)
    policy = TinyPolicy(VOCABULARY, seed, hidden=64)
    policy.load_state_dict(here.policy.state_dict())
    judge = here.models
    judge.weights = {aspect: float(aspect != left_out) for aspect in ASPECTS}

    def prompts(random: np.random.Generator, number: int) -> Ints:
        return np.array([here.sentences[here.shown[int(place)]] for place in random.integers(0, SHOWN, number)])

    def of(writing: Writing) -> tuple[list[Formula | None], list[Formula]]:
        formulas = [formula_of(tuple(row)) for row in writing.completions.tolist()]
        return formulas, [here.meant[tuple(row)] for row in writing.prompts.tolist()]

    def judged(writing: Writing) -> Mapping[str, Column]:
        formulas, wanted = of(writing)
        sound = np.array([formula is not None for formula in formulas])
        paid = np.zeros(len(formulas))
        if sound.any():
            both = [(one, other) for one, other in zip(formulas, wanted, strict=True) if one is not None]
            one, other = [pair[0] for pair in both], [pair[1] for pair in both]
            paid[sound] = judge({aspect: read(aspect, one, other) for aspect in ASPECTS}).numpy()
        return {"score": Column.full(paid)}

    reinforce(policy, prompts, judged, grpo(), seed, updates, length=LENGTH)
    asked = np.array([here.sentences[formula] for formula in here.asked])
    formulas, wanted = of(write(policy, asked, 1, LENGTH, torch.Generator().manual_seed(seed)))
    return {**compared(formulas, wanted, 7000 + seed), **here.told}


def _each_for_its_own(found: Found) -> bool:
    four = found.values["all four"]
    apart = figure(np.subtract(four[TOLD], four[UNORDERED]).tolist(), "share of pairs")
    return (
        found.above("all four", "imitation", "exact")
        and found.above("all four", "imitation", MEANING)
        and all(found.above("all four", f"without {aspect}", aspect) for aspect in ASPECTS)
        and (apart.low or 0.0) > 0
    )


RESTL = Check(
    row=226,
    name="multi-aspect-curriculum-rm",
    claim="Rewarded by models of four aspects, formulas for new sentences are more often exactly right than by "
    "imitation, and agree with what was meant on more signals; without the model of any aspect they are worse in that "
    "aspect; and models taught from easy to hard tell more single edits than those taught in any order.",
    arms={
        "imitation": lambda seed: written(seed, updates=0),
        "all four": lambda seed: written(seed),
        **{f"without {aspect}": partial(written, left_out=aspect) for aspect in ASPECTS},
    },
    holds=_each_for_its_own,
    seeds=3,
    units={
        "exact": "share of sentences",
        MEANING: "share of signals",
        PROPOSITIONS: "F1",
        SYMBOLS: "F1",
        SUCCINCTNESS: "share",
        TOLD: "share of pairs",
        UNORDERED: "share of pairs",
    },
)
