"""Checks of objectives over pairs: games without a best answer, decisive tokens, many instructions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.language import TinyPolicy, imitate
from learners.objectives.multi_level import multi_level
from learners.objectives.nash import nash_regression, soft_labels, win_rates
from learners.objectives.token_regularised import contrastive_rewards, token_regularised_dpo

# --- 25: a game that goes round in a circle ---------------------------------------------------------------------------

GAME = np.array(
    [  # rock, paper, scissors of unequal strength, and two answers that lose to all three
        [0.5, 0.1, 0.8, 0.9, 0.8],
        [0.9, 0.5, 0.3, 0.8, 0.9],
        [0.2, 0.7, 0.5, 0.9, 0.9],
        [0.1, 0.2, 0.1, 0.5, 0.6],
        [0.2, 0.1, 0.1, 0.4, 0.5],
    ]
)
"""Chance that the answer of a row is preferred to that of a column."""


def exploitability(policy: NDArray[np.float64]) -> float:
    """How much more than half the time the best reply is preferred to a policy; 0 at the Nash equilibrium."""
    return float((GAME @ policy).max() - 0.5)


def game(seed: int, general: bool, iterations: int = 60, beta: float = 0.5) -> Mapping[str, float]:
    """Self-play by regression, with rewards that are win rates, or scores fitted to preferences once.

    Args:
        seed: of sampling.
        general: whether rewards are win rates against the policy of now; else scores of a Bradley-Terry model.
        iterations: of sampling and regression.
        beta: price of leaving the last policy.
    """
    generator = torch.Generator().manual_seed(seed)
    preference = torch.as_tensor(GAME, dtype=torch.float32)
    scores = torch.zeros(5, requires_grad=True)
    fit = torch.optim.Adam([scores], 0.1)
    for _ in range(200):  # on what the first policy, which is uniform, is asked
        gap = scores[:, None] - scores[None, :]
        fit.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(gap, preference).backward()
        fit.step()
    logits, mean = torch.zeros(5), torch.zeros(5)
    for _ in range(iterations):
        old = logits.log_softmax(-1)
        mean = mean + old.exp() / iterations
        answers = torch.multinomial(old.exp().expand(64, -1), 8, replacement=True, generator=generator)
        if general:
            rewards = win_rates(preference[answers[:, :, None], answers[:, None, :]])
        else:
            rewards = scores.detach()[answers]
        theta = logits.clone().requires_grad_()
        optimiser = torch.optim.Adam([theta], 0.05)
        for _ in range(20):
            ratio = (theta.log_softmax(-1) - old)[answers]
            apart = ratio[:, 0::2] - ratio[:, 1::2]
            label = soft_labels(rewards[:, 0::2], rewards[:, 1::2])
            optimiser.zero_grad()
            nash_regression(apart.flatten(), label.flatten(), beta).mean().backward()
            optimiser.step()
        logits = theta.detach()
    return {
        "exploitability of the mean policy": exploitability(mean.double().numpy()),
        "exploitability of the last policy": exploitability(logits.softmax(-1).double().numpy()),
        "dominated answers": float(logits.softmax(-1)[3:].sum()),
    }


def _nearer_to_nash(found: Found) -> bool:
    """The mean policy of DNO is near the equilibrium, the other is not."""
    name = "exploitability of the mean policy"
    return found.mean("DNO", name) < 0.05 and found.below("DNO", "Bradley-Terry reward", name, by=0.05)


DNO = Check(
    row=25,
    name="direct-nash-optimization",
    claim="Where preferences go round in a circle, the mean policy of DNO comes within 0.05 of the Nash equilibrium, "
    "and maximising the scores of a Bradley-Terry model stays at least 0.05 further away.",
    arms={
        "DNO": lambda seed: game(seed, general=True),
        "Bradley-Terry reward": lambda seed: game(seed, general=False),
    },
    holds=_nearer_to_nash,
    units={"dominated answers": "share of answers"},
)


# --- 129: one decisive word among noise -------------------------------------------------------------------------------

NEUTRAL, BETTER, WORSE, GOOD, BAD, NOISE = 1, 2, 3, 4, 5, 6
LENGTH, DECISIVE, VOCABULARY = 7, 3, 14


def answers(random: np.random.Generator, good: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Answers of noise with one decisive word `[n, LENGTH]`."""
    found = random.integers(NOISE, VOCABULARY, (len(good), LENGTH))
    found[:, DECISIVE] = np.where(good, GOOD, BAD)
    return found


