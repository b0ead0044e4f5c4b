"""Checks of rewards that compare with a reference: translation, instructions with slots, tasks of many kinds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found, Measured
from benchmarks.methods.worlds.language import END, TinyPolicy, Writing, imitate, reinforce, write
from benchmarks.methods.worlds.scores import grpo
from rewards.columns import Column
from rewards.functions import reward
from rewards.sources.metrics import bidirectional_similarity, mixed_metric
from rewards.sources.routing import STANDARD, routed
from rewards.verifiers.overlap import bleu
from rewards.verifiers.tags import tag_format

MEMBERS = 8
Ints = NDArray[np.int64]
Floats = NDArray[np.floating]


def seeded(seed: int) -> torch.Generator:
    """A generator of torch."""
    return torch.Generator().manual_seed(seed)


def words(tokens: Ints) -> str:
    """Tokens as text, up to END."""
    said = tokens.tolist()
    return " ".join(f"w{t}" for t in said[: said.index(END) if END in said else None])


# Translation: each source word has two words that mean the same, and the reference takes either.

SOURCE, SENTENCE = 6, 4
MEANING = 1 + SOURCE
"""First word of the target language: word s means the two from MEANING + 2 s on."""
THINK, THINK_END, OPEN, CLOSE = range(MEANING + 2 * SOURCE, MEANING + 2 * SOURCE + 4)
TAGS = {THINK: "<think>", THINK_END: "</think>", OPEN: "<translate>", CLOSE: "</translate>"}
FRAME = np.array([THINK, THINK_END, OPEN])


def sentences(random: np.random.Generator, number: int) -> Ints:
    """Source words `[n, SENTENCE]`."""
    return 1 + random.integers(0, SOURCE, (number, SENTENCE))


class References:
    """References of the sentences of a batch: drawn once for each source, by its words."""

    def __init__(self, seed: int) -> None:
        """References of a translator, from `seed`."""
        self.choice = np.random.default_rng(seed).integers(0, 2, (SOURCE,) * SENTENCE + (SENTENCE,))

    def of(self, source: Ints) -> Ints:
        """Target words of source words `[n, SENTENCE]`."""
        index = source - 1
        found: Ints = MEANING + 2 * index + self.choice[tuple(index.T)]
        return found


def translated(writing: Writing, references: References) -> tuple[NDArray[np.bool_], Floats, Floats, Floats]:
    """Format, lexical and semantic metric, and truth `[B]`.

    The semantic metric is the share of meanings that occur anywhere: it knows synonyms and is blind to order. In truth
    each place needs its meaning, in either word.
    """
    wanted = references.of(writing.prompts)
    formatted, lexical, semantic, truth = [], [], [], []
    for tokens, source, aim in zip(writing.completions, writing.prompts, wanted, strict=True):
        said = [t for t in tokens.tolist() if t != END]
        text = " ".join(TAGS.get(t, f"w{t}") for t in said)
        formatted.append(tag_format(text.replace("<think>", "<think>hm"), ("think", "translate")) == 1)
        inside = [t for t in said if t not in TAGS]
        meanings = [(t - MEANING) // 2 for t in inside]
        lexical.append(bleu(words(np.array(inside, np.int64)), words(aim)))
        semantic.append(len(set(meanings) & set((source - 1).tolist())) / len(set(source.tolist())))
        places = zip(meanings, (source - 1).tolist(), strict=False)
        truth.append(sum(a == b for a, b in places) / max(SENTENCE, len(inside)))
    return np.array(formatted), np.array(lexical), np.array(semantic), np.array(truth)


def translating(seed: int, metric: Literal["lexical", "semantic", "mixed"]) -> Measured:
    """Training a policy that knows the form and some words."""
    random, references = np.random.default_rng(1000 + seed), References(seed)
    asked = sentences(random, 256)
    said = references.of(asked)
    said = np.where(random.random(said.shape) < 0.5, random.integers(MEANING, THINK, said.shape), said)
    frame = np.tile(FRAME, (len(asked), 1))
    close = np.full((len(asked), 1), CLOSE)
    shown = np.concatenate([frame, said, close, np.full((len(asked), 1), END)], axis=1)
    policy = TinyPolicy(CLOSE + 1, seed)
    imitate(policy, asked, shown, 60)

    def components(writing: Writing) -> Mapping[str, Column]:
        formatted, lexical, semantic, _ = translated(writing, references)
        metrics = {"lexical": [lexical], "semantic": [semantic], "mixed": [lexical, semantic]}[metric]
        return {"score": Column.full(mixed_metric(formatted, *metrics))}

    reinforce(
        policy, sentences, components, grpo(), seed, updates=120, groups=12, members=MEMBERS, length=shown.shape[1]
    )
    tested = write(policy, sentences(np.random.default_rng(10_000 + seed), 128), 2, shown.shape[1], seeded(seed))
    formatted, lexical, semantic, truth = translated(tested, references)
    return {
        "lexical": float(lexical.mean()),
        "semantic": float(semantic.mean()),
        "both": float((lexical + semantic).mean()) / 2,
        "truth": float(truth.mean()),
        "format": float(formatted.mean()),
    }


MT_R1_ZERO = Check(
    row=1,
    name="rule-metric-mixed-reward",
    claim="Trained on the mixed metric, a translator has a higher mean of both metrics than trained on either alone, "
    "and trained on the semantic one, which is blind to order, it is best by that one and worse in truth than the mix.",
    arms={
        "lexical": lambda seed: translating(seed, "lexical"),
        "semantic": lambda seed: translating(seed, "semantic"),
        "mixed": lambda seed: translating(seed, "mixed"),
    },
    holds=lambda found: (
        found.above("mixed", "lexical", "both")
        and found.above("mixed", "semantic", "both")
        and found.mean("semantic", "semantic") >= found.mean("mixed", "semantic")
        and found.above("mixed", "semantic", "truth")
    ),
    seeds=3,
)


# Instructions: two slots in a sentence that may be put in four ways.

SLOTS, STYLES, CARRIERS = 5, 4, 3
SLOT, CARRIER = 1, 1 + 2 * SLOTS
"""First word of slots (the second slot has its own), and of carrier words (each style has its own)."""
INSTRUCTED = CARRIER + STYLES * CARRIERS
REPLY = CARRIERS + 3


def instructions(random: np.random.Generator, number: int) -> Ints:
    """Values of both slots `[n, 2]`."""
    found: Ints = SLOT + random.integers(0, SLOTS, (number, 2)) + np.array([0, SLOTS])
    return found


def reply(asked: Ints, style: Ints) -> Ints:
    """A right reply in a style: carrier, slot, carrier, slot, carrier, END; odd styles name the second slot first."""
    carriers = CARRIER + style[:, None] * CARRIERS + np.arange(CARRIERS)
    turned = np.where(style[:, None] % 2 == 1, asked[:, ::-1], asked)
    found = np.full((len(asked), REPLY), END)
    found[:, 0], found[:, 2], found[:, 4] = carriers.T
    found[:, 1], found[:, 3] = turned.T
    return found


def filled(prompts: Ints, completions: Ints) -> Floats:
    """Share of the slots whose value is in the reply, less the share of it that is the value of another `[B]`."""
    slots = (completions >= SLOT) & (completions < CARRIER)
    named = (completions[:, :, None] == prompts[:, None, :]).any(1).mean(-1)
    wrong = slots & ~(completions[:, :, None] == prompts[:, None, :]).any(-1)
    found: Floats = np.maximum(named - wrong.sum(-1) / 2, 0.0)
    return found


def instructed(seed: int, references: int, imitated: bool = False) -> Measured:
    """Training a policy that fills half of its slots, with BLEU or by imitation of the same references."""
    random = np.random.default_rng(1000 + seed)
    asked = instructions(random, 256)
    muddled = np.where(random.random(asked.shape) < 0.5, instructions(random, 256), asked)
    policy = TinyPolicy(INSTRUCTED, seed)
    imitate(policy, asked, reply(muddled, random.integers(0, STYLES, 256)), 80)

    def score(writing: Writing) -> Floats:
        texts = [
            [words(r) for r in reply(np.repeat(p[None], references, 0), np.arange(references))] for p in writing.prompts
        ]
        return np.array([bleu(words(c), t) for c, t in zip(writing.completions, texts, strict=True)])

    test = instructions(np.random.default_rng(10_000 + seed), 48)
    before = write(policy, test, MEMBERS, REPLY, seeded(seed))
    gold = filled(before.prompts, before.completions)
    updates = 100
    if imitated:
        rows = instructions(np.random.default_rng(seed), 64)
        rows = np.repeat(rows, references, axis=0)
        imitate(policy, rows, reply(rows, np.tile(np.arange(references), 64)), updates, rate=3e-3)
        with torch.no_grad():
            tokens = policy.log_probs(torch.as_tensor(before.prompts), torch.as_tensor(before.completions)).numpy()
        scores: Floats = (tokens * before.mask).sum(-1)
    else:
        scores = score(before)
        reinforce(
            policy, instructions, lambda w: {"score": Column.full(score(w))}, grpo(), seed, updates=updates, groups=8,
            members=MEMBERS, length=REPLY,
        )  # fmt: skip
    after = write(policy, test, MEMBERS, REPLY, seeded(seed))
    return {
        "pairs right": _agreement(scores, gold),
        "slots before": float(gold.mean()),
        "slots": float(filled(after.prompts, after.completions).mean()),
    }


def _agreement(scores: Floats, gold: Floats) -> float:
    one, other = np.triu_indices(MEMBERS, 1)
    found, wanted = scores.reshape(-1, MEMBERS), gold.reshape(-1, MEMBERS)
    product = (found[:, one] - found[:, other]) * (wanted[:, one] - wanted[:, other])
    return float((0.5 + 0.5 * np.sign(product))[wanted[:, one] != wanted[:, other]].mean())


BLEUBERI = Check(
    row=95,
    name="bleu-reference-reward",
    claim="BLEU puts more pairs of replies in order with four references than with one; trained on it with four, a "
    "policy fills its slots at most 0.05 less often than after imitating the same references.",
    arms={
        "1 reference": lambda seed: instructed(seed, 1),
        "2 references": lambda seed: instructed(seed, 2),
        "4 references": lambda seed: instructed(seed, 4),
        "imitation of 4": lambda seed: instructed(seed, 4, imitated=True),
    },
    holds=lambda found: (
        found.above("4 references", "1 reference", "pairs right")
        and (found.difference("4 references", "imitation of 4", "slots").low or 0.0) > -0.05
    ),
    seeds=3,
)


# Many kinds of task: a choice, a number, an interval, and a caption in open text.

KINDS = ("choice", "number", "box", "text")
DIGITS, SYNONYMS = 10, 2
KIND, DIGIT, MANY = 1, 5, 15 + 10
"""Tokens: four kinds, ten digits, and ten words that mean five things."""
WORD = DIGIT + DIGITS
ANSWER = 4
EMBEDDINGS = np.eye(5)[np.arange(10) // SYNONYMS] + 0.3 * np.eye(10, 5, k=-5) + 0.3 * np.eye(10, 5)
"""Of the words: those that mean the same lie close together."""


@reward(subject="episode")
def caption(completion: str, answer: list[int]) -> float:
    """How near the words of a caption lie to those of the reference."""
    said = [int(word) for word in completion.split() if word.isdigit() and int(word) < len(EMBEDDINGS)]
    return max(bidirectional_similarity(EMBEDDINGS[said].reshape(-1, 5), EMBEDDINGS[answer]), 0.0)


ROUTES = {**STANDARD, "text": caption}


def tasks(random: np.random.Generator, number: int) -> Ints:
    """A kind and two digits `[n, 3]`."""
    return np.concatenate(
        [KIND + random.integers(0, 4, (number, 1)), DIGIT + random.integers(0, DIGITS, (number, 2))], axis=1
    )


def answer_of(prompt: Ints) -> object:
    """What is right: a letter, a number of two digits, an interval, or words."""
    a, b = (prompt[1:] - DIGIT).tolist()
    return {
        "choice": "ABCD"[(a + b) % 4],
        "number": 10.0 * (a % 9 + 1) + b,
        "box": [min(a, 6), min(a, 6) + 3],
        "text": [a, b],
    }[KINDS[prompt[0] - KIND]]


def said(prompt: Ints, completion: Ints) -> str:
    """A completion as text, as its kind is written."""
    tokens = [t for t in completion.tolist() if t != END]
    kind = KINDS[prompt[0] - KIND]
    if kind == "text":
        return " ".join(str(t - WORD) for t in tokens if t >= WORD)
    digits = [t - DIGIT for t in tokens if DIGIT <= t < WORD]
    if len(digits) != len(tokens) or not tokens:
        return "nothing"
    if kind == "choice":
        return "ABCD"[digits[0]] if len(digits) == 1 and digits[0] < 4 else "nothing"
    return str(digits) if kind == "box" else "".join(map(str, digits))


def exact_tokens(prompt: Ints) -> list[int]:
    """The one completion that exact match accepts."""
    kind, answer = KINDS[prompt[0] - KIND], answer_of(prompt)
    if kind == "choice":
        return [DIGIT + "ABCD".index(str(answer))]
    if kind == "number":
        return [DIGIT + int(digit) for digit in f"{answer:.0f}"]
    return [(DIGIT if kind == "box" else WORD) + one for one in answer]  # type: ignore[attr-defined]


def judged(writing: Writing) -> Floats:
    """What each task's own verifier says `[B]`; what cannot be scored earns nothing here."""
    rows = list(zip(writing.prompts, writing.completions, strict=True))
    columns: dict[str, list[object]] = {
        "completion": [said(*row) for row in rows],
        "answer": [answer_of(p) for p, _ in rows],
    }
    answers = asyncio.run(routed([KINDS[p[0] - KIND] for p, _ in rows], columns, ROUTES))
    return np.array([answer.value or 0.0 for answer in answers])


