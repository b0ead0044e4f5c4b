"""Check of DPO that trusts sure pairs more, and of the reward model that writes a critique before it scores.

Without pictures: answers are features for the one, and short texts for the other.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.language import TinyPolicy
from learners.language.preferences import dpo
from learners.objectives.critique_reward import critique_reward_losses, mean_score
from learners.objectives.scaled_preference import scaled_dpo

# --- pairs with graded margins, of which the close ones are often labelled wrongly ---

PROMPTS, ANSWERS, FEATURES = 300, 8, 12


def graded(seed: int, weight: float, beta: float = 0.1, pairs: int = 600) -> float:
    """Worth of answers after DPO on pairs of which a fifth of the close ones is labelled the other way round.

    Args:
        seed: of everything.
        weight: w of dynamic reward scaling.
        beta: β₀.
        pairs: how many.
    """
    random = np.random.default_rng(seed)
    shown = torch.as_tensor(random.normal(size=(PROMPTS, ANSWERS, FEATURES)), dtype=torch.float32)
    gold = shown @ torch.as_tensor(random.normal(size=FEATURES) / np.sqrt(FEATURES), dtype=torch.float32)
    prompt = torch.as_tensor(random.integers(0, PROMPTS // 2, pairs))  # the other half is held out
    both = torch.as_tensor(np.stack([random.permutation(ANSWERS)[:2] for _ in range(pairs)]))
    apart = gold[prompt, both[:, 0]] - gold[prompt, both[:, 1]]
    close = apart.abs() < apart.abs().median()
    wrong = close & torch.as_tensor(random.random(pairs) < 0.2)
    first = (apart > 0) ^ wrong
    chosen = torch.where(first, both[:, 0], both[:, 1])
    rejected = torch.where(first, both[:, 1], both[:, 0])
    # The reward model has heard the same labels: where they are wrong it is wrong too, by as little.
    margins = apart.abs() + torch.as_tensor(random.normal(0, 0.1, pairs), dtype=torch.float32)
    theta = torch.zeros(FEATURES, requires_grad=True)
    optimiser = torch.optim.Adam([theta], 0.05)
    for _ in range(150):
        log_probs = (shown @ theta).log_softmax(-1)  # the reference is uniform, and falls out of the difference
        h = log_probs[prompt, chosen] - log_probs[prompt, rejected]
        loss = scaled_dpo(h, margins, beta, weight).mean() if weight else dpo(h, beta).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    policy = (shown @ theta.detach()).softmax(-1)[PROMPTS // 2 :]
    return float((policy * gold[PROMPTS // 2 :]).sum(-1).mean())


# --- texts that keep rules, or not ---

LETTERS, LONG, RULES, CRITIQUES = 8, 6, 3, 4
KEPT = 1 + LETTERS
"""Word of a critique: the first rule is kept; then for the others, and as many that say it is not."""


class Critic(TinyPolicy):
    """A recurrent network with two heads: one writes, one scores what was read."""

    def __init__(self, seed: int) -> None:
        """Random weights, from `seed`."""
        super().__init__(KEPT + 2 * RULES, seed)
        self.worth = nn.Linear(self.head.in_features, 1)

    def score(self, read: Tensor) -> Tensor:
        """Of texts `[B, L]`, `[B]`."""
        found: Tensor = self.worth(self.cell(self.embed(read))[0][:, -1])
        return found[:, 0]


def kept(text: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which rules texts keep `[n, 3]`: each has a letter that is to be there."""
    found: NDArray[np.bool_] = (text[:, :, None] == 1 + np.arange(RULES)).any(1)
    return found


def worth_of(asked: NDArray[np.int64], rules: NDArray[np.bool_]) -> NDArray[np.float64]:
    """1 for each rule that is kept, and 2 more for the one that was asked for `[n]`."""
    found: NDArray[np.float64] = rules.sum(1) + 2.0 * rules[np.arange(len(rules)), asked[:, 0] - 1]
    return found


