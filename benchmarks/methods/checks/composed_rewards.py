"""Check of who composes rewards: formulas over four primitive rewards, one of which misleads, train policies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import cache, partial
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.forms import Field, Form, trained
from benchmarks.methods.worlds.language import END, TinyPolicy, Writing, imitate, reinforce
from benchmarks.methods.worlds.menu import softmax, view
from rewards.columns import Column
from rewards.formulas import BadFormula, Formula, read
from rewards.sources.composition import Trained, composition_rewards

Ints = NDArray[np.int64]
Tokens = tuple[str, ...]
PRIMITIVES = ("right", "form", "step", "popular")
NAMES = ("g1", "g2", "g3", "g4")
OPERATORS, NUMBERS = ("+", "-", "*", "/"), ("0.1", "0.5", "1", "2")
WORDS = ("", "formula:", *NAMES, *NUMBERS, *OPERATORS, "(", ")")
"""What the generator may write; the first is END, the second the prompt."""
LENGTH, ROUNDS, FORMULAS, LATE = 15, 20, 8, 5
PROMPTS, STEPS, ANSWERS = 8, 6, 6


def inner(seed: int, formula: Formula, start: None) -> Trained[None]:
    """How often a policy is right after a short training by a formula.

    It fills in a form, a step and an answer, and is right where all three are; by chance one in 72 is. The popular
    answer is the same to all prompts, and never right.
    """
    random = np.random.default_rng(seed)
    step, answer = random.integers(0, STEPS, PROMPTS), random.integers(1, ANSWERS, PROMPTS)

    def judged(prompt: Ints, forms: Ints, random: np.random.Generator) -> Mapping[str, Column]:
        formed, stepped = forms[:, 0] == 1, forms[:, 1] == step[prompt]
        right = formed & stepped & (forms[:, 2] == answer[prompt])
        return dict(zip(PRIMITIVES, map(Column.full, (right, formed, stepped, forms[:, 2] == 0)), strict=True))

    form = Form(
        [
            Field(2, PROMPTS),
            Field(STEPS, PROMPTS),
            Field(ANSWERS, PROMPTS * STEPS, lambda prompt, filled: prompt * STEPS + filled[:, 1]),
        ]
    )
    reward = view(
        dict.fromkeys(PRIMITIVES, "episode"),
        {"part": "expression", "preset": "derl", "of": PRIMITIVES, "formula": formula.text},
        {"part": "group_relative", "preset": "grpo", "of": "reward"},
    )
    trained(form, PROMPTS, judged, reward, seed, updates=30, rate=4.0)
    every = np.arange(PROMPTS)
    chances = [
        softmax(form.logits[0])[every, 1],
        softmax(form.logits[1])[every, step],
        softmax(form.logits[2])[every * STEPS + step, answer],
    ]
    return Trained(float(np.prod(chances, 0).mean()), start)


def first(random: np.random.Generator) -> Tokens:
    """A formula as a generator is taught to write them: up to four weighted names, some in parentheses."""
    terms = list[Tokens]()
    for name in random.permutation(NAMES)[: random.integers(1, 5)]:
        weighted = random.random() < 0.4
        terms.append((str(random.choice(NUMBERS)), "*", str(name)) if weighted else (str(name),))
    found = terms[0]
    for term in terms[1:]:
        operator = str(random.choice(OPERATORS, p=(0.5, 0.2, 0.2, 0.1)))
        joined = (*found, operator, *term)
        found = ("(", *joined, ")") if random.random() < 0.2 else joined
    return found if len(found) < LENGTH else first(random)


@cache
def taught(seed: int) -> TinyPolicy:
    """A generator that writes such formulas."""
    random, policy = np.random.default_rng(seed), TinyPolicy(len(WORDS), seed)
    examples = np.full((256, LENGTH), END)
    for row in examples:
        tokens = first(random)
        row[: len(tokens)] = [WORDS.index(token) for token in tokens]
    imitate(policy, np.ones((len(examples), 1), np.int64), examples, 200)
    return policy


class Record:
    """Inner runs, round by round."""

    def __init__(self, seed: int) -> None:
        """None yet."""
        self.seed, self.rounds = seed, list[tuple[list[Tokens], Column]]()

    def judged(self, written: Sequence[Tokens]) -> Column:
        """What the formulas of a round are worth; each inner run has a seed of its own."""
        seeds = iter(range(10_000 * self.seed + FORMULAS * len(self.rounds), 10_000 * (self.seed + 1)))
        texts = [" ".join(tokens) for tokens in written]
        rewards = composition_rewards(texts, NAMES, lambda formula, start: inner(next(seeds), formula, start), None)
        self.rounds.append((list(written), rewards.rewards))
        return rewards.rewards

    def measured(self) -> Mapping[str, float]:
        """What came of them at first and at last."""

        def of(rounds: Sequence[tuple[list[Tokens], Column]], when: str) -> Mapping[str, float]:
            values = np.stack([rewards.values for _, rewards in rounds])
            read_ones = values >= 0
            pulls = [pull(tokens) for written, _ in rounds for tokens in written]
            return {
                f"mean validation, {when}": float(values[read_ones].mean()),
                f"best validation, {when}": float(values.max(1).mean()),
                f"pays the misleading one, {when}": float(np.nanmean(pulls)),
                f"no formula, {when}": float(1 - read_ones.mean()),
            }

        return {**of(self.rounds[:LATE], "first"), **of(self.rounds[-LATE:], "last")}


CORNERS = np.array(list(product((1e-6, 1 + 1e-6), repeat=len(NAMES)))).T


def pull(tokens: Tokens) -> float:
    """How often the misleading reward raises a formula less how often it lowers it, all else alike; NaN: no formula."""
    try:
        found = read(" ".join(tokens), NAMES)(dict(zip(NAMES, CORNERS, strict=True)))
    except BadFormula:
        return float("nan")
    return float(np.sign(found[1::2] - found[::2]).mean())  # the last name is the misleading one


def words(completion: Ints) -> Tokens:
    """What was written, up to its end."""
    return tuple(WORDS[token] for token in completion if token != END)


def learning(record: Record, rate: float) -> None:
    """The outer policy gradient; with a rate of 0 a search by chance."""

    def components(writing: Writing) -> Mapping[str, Column]:
        return {"validation": record.judged([words(row) for row in writing.completions])}

    reinforce(
        deepcopy(taught(record.seed)),
        lambda random, number: np.ones((number, 1), np.int64),
        components,
        view(
            {"validation": "episode"},
            {"part": "weighted_sum", "coefficients": {"validation": 1.0}},
            {"part": "group_relative", "preset": "grpo", "of": "reward"},
        ),
        record.seed,
        updates=ROUNDS,
        groups=1,
        members=FORMULAS,
        length=LENGTH,
        rate=rate,
        steps=4,
    )


ATOMS = NAMES + NUMBERS


def mutated(tokens: Tokens, random: np.random.Generator) -> Tokens:
    """Another of its kind for a token, or an operator with what it is about more or less; nearly always a formula."""
    atoms, operators = ([k for k, token in enumerate(tokens) if token in kind] for kind in (ATOMS, OPERATORS))
    ends = [k for k in operators if tokens[k + 1] in ATOMS]
    drawn = random.random()
    if drawn < 0.25 and len(tokens) + 2 <= LENGTH:
        place = int(random.choice(atoms)) + 1
        return (*tokens[:place], str(random.choice(OPERATORS)), str(random.choice(ATOMS)), *tokens[place:])
    if drawn < 0.5 and ends:
        place = int(random.choice(ends))
        return (*tokens[:place], *tokens[place + 2 :])
    place = int(random.choice(atoms + operators))
    return (*tokens[:place], str(random.choice(OPERATORS if place in operators else ATOMS)), *tokens[place + 1 :])


def evolution(record: Record, parents: int = 4) -> None:
    """Mutations of the best formulas so far; the first are the generator's."""
    random, generator = np.random.default_rng(record.seed), torch.Generator().manual_seed(record.seed)
    completions = taught(record.seed).write(torch.ones(FORMULAS, 1).long(), LENGTH, generator)
    written, alive = [words(row) for row in completions.numpy()], list[tuple[float, Tokens]]()
    for _ in range(ROUNDS):
        tried = zip(record.judged(written).values.tolist(), written, strict=True)
        alive = sorted([*alive, *(one for one in tried if one[0] >= 0)], reverse=True)[:parents]
        written = [mutated(alive[random.integers(len(alive))][1], random) for _ in range(FORMULAS)]


def composed(seed: int, search: Callable[[Record], None]) -> Mapping[str, float]:
    """What a search for formulas comes to."""
    record = Record(seed)
    search(record)
    return record.measured()


OTHERS = ("random search", "evolution")


def _learns_to_compose(found: Found) -> bool:
    late = ("mean validation, last", "best validation, last")
    weight = [found.mean("DERL", f"pays the misleading one, {when}") for when in ("first", "last")]
    return all(found.above("DERL", other, name) for other in OTHERS for name in late) and weight[1] < weight[0]


DERL = Check(
    row=56,
    name="meta-reward-composition-rl",
    claim="With as many inner runs, formulas that a generator learns to write by policy gradient train better policies "
    "in the last 5 of 20 rounds, on average and at best, than formulas by chance and than mutations of the best; and "
    "they pay the primitive reward that misleads less often than at first.",
    arms={
        OTHERS[0]: partial(composed, search=partial(learning, rate=0.0)),
        OTHERS[1]: partial(composed, search=evolution),
        "DERL": partial(composed, search=partial(learning, rate=2e-3)),
    },
    holds=_learns_to_compose,
)