def decisive(seed: int, alpha: float, steps: int = 40, pairs: int = 48) -> Mapping[str, float]:
    """What DPO, with a regulariser of weight α, has learnt from few pairs.

    Args:
        seed: of everything.
        alpha: α.
        steps: of preference learning.
        pairs: how many.
    """
    random = np.random.default_rng(seed)
    asked = random.integers(NEUTRAL, WORSE + 1, 512)
    good = random.random(512) < np.select([asked == BETTER, asked == WORSE], [0.8, 0.2], 0.5)
    reference = TinyPolicy(VOCABULARY, seed)
    imitate(reference, asked[:, None], answers(random, good), 150)
    policy = TinyPolicy(VOCABULARY, seed)
    policy.load_state_dict(reference.state_dict())
    both = torch.as_tensor(
        np.stack([answers(random, np.ones(pairs, np.bool_)), answers(random, np.zeros(pairs, np.bool_))])
    )
    flat = both.reshape(2 * pairs, LENGTH)

    def log_probs(model: TinyPolicy, prompt: int, completions: Tensor) -> Tensor:
        return model.log_probs(torch.full((len(completions), 1), prompt), completions)

    with torch.no_grad():
        base = log_probs(reference, NEUTRAL, flat)
        rewards = contrastive_rewards(log_probs(reference, BETTER, flat), log_probs(reference, WORSE, flat))
    mask = torch.ones(2, pairs, LENGTH, dtype=torch.bool)
    optimiser = torch.optim.Adam(policy.parameters(), 1e-3)
    for _ in range(steps):
        ratio = (log_probs(policy, NEUTRAL, flat) - base).view(2, pairs, LENGTH)
        loss = token_regularised_dpo(ratio, rewards.view(2, pairs, LENGTH), mask, 0.1, alpha).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    fresh = torch.as_tensor(answers(random, np.arange(512) % 2 == 0))
    with torch.no_grad():
        moved = (log_probs(policy, NEUTRAL, fresh) - log_probs(reference, NEUTRAL, fresh)).abs()
        written = policy.write(torch.full((1024, 1), NEUTRAL), LENGTH, torch.Generator().manual_seed(seed))
    return {
        "reward on the decisive word": float(moved[:, DECISIVE].sum() / moved.sum()),
        "good answers": float((written[:, DECISIVE] == GOOD).float().mean()),
    }


def _more_where_it_matters(found: Found) -> bool:
    apart = found.difference("T-REG", "DPO", "good answers")
    return found.above("T-REG", "DPO", "reward on the decisive word") and (apart.low or 0.0) > -0.02


T_REG = Check(
    row=129,
    name="token-reward-regularized-dpo",
    claim="Regularised by token rewards of contrastive prompts, more of DPO's implicit reward on new answers lies on "
    "the one word that matters, and good answers are at most 0.02 less frequent.",
    arms={
        "DPO": lambda seed: decisive(seed, 0.0),
        "T-REG, α = 0.25": lambda seed: decisive(seed, 0.25),
        "T-REG": lambda seed: decisive(seed, 2.0),
    },
    holds=_more_where_it_matters,
    units={"reward on the decisive word": "share of |log-ratio|", "good answers": "share of answers"},
)


# --- 190: many instructions at once -----------------------------------------------------------------------------------

CONDITIONS = 8


