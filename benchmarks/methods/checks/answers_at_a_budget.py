"""Check of methods that write more to answer better: a proposer, a verifier, and as many tokens for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import cache, partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from actors.search.beam import beam_search
from actors.search.mcts import mcts
from actors.search.tree import Propose, Step, best_leaf
from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds import arithmetic
from benchmarks.methods.worlds.language import END, TinyPolicy, Writing, write
from rewards.evaluation.inference_scaling import AtBudget, accuracy_by_budget, path_scores

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Tokens = tuple[int, ...]
NOTHING: Tokens = ()

SUMS, SAMPLES, BUDGETS = 100, 32, (1, 4, 16)
"""Sums a seed, answers to each that are looked at, and budgets in answers."""
TEMPERATURES = (0.2, 0.6, 0.8, 1.0, 1.4, 2.0, 3.0)
DOUBT = 3.0
"""Standard deviation of what a verifier adds to its logit, ±2 for a right beginning and a wrong one: right of 83 % of
pairs."""
WIDTHS = {1: (1, 1), 4: (2, 4), 16: (4, 8)}
"""Paths of a beam and tokens that are drawn for each, by budget: many are drawn twice, so it is about as much."""
Scores = Literal["last", "least", "product", "self", "nothing"]
Way = Literal["step", "beam", "tree"]

beginner = cache(arithmetic.beginner)


def cooled(policy: TinyPolicy, temperature: float) -> TinyPolicy:
    """The same policy at a temperature."""
    found = deepcopy(policy)
    with torch.no_grad():
        for parameter in found.head.parameters():
            parameter.div_(temperature)
    return found


@cache
def asked(seed: int) -> Ints:
    """Sums of one seed."""
    return arithmetic.prompts(np.random.default_rng(9000 + seed), SUMS)


@cache
def errors(seed: int) -> Floats:
    """What the verifier of steps gets wrong about each sum, by how many digits there are and the last of them."""
    return np.random.default_rng(7000 + seed).normal(0, DOUBT, (SUMS, arithmetic.LENGTH, arithmetic.VOCABULARY))


def verified(seed: int, completions: Ints) -> Floats:
    """The verifier's chance that each beginning of an answer is right, NaN behind the end `[SUMS, K, LENGTH]`."""
    right = completions == arithmetic.answers(asked(seed))[:, None]
    upto = np.cumprod(right, axis=-1)
    rows, places = np.arange(SUMS)[:, None, None], np.arange(arithmetic.LENGTH)
    logits = 2.0 * (2 * upto - 1) + errors(seed)[rows, places, completions]
    before = np.cumsum(completions == END, axis=-1) - (completions == END) == 0
    return np.where(before, 1 / (1 + np.exp(-logits)), np.nan)


@cache
def sampled(seed: int, temperature: float) -> Writing:
    """Answers to all sums."""
    policy = cooled(beginner(seed), temperature)
    return write(policy, asked(seed), SAMPLES, arithmetic.LENGTH, torch.Generator().manual_seed(seed))


@cache
def budgeted(seed: int, temperature: float, scores: Scores = "last") -> Sequence[AtBudget]:
    """Accuracy of the methods that need nothing but whole answers."""
    writing, random = sampled(seed, temperature), np.random.default_rng(seed)
    shape = (SUMS, SAMPLES)
    completions = writing.completions.reshape(*shape, -1)
    if scores == "nothing":
        judged = random.random(shape)
    elif scores == "self":  # what the policy itself finds likely, a token
        judged = ((writing.log_probs * writing.mask).sum(-1) / writing.mask.sum(-1)).reshape(shape)
    else:
        judged = path_scores(verified(seed, completions), scores)
    code = (completions * arithmetic.VOCABULARY ** np.arange(arithmetic.LENGTH)).sum(-1)
    right = arithmetic.right(writing).reshape(shape)
    return accuracy_by_budget(code, right, judged, writing.mask.sum(-1).reshape(shape), BUDGETS, random)


def measured(accuracies: Sequence[float], tokens: float) -> Mapping[str, float]:
    """What all arms are told by: accuracy by budget, and what the largest costs."""
    return {
        **{f"{budget} answers": value for budget, value in zip(BUDGETS, accuracies, strict=True)},
        "tokens of 16": tokens,
    }


def of_answers(
    seed: int, method: Literal["oracle", "best", "majority"] = "best", temperature: float = 0.8, scores: Scores = "last"
) -> Mapping[str, float]:
    """A method that chooses from whole answers."""
    points = budgeted(seed, temperature, scores)
    return measured([getattr(point, method) for point in points], points[-1].tokens)


