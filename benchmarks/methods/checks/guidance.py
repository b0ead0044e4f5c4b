"""Checks of objectives with help: demonstrations in the group, teachers, masked observations, critics of steps."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.methods.checks.policy_objectives import group_advantages
from benchmarks.methods.experiment import Check
from benchmarks.methods.worlds import attributes
from benchmarks.methods.worlds.forms import Field, Form
from benchmarks.methods.worlds.language import END, TinyPolicy, imitate, mask_of, write
from benchmarks.methods.worlds.menu import Floats, softmax
from learners.objectives.adaptive_guidance import comprehension, injected, shaped_probability
from learners.objectives.advantage_regression import advantage_regression, step_advantages
from learners.objectives.group_alignment import group_alignment, joint_advantages
from learners.objectives.perception import hidden, perception_loss

Ints = NDArray[np.int64]


# --- 218: demonstrations that are good, and not the best -------------------------------------------------------------


def demonstrations(asked: Ints, random: np.random.Generator) -> Ints:
    """Three of the topic's four words and one of no topic `[n, LENGTH]`: worth 0.65, where 1 can be had."""
    topic = (asked[:, 0] - 1) // attributes.WORDS
    found = np.full((len(asked), attributes.LENGTH), END)
    for row, number in enumerate(topic):
        words = 1 + number * attributes.WORDS + random.permutation(attributes.WORDS)[:3]
        padding = 1 + attributes.TOPICS * attributes.WORDS + random.integers(attributes.PADDING)
        found[row, :4] = random.permutation([*words, padding])
    return found


def aligned(seed: int, arm: str, updates: int = 150, groups: int = 12, members: int = 8) -> Mapping[str, float]:
    """Gold reward on the way and at the end, from a policy that knows next to nothing.

    Args:
        seed: of everything.
        arm: "SFT", "GRPO" or "GRAO".
        updates: gradient steps.
        groups: prompts of each.
        members: answers to each.
    """
    random, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    policy = TinyPolicy(attributes.VOCABULARY, seed)
    optimiser = torch.optim.Adam(policy.parameters(), 3e-3)
    curve: list[float] = []
    for _ in range(updates):
        prompts = attributes.prompts(random, groups)
        writing = write(policy, prompts, members, attributes.LENGTH, generator)
        rewards = torch.as_tensor(attributes.gold(writing)).view(groups, members)
        curve.append(float(rewards.mean()))
        asked, made = torch.as_tensor(writing.prompts), torch.as_tensor(writing.completions)
        shown = torch.as_tensor(demonstrations(prompts, random))
        mask, seen = torch.as_tensor(writing.mask), mask_of(shown)
        logs = (policy.log_probs(asked, made) * mask).sum(-1) / mask.sum(-1)
        told = (policy.log_probs(torch.as_tensor(prompts), shown) * seen).sum(-1) / seen.sum(-1)
        if arm == "SFT":
            loss = -told.mean()
        elif arm == "GRPO":
            loss = -(group_advantages(rewards) * logs.view(groups, members)).mean()
        else:
            gains = joint_advantages(rewards, torch.full((groups,), 0.65))
            loss = group_alignment(logs.view(groups, members), told, gains).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimiser.step()
    test = attributes.prompts(np.random.default_rng(9000 + seed), 100)
    writing = write(policy, test, 4, attributes.LENGTH, generator)
    return {
        "gold at the end": float(attributes.gold(writing).mean()),
        "gold on the way": float(np.mean(curve)),
        "updates to 0.5": float(next((k for k, value in enumerate(curve) if value >= 0.5), updates)),
    }


GRAO = Check(
    row=218,
    name="group-direct-alignment-loss",
    claim="With demonstrations worth 0.65 of 1 in the group, a policy reaches a gold reward of 0.5 in fewer updates "
    "than GRPO, and ends higher than GRPO, than imitation, and than the demonstrations.",
    arms={arm: partial(aligned, arm=arm) for arm in ("SFT", "GRPO", "GRAO")},
    holds=lambda found: (
        found.below("GRAO", "GRPO", "updates to 0.5")
        and all(found.above("GRAO", other, "gold at the end") for other in ("SFT", "GRPO"))
        and found.interval("GRAO", "gold at the end")[0] > 0.65
    ),
    units={"gold at the end": "gold reward", "updates to 0.5": "updates"},
)

