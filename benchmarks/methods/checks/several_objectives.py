"""Checks of objectives that serve several ends: one end's preferences, weights that move, groups of equals."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.methods.experiment import Check
from benchmarks.methods.worlds.language import TinyPolicy, imitate, mask_of
from benchmarks.methods.worlds.menu import Floats, softmax
from learners.language.preferences import dpo
from learners.objectives.group_equivalent import group_equivalent
from learners.objectives.influence import influences, reweighted
from learners.objectives.multi_objective import modpo
from rewards.aggregation.hypervolume import HypervolumeGuided, hypervolume
from rewards.columns import Column
from rewards.views.part import State, Table

# --- 204: one objective's preferences, and the other's margins -------------------------------------------------------

BETA = 0.5


def compared(seed: int, mixed: bool, pairs: int = 6000) -> Mapping[str, float]:
    """How far policies for five weightings are from those of multi-objective RLHF, and what they are worth less.

    Args:
        seed: of rewards, labels and pairs.
        mixed: whether each policy minimises the weighted DPO losses of both objectives' pairs; else MODPO.
        pairs: compared answers of each objective.
    """
    random = np.random.default_rng(seed)
    prompts, answers = 6, 6
    rewards = random.normal(size=(prompts, answers, 2)) * 1.5
    reference = torch.as_tensor(random.normal(size=(prompts, answers)) * 0.5, dtype=torch.float64).log_softmax(-1)
    prompt = torch.as_tensor(random.integers(0, prompts, pairs))
    both = torch.as_tensor(np.stack([random.permutation(answers)[:2] for _ in range(pairs)]))
    table = torch.as_tensor(rewards)
    apart = table[prompt, both[:, 0]] - table[prompt, both[:, 1]]
    first = torch.as_tensor(random.random((pairs, 2))) < apart.sigmoid()  # Bradley-Terry judges, one an objective

    def chosen(objective: int) -> tuple[Tensor, Tensor]:
        won = first[:, objective]
        return torch.where(won, both[:, 0], both[:, 1]), torch.where(won, both[:, 1], both[:, 0])

    far, lost = [], []
    for weight in (0.2, 0.35, 0.5, 0.65, 0.8):
        weights = torch.tensor([weight, 1 - weight], dtype=torch.float64)
        best = (reference + table @ weights / BETA).log_softmax(-1)
        logits = reference.clone().requires_grad_()
        optimiser = torch.optim.LBFGS([logits], max_iter=200, line_search_fn="strong_wolfe")

        def margin(logits: Tensor, objective: int) -> Tensor:
            ratio = logits.log_softmax(-1) - reference
            good, bad = chosen(objective)
            return ratio[prompt, good] - ratio[prompt, bad]

        def closure(
            logits: Tensor = logits, weight: float = weight, optimiser: torch.optim.Optimizer = optimiser
        ) -> Tensor:
            optimiser.zero_grad()
            if mixed:
                losses = [dpo(margin(logits, k), BETA).mean() for k in (0, 1)]
                loss = weight * losses[0] + (1 - weight) * losses[1]
            else:
                good, bad = chosen(0)
                other = (table[prompt, good, 1] - table[prompt, bad, 1])[:, None]
                loss = modpo(margin(logits, 0), other, [weight, 1 - weight], BETA).mean()
            loss.backward()
            return loss

        optimiser.step(closure)
        log_pi = logits.detach().log_softmax(-1)

        def worth(log_p: Tensor, weights: Tensor = weights) -> float:
            paid = table @ weights - BETA * (log_p - reference)
            return float((log_p.exp() * paid).sum(-1).mean())

        far.append(float((best.exp() * (best - log_pi)).sum(-1).mean()))
        lost.append(worth(best) - worth(log_pi))
    return {"divergence from the closed form": float(np.mean(far)), "regularised worth lost": float(np.mean(lost))}


MODPO = Check(
    row=204,
    name="modpo",
    claim="Over five weightings of two rewards, policies of MODPO are closer to those of multi-objective RLHF (in "
    "closed form) than policies of the weighted sum of both DPO losses, and lose less of the regularised worth.",
    arms={
        "weighted DPO losses": lambda seed: compared(seed, mixed=True),
        "MODPO": lambda seed: compared(seed, mixed=False),
    },
    holds=lambda found: (
        found.below("MODPO", "weighted DPO losses", "divergence from the closed form")
        and found.below("MODPO", "weighted DPO losses", "regularised worth lost")
    ),
    units={"divergence from the closed form": "nats", "regularised worth lost": "reward"},
)


# --- 192: weights that move ------------------------------------------------------------------------------------------

Scheme = Literal["fixed", "hypervolume", "gradients"]


def three_ends(seed: int, scheme: Scheme, updates: int = 60, rate: float = 0.5) -> Mapping[str, float]:
    """Volume under what three rewards have reached, of which one is soon had, one later, one in few answers only.

    Args:
        seed: of the answers.
        scheme: how the rewards are weighed.
        updates: exact gradient steps.
        rate: of the steps.
    """
    random = np.random.default_rng(seed)
    rewards = np.stack(
        [random.random((6, 24)) < 0.6, random.random((6, 24)) < 0.25, random.random((6, 24)) < 0.1], -1
    ).astype(np.float64)
    logits, weights = np.zeros((6, 24)), torch.full((3,), 1 / 3, dtype=torch.float64)
    guided = HypervolumeGuided(coefficients=dict.fromkeys("abc", 1 / 3), reference=(0.0, 0.0, 0.0))
    state: State = guided.initial_state()
    front: list[Floats] = []
    for _ in range(updates):
        chances = softmax(logits)
        reached = (chances[..., None] * rewards).sum(1)  # [P, 3]
        front.append(reached.mean(0))
        gradients = chances[..., None] * (rewards - reached[:, None])  # of each reward, exactly [P, A, 3]
        scale = 1.0
        if scheme == "gradients":
            flat = torch.as_tensor(gradients.reshape(-1, 3).T / 6)
            weights = reweighted(weights, influences(flat), 5.0)
        elif scheme == "hypervolume":
            state = guided.update(
                Table({k: Column.full(v[None]) for k, v in zip("abc", front[-1], strict=True)}), state
            )
            scale = float(state["multiplier"])
        logits += rate * 6 * scale * (gradients @ weights.numpy())
    reached = (softmax(logits)[..., None] * rewards).sum(1).mean(0)
    volume = hypervolume(np.array([*front, reached]), np.zeros(3))
    return {"hypervolume": volume, "worst reward": float(reached.min()), "largest weight": float(weights.max())}


DYNAMIC = Check(
    row=192,
    name="dynamic-reward-weighting",
    claim="After equally many steps for three rewards, of which one is soon had and one is rare, the hypervolume is "
    "larger with weights by the influence of gradients, and with the hypervolume-guided multiplier, than with "
    "fixed equal weights.",
    arms={
        "fixed": lambda seed: three_ends(seed, "fixed"),
        "hypervolume-guided": lambda seed: three_ends(seed, "hypervolume"),
        "gradients": lambda seed: three_ends(seed, "gradients"),
    },
    holds=lambda found: all(found.above(arm, "fixed", "hypervolume") for arm in ("hypervolume-guided", "gradients")),
    seeds=10,
)


# --- 209: what means the same is to be worth the same ----------------------------------------------------------------

LETTERS, WORDS = 6, 14
"""Things that can be joined, and tokens: END, six names, six other names for the same things, and one that is wrong."""
WRONG = 13


def same(asked: Tensor) -> Tensor:
    """Equivalent answers `[P, 4, 2]` to two things: in either order, by either names."""
    one, two = asked[:, 0], asked[:, 1]
    plain, other = torch.stack([one, two], -1), torch.stack([one + LETTERS, two + LETTERS], -1)
    return torch.stack([plain, plain.flip(-1), other, other.flip(-1)], dim=1)


def mutated(found: Tensor, generator: torch.Generator) -> Tensor:
    """Answers that mean something else `[P, 4, 2]`: one place is wrong."""
    place = torch.randint(2, found.shape[:2], generator=generator)
    shift = torch.randint(1, LETTERS, found.shape[:2], generator=generator)
    old = found.gather(-1, place[..., None])[..., 0]
    block = (old - 1) // LETTERS * LETTERS + 1
    return found.scatter(-1, place[..., None], ((old - block + shift) % LETTERS + block)[..., None])


def rewritten(seed: int, arm: str, updates: int = 25, groups: int = 12, members: int = 4) -> Mapping[str, float]:
    """Accuracy after on-policy training with preferences beside it, and the spread among equivalents.

    Args:
        seed: of everything.
        arm: "RL", "RL and DPO" or "RL and GEPO".
        updates: gradient steps.
        groups: prompts of each.
        members: answers to each.
    """
    random, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    policy = TinyPolicy(WORDS, seed)

    def asked(number: int) -> Tensor:
        return torch.as_tensor(1 + np.stack([random.permutation(LETTERS)[:2] for _ in range(number)]))

    shown = asked(200)
    answers = same(shown)[:, 0].numpy()
    noisy: NDArray[np.int64] = np.where(
        random.random(answers.shape) < 0.5, random.integers(1, WORDS, answers.shape), answers
    )
    imitate(policy, shown.numpy(), noisy, 60)
    reference = TinyPolicy(WORDS, seed)
    reference.load_state_dict(policy.state_dict())

    def ratios(prompts: Tensor, texts: Tensor) -> Tensor:
        repeated, flat = prompts.repeat_interleave(texts.shape[1], 0), texts.flatten(0, 1)
        with torch.no_grad():
            anchor = reference.log_probs(repeated, flat).sum(-1)
        return (policy.log_probs(repeated, flat).sum(-1) - anchor).view(texts.shape[:2])

    def right(prompts: Tensor, texts: Tensor) -> Tensor:
        equivalents = same(prompts)
        return (texts[:, None] == equivalents).all(-1).any(-1)

    optimiser = torch.optim.Adam(policy.parameters(), 3e-3)
    for _ in range(updates):
        prompts = asked(groups)
        repeated = prompts.repeat_interleave(members, 0)
        written = policy.write(repeated, 2, generator)
        wins = right(repeated, written).float().view(groups, members)
        gain = (wins - wins.mean(1, keepdim=True)).flatten()
        mask = mask_of(written)
        loss = -((policy.log_probs(repeated, written) * mask).sum(-1) * gain).mean()
        if arm != "RL":
            good = same(prompts)
            bad = mutated(good, generator)
            if arm == "RL and DPO":
                pick = torch.randint(4, (groups, 1, 1), generator=generator).expand(-1, 1, 2)
                won, lost = ratios(prompts, good.gather(1, pick)), ratios(prompts, bad.gather(1, pick))
                loss = loss + dpo((won - lost)[:, 0], 0.1).mean()
            else:
                loss = loss + group_equivalent(ratios(prompts, good), ratios(prompts, bad), beta=0.1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    prompts = asked(400)
    with torch.no_grad():
        accuracy = right(prompts, policy.write(prompts, 2, generator)).float().mean()
        spread = ratios(prompts, same(prompts)).var(1, unbiased=False).mean()
    return {"accuracy": float(accuracy), "variance among equivalents": float(spread)}


OORL = Check(
    row=209,
    name="group-equivalent-preference-optimization",
    claim="Beside the same on-policy training, preferences between groups of equivalents bring more right answers "
    "than none and than DPO on single pairs, and leave implicit rewards of equivalents closer together than DPO "
    "does.",
    arms={arm: partial(rewritten, arm=arm) for arm in ("RL", "RL and DPO", "RL and GEPO")},
    holds=lambda found: (
        found.above("RL and GEPO", "RL", "accuracy")
        and found.above("RL and GEPO", "RL and DPO", "accuracy")
        and found.below("RL and GEPO", "RL and DPO", "variance among equivalents")
    ),
    units={"accuracy": "share of answers", "variance among equivalents": "squared nats"},
)