class Writer:
    """Who proposes the next token of an answer, and how many tokens it has written."""

    def __init__(self, seed: int, temperature: float = 0.8) -> None:
        """The policy of a seed."""
        self._policy, self._prompts = cooled(beginner(seed), temperature), torch.as_tensor(asked(seed))
        self._chances = dict[tuple[int, Tokens], Floats]()
        self._random, self.tokens = np.random.default_rng(seed), 0

    def chances(self, row: int, begun: Tokens) -> Floats:
        """Of each next token."""
        if (row, begun) not in self._chances:
            padded = torch.as_tensor([[*begun, END]])
            with torch.no_grad():
                logits = self._policy.logits(self._prompts[row : row + 1], padded)[0, -1]
            self._chances[row, begun] = logits.double().softmax(-1).numpy()
        return self._chances[row, begun]

    def proposes(self, row: int, candidates: int) -> Propose[Tokens, int]:
        """Next tokens, drawn; one that was drawn twice is there once, and was written twice."""

        def propose(begun: Tokens) -> list[tuple[int, float]]:
            self.tokens += candidates
            chances = self.chances(row, begun)
            drawn = self._random.choice(len(chances), candidates, p=chances / chances.sum())
            return [(int(token), float(chances[token])) for token in dict.fromkeys(drawn.tolist())]

        return propose


def by_verifier(seed: int, row: int) -> Step[Tokens, int]:
    """A token goes on with an answer; its reward is what it adds to the verifier's score, so that they sum to that."""
    right, wrong = arithmetic.answers(asked(seed))[row], errors(seed)[row]

    def score(begun: Tokens) -> float:
        if not begun:
            return 0.0
        true = all(one == other for one, other in zip(begun, right.tolist(), strict=False))
        return float(1 / (1 + np.exp(-(2.0 if true else -2.0) - wrong[len(begun) - 1, begun[-1]])))

    def step(begun: Tokens, token: int, promise: float) -> tuple[Tokens, float, bool]:
        after = (*begun, token)
        return after, score(after) - score(begun), token == END or len(after) == arithmetic.LENGTH

    return step


def answer(writer: Writer, seed: int, row: int, way: Way, point: AtBudget) -> Tokens:
    """To one sum, by a method that asks the verifier as it goes on."""
    step, length = by_verifier(seed, row), arithmetic.LENGTH
    if way == "step":
        return beam_search(NOTHING, writer.proposes(row, point.answers), step, width=1, depth=length)[0].state
    width, candidates = WIDTHS[point.answers]
    propose, already = writer.proposes(row, candidates), writer.tokens
    if way == "beam":
        return beam_search(NOTHING, propose, step, width, length)[0].state
    # The tree stops where as many tokens were written as whole answers have; what is known costs nothing.
    root = mcts(
        NOTHING,
        propose,
        step,
        iterations=4 * point.answers,
        depth=length,
        returns="sum",
        spent=lambda: writer.tokens - already >= point.tokens,
    )
    return best_leaf(root, "sum").state


def searched(seed: int, way: Way) -> Mapping[str, float]:
    """Accuracy of such a method, with about as many tokens as whole answers have."""
    accuracies, truth, spent = list[float](), arithmetic.answers(asked(seed)), 0.0
    for point in budgeted(seed, 0.8):
        writer = Writer(seed)
        found = [answer(writer, seed, row, way, point) for row in range(SUMS)]
        padded = np.array([[*one, *[END] * (arithmetic.LENGTH - len(one))] for one in found])
        accuracies.append(float((padded == truth).all(1).mean()))
        spent = writer.tokens / SUMS
    return measured(accuracies, spent)


def _as_the_tricks_say(found: Found) -> bool:
    many = f"{BUDGETS[-1]} answers"
    warm = [f"best, T = {temperature}" for temperature in TEMPERATURES]
    best = max(warm, key=lambda arm: found.mean(arm, many))
    inside = best not in (warm[0], warm[-1]) and all(found.above(best, end, many) for end in (warm[0], warm[-1]))
    single = found.mean("best, T = 0.8", "1 answers")
    return (
        inside
        and abs(found.mean("best, by nothing", many) - single) < 0.02
        and found.below("best, by itself", "best, T = 0.8", many)
    )


BAG_OF_TRICKS = Check(
    row=142,
    name="inference-compute-benchmark",
    claim="With 16 answers, the one that a verifier of steps likes best is more often right at a temperature between "
    "0.2 and 3 than at both; the one that the policy itself finds likeliest is less often right; and a verifier that "
    "knows nothing is within 0.02 of one answer.",
    arms={
        "oracle": partial(of_answers, method="oracle"),
        "majority": partial(of_answers, method="majority"),
        **{f"best, T = {warm}": partial(of_answers, temperature=warm) for warm in TEMPERATURES},
        "best, least of steps": partial(of_answers, scores="least"),
        "best, product of steps": partial(of_answers, scores="product"),
        "best, by itself": partial(of_answers, scores="self"),
        "best, by nothing": partial(of_answers, scores="nothing"),
        "best at each step": partial(searched, way="step"),
        "beam": partial(searched, way="beam"),
        "tree": partial(searched, way="tree"),
    },
    holds=_as_the_tricks_say,
    units={**{f"{budget} answers": "share right" for budget in BUDGETS}, "tokens of 16": "a sum"},
)