def judged(seed: int, weight: float, pairs: int = 300, steps: int = 250) -> float:
    """Share of new pairs that a reward model orders rightly.

    Args:
        seed: of everything.
        weight: of writing critiques; 0: a scalar model, which reads no critique.
        pairs: to learn from; a fifth of the close ones is labelled the other way round.
        steps: of gradient.
    """
    random, model = np.random.default_rng(seed), Critic(seed)

    def draw(number: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        asked = random.integers(1, 1 + RULES, (number, 1))
        text = random.integers(1, 1 + LETTERS, (2, number, LONG))
        rules = np.stack([kept(one) for one in text])
        worth = np.stack([worth_of(asked, one) for one in rules])
        use = worth[0] != worth[1]
        first = (worth[0] > worth[1])[None, :, None]
        texts, rules = (np.where(first, both, both[::-1])[:, use] for both in (text, rules))
        critique = KEPT + np.arange(RULES) + RULES * ~rules
        return (
            np.concatenate([np.broadcast_to(asked[use], (2, use.sum(), 1)), texts], 2),
            critique,
            np.abs(worth[0] - worth[1])[use],
        )

    shown, critique, apart = draw(pairs)
    wrong = (apart <= np.median(apart)) & (random.random(len(apart)) < 0.2)
    shown, critique = (np.where(wrong[None, :, None], both[::-1], both) for both in (shown, critique))
    read, said = torch.as_tensor(shown), torch.as_tensor(critique)
    optimiser = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(steps):
        batch = torch.as_tensor(random.integers(0, len(apart), 64))
        text, words = read[:, batch].flatten(0, 1), said[:, batch].flatten(0, 1)
        logs = model.log_probs(text, words).view(2, 64, RULES)
        scores = model.score(torch.cat([text, words], 1) if weight else text).view(2, 64)
        mask = torch.ones_like(logs, dtype=torch.bool)
        loss = critique_reward_losses(logs, mask, scores[0], scores[1], weight).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    fresh = torch.as_tensor(draw(1000)[0])
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        found = []
        for texts in fresh:
            many = texts.repeat_interleave(CRITIQUES, 0)
            if weight:
                own = torch.cat([many, model.write(many, RULES, generator)], 1)
                each = model.score(own).view(-1, CRITIQUES)
                found.append(mean_score(each, torch.ones_like(each, dtype=torch.bool))[0])
            else:
                found.append(model.score(texts))
    return float((found[0] > found[1]).float().mean())


def both(seed: int, beta: float, scaled: float, critique: float) -> Mapping[str, float]:
    """What DPO makes of graded pairs, and what a reward model makes of rules."""
    return {"worth": graded(seed, scaled, beta), "pairs ordered rightly": judged(seed, critique)}


def _both_help(found: Found) -> bool:
    """Scaling is above both ends of its range, and critiques order more pairs rightly."""
    fixed = ("DPO, β = 0.1, scalar model", "DPO, β = 0.15, scalar model")
    ordered = all(found.above("MM-RLHF", arm, "pairs ordered rightly") for arm in fixed)
    return ordered and all(found.above("MM-RLHF", arm, "worth") for arm in fixed)


MM_RLHF = Check(
    row=75,
    name="dynamic-reward-scaled-dpo",
    claim="With β that grows with the reward margin, answers to new prompts are worth more after DPO than with either "
    "end of its range held fixed; and a reward model that writes a critique first orders new pairs rightly more often "
    "than one that scores at once.",
    arms={
        "DPO, β = 0.1, scalar model": lambda seed: both(seed, 0.1, 0.0, 0.0),
        "DPO, β = 0.15, scalar model": lambda seed: both(seed, 0.15, 0.0, 0.0),
        "MM-RLHF": lambda seed: both(seed, 0.1, 0.5, 1.0),
    },
    holds=_both_help,
    units={"worth": "gold reward", "pairs ordered rightly": "share of pairs"},
)