def instructed(seed: int, intra: float, inter: float, pairs: int = 800, steps: int = 250) -> Mapping[str, float]:
    """Accuracy of a reward model that was taught on pairs with one instruction each, on one and on several.

    Args:
        seed: of everything.
        intra: weight of preferences between prompts.
        inter: weight of preferences between pairs.
        pairs: how many.
        steps: of gradient.
    """
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3 * CONDITIONS, 48), nn.ReLU(), nn.Linear(48, 1))

    def score(asked: NDArray[np.bool_], answer: NDArray[np.float32]) -> Tensor:
        found: Tensor = model(torch.as_tensor(np.concatenate([asked.astype(np.float32), answer], 1)))[:, 0]
        return found

    def draw(number: int, instructions: int) -> tuple[NDArray[np.bool_], list[NDArray[np.bool_]]]:
        asked = np.argsort(random.random((number, CONDITIONS)), 1) < instructions
        return asked, [random.random((number, CONDITIONS)) < 0.5 for _ in range(2)]

    def shown(met: NDArray[np.bool_]) -> NDArray[np.float32]:  # what is met, and as much that means nothing
        return np.concatenate([met, random.normal(size=met.shape)], 1).astype(np.float32)

    def ordered(asked: NDArray[np.bool_], both: list[NDArray[np.bool_]]) -> tuple[NDArray[np.bool_], ...]:
        kept = [(asked & met).sum(1) for met in both]
        use = kept[0] != kept[1]
        first = (kept[0] > kept[1])[:, None]
        return asked[use], np.where(first, *both)[use], np.where(first, *both[::-1])[use]

    asked, chosen, rejected = ordered(*draw(pairs, 1))
    good, bad = shown(chosen), shown(rejected)
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(steps):
        # Prompts for the chosen answer: one whose conditions it meets, one of which it violates some.
        number = random.integers(1, 5, (len(asked), 1))
        rank = np.argsort(np.argsort(random.random(asked.shape) + ~chosen, 1), 1)
        meets = (rank < number) & chosen
        broken = np.argsort(np.argsort(random.random(asked.shape) + chosen, 1), 1) < 1
        violates = (meets & (random.random(meets.shape) < 0.5)) | (broken & ~chosen)
        more = asked | (chosen & ~rejected & (random.random(asked.shape) < 0.5))  # what only the chosen answer meets
        losses = multi_level(
            (score(asked, good), score(asked, bad)),
            (score(meets, good), score(violates, good)),
            (score(more, good), score(more, bad)),
            intra,
            inter,
        )
        optimiser.zero_grad()
        losses.total.mean().backward()
        optimiser.step()

    def accuracy(instructions: int) -> float:
        prompt, better, worse = ordered(*draw(2000, instructions))
        with torch.no_grad():
            return float((score(prompt, shown(better)) > score(prompt, shown(worse))).float().mean())

    return {"one instruction": accuracy(1), "three to five": float(np.mean([accuracy(n) for n in (3, 4, 5)]))}


def _more_at_once(found: Found) -> bool:
    one = found.difference("MAPL", "Bradley-Terry", "one instruction")
    return found.above("MAPL", "Bradley-Terry", "three to five") and (one.low or 0.0) > -0.01


MAPL = Check(
    row=190,
    name="multi-level-preference-loss",
    claim="Taught on pairs with one instruction each, a reward model orders answers to three to five instructions more "
    "often rightly with the two new losses, and answers to one at most 0.01 less often.",
    arms={
        "Bradley-Terry": lambda seed: instructed(seed, 0.0, 0.0),
        "between prompts only": lambda seed: instructed(seed, 1.0, 0.0),
        "between pairs only": lambda seed: instructed(seed, 0.0, 1.0),
        "MAPL": lambda seed: instructed(seed, 1.0, 1.0),
    },
    holds=_more_at_once,
    units={"one instruction": "share of pairs", "three to five": "share of pairs"},
)