def exact(writing: Writing) -> Floats:
    """1 where the completion is the reference, token for token `[B]`."""
    pairs = zip(writing.prompts, writing.completions, strict=True)
    return np.array([[t for t in c.tolist() if t != END] == exact_tokens(p) for p, c in pairs], float)


def mixed_tasks(seed: int, pay: Callable[[Writing], Floats]) -> Measured:
    """Training a policy that knows the form of each kind of answer, and little else."""
    random = np.random.default_rng(1000 + seed)
    asked = tasks(random, 384)
    shown = np.full((len(asked), ANSWER), END)
    for row, prompt in enumerate(asked):
        right = exact_tokens(prompt)
        low, high = (WORD, MANY) if right[0] >= WORD else (DIGIT, WORD)
        guess = random.integers(low, high, len(right))
        shown[row, : len(right)] = np.where(random.random(len(right)) < 0.7, guess, right)
    policy = TinyPolicy(MANY, seed)
    imitate(policy, asked, shown, 60)
    reinforce(
        policy, tasks, lambda w: {"score": Column.full(pay(w))}, grpo(), seed, updates=200, members=MEMBERS,
        length=ANSWER,
    )  # fmt: skip
    tested = write(policy, tasks(np.random.default_rng(10_000 + seed), 400), 1, ANSWER, seeded(seed))
    scores, kind = judged(tested), tested.prompts[:, 0] - KIND
    found = {name: float(scores[kind == k].mean()) for k, name in enumerate(KINDS)}
    return {"mean of kinds": float(np.mean(list(found.values()))), **found}


def _mostly_open(found: Found) -> bool:
    """More over all kinds, and most of it in text and intervals."""
    gain = {kind: found.difference("routed", "exact match", kind).value for kind in KINDS}
    return found.above("routed", "exact match", "mean of kinds") and gain["text"] + gain["box"] > (
        gain["choice"] + gain["number"]
    )


MIXED_R1 = Check(
    row=3,
    name="task-routed-mixed-reward",
    claim="With each task judged by its own verifier, a policy is better over four kinds of task, by these verifiers, "
    "than with exact match for all, and mostly so in open text and intervals.",
    arms={
        "routed": lambda seed: mixed_tasks(seed, judged),
        "exact match": lambda seed: mixed_tasks(seed, exact),
    },
    holds=_mostly_open,
    seeds=3,
)