# --- 223: looking, or guessing what is usual -------------------------------------------------------------------------

KINDS, CELLS, VALUES = 4, 4, 4
"""Questions, cells of an observation, and values of a cell; question k asks for the value of cell k."""
BLANK = 1 + KINDS + VALUES
TOKENS = BLANK + 1 + VALUES
"""END, questions, values, the blank, and answers."""
ANSWER = BLANK + 1


def scenes(random: np.random.Generator, number: int) -> tuple[Ints, Ints]:
    """A question and an observation `[n, 1 + CELLS]`, and the answer `[n]`; in six of ten it is the usual one."""
    question = random.integers(0, KINDS, number)
    cells = random.integers(0, VALUES, (number, CELLS))
    usual = random.random(number) < 0.6
    rows = np.arange(number)
    cells[rows, question] = np.where(usual, question, cells[rows, question])  # the usual answer to question k is k
    prompts = np.concatenate([1 + question[:, None], 1 + KINDS + cells], axis=1)
    return prompts, ANSWER + cells[rows, question]


def looking(
    seed: int, gamma: float, entropy: float, updates: int = 200, groups: int = 24, members: int = 8
) -> Mapping[str, float]:
    """Accuracy where the answer is not the usual one, and how much answers and losses depend on looking.

    Args:
        seed: of everything.
        gamma: γ; 0: GRPO.
        entropy: η₁ and η₂.
        updates: gradient steps.
        groups: scenes of each.
        members: answers to each.
    """
    random, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    policy = TinyPolicy(TOKENS, seed)
    optimiser = torch.optim.Adam(policy.parameters(), 3e-3)

    def blanked(asked: Tensor) -> Tensor:
        return torch.cat([asked[:, :1], hidden(asked[:, 1:], 0.6, BLANK, generator)], dim=1)

    for _ in range(updates):
        prompts, wanted = (torch.as_tensor(a) for a in scenes(random, groups))
        asked, answer = prompts.repeat_interleave(members, 0), wanted.repeat_interleave(members)
        made = policy.write(asked, 1, generator)
        gain = group_advantages((made[:, 0] == answer).float().view(groups, members)).flatten()
        seen = policy.log_probs(asked, made)
        loss = -(gain * seen[:, 0]).mean()
        if gamma or entropy:
            masked = policy.log_probs(blanked(asked), made)
            loss = loss + perception_loss(seen, masked, torch.ones_like(seen), gamma, entropy, entropy).loss.mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimiser.step()
    prompts, wanted = (torch.as_tensor(a) for a in scenes(np.random.default_rng(9000 + seed), 2000))
    with torch.no_grad():
        made, covered = policy.write(prompts, 1, generator), policy.write(blanked(prompts), 1, generator)
        seen, masked = policy.log_probs(prompts, made), policy.log_probs(blanked(prompts), made)
        divergence = perception_loss(seen, masked, torch.ones_like(seen)).divergence.mean()
    right, unusual = made[:, 0] == wanted, (wanted - ANSWER) != (prompts[:, 0] - 1)
    return {
        "right": float(right.float().mean()),
        "right where unusual": float(right[unusual].float().mean()),
        "same answer when masked": float((made == covered).float().mean()),
        "divergence": float(divergence),
    }


PAPO = Check(
    row=223,
    name="perception-aware-policy-optimization",
    claim="Where most answers can be guessed from the question, a term for looking brings more right answers where "
    "they cannot than GRPO alone, and fewer that stay the same when the observation is masked; a hundred times "
    "as large it costs accuracy, and less of it with the entropies.",
    arms={
        "GRPO": lambda seed: looking(seed, 0.0, 0.0),
        "γ 0.02": lambda seed: looking(seed, 0.02, 0.0),
        "γ 2": lambda seed: looking(seed, 2.0, 0.0),
        "γ 2, entropies": lambda seed: looking(seed, 2.0, 0.03),
    },
    holds=lambda found: (
        found.above("γ 0.02", "GRPO", "right where unusual")
        and found.below("γ 0.02", "GRPO", "same answer when masked")
        and found.below("γ 2", "γ 0.02", "right")
        and found.above("γ 2, entropies", "γ 2", "right")
    ),
    units={"right": "share of answers", "divergence": "nats"},
)

# --- 200: advantages of steps, learnt from offline -------------------------------------------------------------------

CHAINS, DEPTH, MOVES = 10, 4, 4


@cache
def chains(seed: int) -> tuple[Ints, Form]:
    """The right step at each place of each chain `[P, T]`, and a reference that takes it in about half of all cases."""
    random = np.random.default_rng(seed)
    right = random.integers(0, MOVES, (CHAINS, DEPTH))
    fields = []
    for place in range(DEPTH):
        start = 0.7 * random.normal(size=(CHAINS, MOVES))
        start[np.arange(CHAINS), right[:, place]] += 1.0
        fields.append(Field(MOVES, CHAINS, start=start))
    return right, Form(fields)


def offline(
    seed: int, arm: str, beta: float = 0.1, samples: int = 12, completions: int = 16, steps: int = 300
) -> Mapping[str, float]:
    """Accuracy after learning from the same answers of the reference, sampled once.

    Args:
        seed: of everything.
        arm: "reference", "DPO" on whole answers, right against wrong, or "DA-PO" on steps.
        beta: price of leaving the reference.
        samples: answers to each chain.
        completions: that each V is estimated from.
        steps: gradient steps.
    """
    right, reference = chains(seed)
    random = np.random.default_rng(100 + seed)
    prompt = np.repeat(np.arange(CHAINS), samples)
    forms = reference.filled(prompt, random)
    outcome = (forms == right[prompt]).all(-1)
    # V of each partial answer, by Monte Carlo: still right so far, and finished rightly by the reference.
    values = np.zeros(forms.shape)
    for place in range(DEPTH):
        so_far = (forms[:, :place] == right[prompt][:, :place]).all(-1)
        finished = reference.filled(np.repeat(prompt, completions), random)
        rest = (finished == right[np.repeat(prompt, completions)])[:, place:].all(-1)
        values[:, place] = so_far * rest.reshape(-1, completions).mean(-1)
    advantages = step_advantages(torch.as_tensor(values), torch.as_tensor(outcome))
    tables = [torch.as_tensor(logits.copy()).requires_grad_() for logits in reference.logits]
    anchors = [torch.as_tensor(logits).log_softmax(-1) for logits in reference.logits]
    asked, made = torch.as_tensor(prompt), torch.as_tensor(forms)

    def ratios() -> Tensor:
        each = [
            table.log_softmax(-1)[asked, made[:, k]] - anchors[k][asked, made[:, k]] for k, table in enumerate(tables)
        ]
        return torch.stack(each, -1)

    optimiser = torch.optim.Adam(tables, 0.05)
    wins = torch.as_tensor(outcome).view(CHAINS, samples)
    for _ in range(0 if arm == "reference" else steps):
        if arm == "DA-PO":
            loss = advantage_regression(ratios(), advantages, beta).mean()
        else:
            whole = ratios().sum(-1).view(CHAINS, samples)
            apart = whole[:, :, None] - whole[:, None, :]
            pairs = wins[:, :, None] & ~wins[:, None, :]
            loss = -torch.nn.functional.logsigmoid(beta * apart)[pairs].sum() / pairs.sum().clamp(min=1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    chance: Floats = np.ones(CHAINS)
    for place, table in enumerate(tables):
        chance *= softmax(table.detach().numpy())[np.arange(CHAINS), right[:, place]]
    return {"right": float(chance.mean()), "worst chain": float(chance.min())}


DA_PO = Check(
    row=200,
    name="direct-advantage-policy-optimization",
    claim="From the same answers to chains of steps, sampled once, regression on the advantages of steps brings more "
    "right answers than the reference, and than DPO on whole answers.",
    arms={  # each with the best β of 0.005 to 0.5, found with other seeds
        "reference": lambda seed: offline(seed, "reference"),
        "DPO": lambda seed: offline(seed, "DPO", beta=0.1),
        "DA-PO": lambda seed: offline(seed, "DA-PO", beta=0.02),
    },
    holds=lambda found: all(found.above("DA-PO", other, "right") for other in ("reference", "DPO")),
    units={"right": "chance of a right answer"},
    seeds=10,
)

# --- 222: several teachers, asked when there is need -----------------------------------------------------------------

THEMES, STYLES, PARTS = 10, 3, 4
"""Questions, styles of solving each, and tokens of a solution."""
SAID = 1 + THEMES
WORDS = 8
LEXICON = SAID + WORDS


def taught(
    seed: int, teachers: int, always: bool, updates: int = 100, groups: int = 10, members: int = 8
) -> Mapping[str, float]:
    """Accuracy and styles of a policy that fails at most questions at first.

    Args:
        seed: of everything.
        teachers: how many there are, each with a style of its own; 0: GRPO.
        always: whether teachers are heard in every group; else in those without any right answer.
        updates: gradient steps.
        groups: questions of each.
        members: answers to each.
    """
    random, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    solutions = torch.as_tensor(SAID + random.integers(0, WORDS, (THEMES, STYLES, PARTS)))
    policy = TinyPolicy(LEXICON, seed)
    shown = np.repeat(np.arange(THEMES), 40)
    texts = SAID + random.integers(0, WORDS, (len(shown), PARTS))
    easy = (shown < 3) & (random.random(len(shown)) < 0.5)
    texts = np.where(easy[:, None], solutions[shown, random.integers(0, STYLES, len(shown))].numpy(), texts)
    imitate(policy, 1 + shown[:, None], texts, 60)
    optimiser = torch.optim.Adam(policy.parameters(), 3e-3)
    for _ in range(updates):
        theme = torch.as_tensor(random.permutation(THEMES)[:groups]).repeat_interleave(members)
        prompts = 1 + theme[:, None]
        made = policy.write(prompts, PARTS, generator)
        right = (made[:, None] == solutions[theme]).all(-1).any(-1).view(groups, members)
        foreign = torch.zeros(groups, members, dtype=torch.bool)
        if teachers:
            asked = theme.view(groups, members)[:, 0]
            offered = solutions[asked][:, :teachers]  # [groups, teachers, PARTS]
            with torch.no_grad():
                flat = offered.flatten(0, 1)
                logs = policy.log_probs(1 + asked.repeat_interleave(teachers)[:, None], flat)
            last = torch.zeros_like(flat, dtype=torch.bool)
            last[:, -1] = True  # the last token is the answer, what goes before it the thought
            heard = comprehension(logs, last).view(groups, teachers)
            needy = torch.zeros_like(right) if always else right
            index = injected(needy, torch.ones(groups, teachers, dtype=torch.bool), heard, 2)
            foreign = index >= 0
            made = torch.where(
                foreign[..., None],
                offered[torch.arange(groups)[:, None], index.clamp(min=0)],
                made.view(groups, members, -1),
            ).flatten(0, 1)
            right = right | foreign
        gain = group_advantages(right.float()).flatten()
        logs = policy.log_probs(prompts, made)
        own = (logs * gain[:, None]).sum(-1)
        guided = (shaped_probability(logs) * gain[:, None]).sum(-1)
        loss = -torch.where(foreign.flatten(), guided, own).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimiser.step()
    theme = torch.arange(THEMES).repeat_interleave(64)
    with torch.no_grad():
        made = policy.write(1 + theme[:, None], PARTS, generator)
    match = (made[:, None] == solutions[theme]).all(-1).view(THEMES, 64, STYLES)
    return {
        "right": float(match.any(-1).float().mean()),
        "solved in 64": float(match.any(-1).any(1).float().mean()),
        "styles a question": float(match.any(1).float().sum(-1).mean()),
    }


AMPO = Check(
    row=222,
    name="adaptive-multi-guidance",
    claim="Three teachers that are heard only where all own answers are wrong bring more right answers and more "
    "solved questions than GRPO, and more styles of solving than one teacher, and than hearing them in every "
    "group.",
    arms={
        "GRPO": lambda seed: taught(seed, 0, always=False),
        "one teacher": lambda seed: taught(seed, 1, always=False),
        "three, always": lambda seed: taught(seed, 3, always=True),
        "AMPO": lambda seed: taught(seed, 3, always=False),
    },
    holds=lambda found: (
        found.above("AMPO", "GRPO", "right")
        and found.above("AMPO", "GRPO", "solved in 64")
        and all(found.above("AMPO", other, "styles a question") for other in ("one teacher", "three, always"))
    ),
    units={"right": "share of answers", "solved in 64": "share of questions"},
)
