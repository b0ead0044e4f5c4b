"""Checks of rewards for finding out: evidence in time, answers in any order, questions, tools that are needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check
from benchmarks.methods.worlds.forms import Field, Form, by_prompt, trained
from benchmarks.methods.worlds.menu import Floats, view
from learners.objectives.self_critic import critic_pairs
from rewards.columns import Column
from rewards.sources.agreement import shuffled_agreement
from rewards.sources.evidence import Event, Session, temporal_evidence
from rewards.sources.information import belief_gain
from rewards.views.layout import Level

Part = Mapping[str, Any]
Ints = NDArray[np.int64]
SCORE: Mapping[str, Level] = {"score": "episode"}
SUM: Part = {"part": "weighted_sum", "coefficients": {"score": 1.0}}
GRPO: Part = {"part": "group_relative", "preset": "grpo", "of": "reward"}

# --- 180: the session that holds the answer --------------------------------------------------------------------------

QUESTIONS, GUESSES, SPAN = 8, 4, 10.0


def remembered(seed: int, history: int, evidence: bool, updates: int = 300) -> Mapping[str, float]:
    """Right answers, and right evidence, about a diary: the answer can be read from one session only.

    Args:
        seed: of the diary and sampling.
        history: sessions.
        evidence: whether the evidence that was picked, and its time, are paid; else the answer alone.
        updates: batches.
    """
    random = np.random.default_rng(seed)
    days = np.sort(random.uniform(0, 365, history))
    gold = random.integers(0, history, QUESTIONS)
    right = random.integers(0, GUESSES, QUESTIONS)
    # What a session says: the truth where it is the gold one, anything elsewhere.
    told = random.integers(0, GUESSES, (QUESTIONS, history))
    told[np.arange(QUESTIONS), gold] = right
    windows = [(float(days[g]) - SPAN, float(days[g]) + SPAN) for g in gold]
    sessions = [Session(float(day), (Event((float(day) - 1, float(day)), 1.0),)) for day in days]

    def judged(prompt: Ints, forms: Ints, random: np.random.Generator) -> Mapping[str, Column]:
        paid = []
        for asked, (picked, answer) in zip(prompt, forms, strict=True):
            won = 1.0 if answer == right[asked] else -1.0
            names = [str(picked)], [str(gold[asked])]
            whole = temporal_evidence(won, *names, [sessions[picked]], windows[asked])
            paid.append(whole if evidence and whole is not None else won)
        return {"score": Column.full(paid)}

    # The answer is given by what the picked session says, and is mostly repeated faithfully from the start.
    def read(prompt: Ints, filled: Ints) -> Ints:
        found: Ints = told[prompt, filled[:, 0]]
        return found

    fields = [Field(history, QUESTIONS), Field(GUESSES, GUESSES, read, 1.0 * np.eye(GUESSES))]
    form = trained(Form(fields), QUESTIONS, judged, view(SCORE, SUM, GRPO), seed, updates)
    prompt = np.repeat(np.arange(QUESTIONS), 100)
    forms = form.filled(prompt, np.random.default_rng(10_000 + seed))
    days_off = np.abs(days[forms[:, 0]] - days[gold[prompt]])
    return {
        "right": float((forms[:, 1] == right[prompt]).mean()),
        "gold evidence": float((forms[:, 0] == gold[prompt]).mean()),
        "evidence in time": float((days_off <= SPAN).mean()),
    }


MEMORY_T1 = Check(
    row=180,
    name="temporal-evidence-reward",
    claim="At equal updates rewards for evidence and its time beside the answer bring more right answers about a "
    "diary of 10 sessions, and of 100, than the answer alone, and more answers that rest on the session that "
    "holds them.",
    arms={
        f"{what}, {history} sessions": partial(remembered, history=history, evidence=evidence)
        for history in (10, 100)
        for what, evidence in (("answer", False), ("answer and evidence", True))
    },
    holds=lambda found: all(
        found.above(f"answer and evidence, {history} sessions", f"answer, {history} sessions", measure)
        for history in (10, 100)
        for measure in ("right", "gold evidence")
    ),
    units={"right": "share of answers"},
)

# --- 91: options in another order ------------------------------------------------------------------------------------

CONTENTS = 4
"""Options of a question, and places that they may stand in; order k puts content c at place (c + k) % 4."""


def shuffled(seed: int, consistent: bool, updates: int = 600) -> Mapping[str, float]:
    """Accuracy on questions whose right option stands anywhere, after training where it mostly stands first.

    Args:
        seed: of questions and sampling.
        consistent: whether the answer after a shuffle counts too; else the first answer alone.
        updates: batches.
    """
    random = np.random.default_rng(seed)
    questions = 12
    truth = random.integers(0, CONTENTS, questions)
    # A prompt is a question in one order; in seven of ten the right option stands first.
    orders = np.arange(CONTENTS)
    first = (-truth) % CONTENTS
    prompts = [(q, int(first[q])) for q in range(questions) for _ in range(7)]
    prompts += [(q, int(k)) for q in range(questions) for k in orders if k != first[q]]
    asked, order = (np.array(column) for column in zip(*prompts, strict=True))

    def reasoned(prompt: Ints, filled: Ints) -> Ints:
        return asked[prompt]

    def placed(prompt: Ints, filled: Ints) -> Ints:
        """What an answer may look at: the order, and which content the reasoning names."""
        found: Ints = order[prompt] * CONTENTS + filled[:, 0]
        return found

    # At first it reasons a little better than by chance, follows its reasoning a little, and the first place more.
    knows = 0.7 * np.eye(CONTENTS)[truth]
    follows = np.stack([np.eye(CONTENTS)[(named + k) % CONTENTS] for k in orders for named in range(CONTENTS)])
    habit = follows + np.array([1.5, 0.0, 0.0, 0.0])
    form = Form([Field(CONTENTS, questions, reasoned, knows), Field(CONTENTS, CONTENTS**2, placed, habit)])

    def answers(prompt: Ints, reasoning: Ints, orders: Ints, random: np.random.Generator) -> Ints:
        logits = form.logits[1][orders * CONTENTS + reasoning]
        place = (logits + random.gumbel(size=logits.shape)).argmax(-1)
        found: Ints = (place - orders) % CONTENTS
        return found

    def judged(prompt: Ints, forms: Ints, random: np.random.Generator) -> Mapping[str, Column]:
        given = (forms[:, 1] - order[prompt]) % CONTENTS
        other = (order[prompt] + random.integers(1, CONTENTS, len(prompt))) % CONTENTS
        again = answers(prompt, forms[:, 0], other, random)
        wanted = truth[asked[prompt]]
        paid = shuffled_agreement(given, again if consistent else given, wanted)
        return {"score": Column.full(paid)}

    trained(form, len(prompts), judged, view(SCORE, SUM, GRPO), seed, updates, groups=16)
    test = np.random.default_rng(10_000 + seed)
    prompt = test.integers(0, len(prompts), 4000)
    reasoning = form.filled(prompt, test)[:, 0]
    one, two = (answers(prompt, reasoning, test.integers(0, CONTENTS, len(prompt)), test) for _ in range(2))
    wanted = truth[asked[prompt]]
    return {
        "right, any order": float((one == wanted).mean()),
        "same answer after a shuffle": float((one == two).mean()),
        "answer is what was reasoned": float((one == reasoning).mean()),
    }


ACRE = Check(
    row=91,
    name="option-shuffle-consistency-reward",
    claim="After training on questions whose right option mostly stands first, the reward that also asks in another "
    "order brings more right answers with options in any order, and more that stay the same after a shuffle, "
    "than accuracy alone.",
    arms={
        "accuracy": lambda seed: shuffled(seed, consistent=False),
        "ACRE": lambda seed: shuffled(seed, consistent=True),
    },
    holds=lambda found: all(
        found.above("ACRE", "accuracy", measure) for measure in ("right, any order", "same answer after a shuffle")
    ),
    units={"right, any order": "share of answers"},
)

# --- 150: what is wanted, by asking ----------------------------------------------------------------------------------

SLOTS, VALUES, TURNS = 3, 4, 10
INTENTS = np.stack(np.meshgrid(*[np.arange(VALUES)] * SLOTS, indexing="ij"), -1).reshape(-1, SLOTS)
ASKABLE: Floats = np.stack(
    [test for slot in range(SLOTS) for v in [INTENTS[:, slot]] for test in (v < 2, v % 2 == 0, v == 0, v >= 2)], -1
).astype(np.float64)
"""Of each intent, the true answer to each question `[64, 12]`: two that halve, one that does not, one said twice."""


def asking(seed: int, reward: str, noise: float, updates: int = 250) -> Mapping[str, float]:
    """How soon and how well an intent is found by a policy of questions, with a user who errs now and then.

    Args:
        seed: of intents, users and sampling.
        reward: "information": the gain of each turn; "outcome": whether the intent is found; "none": random questions.
        noise: chance of a wrong answer.
        updates: batches.
    """

    def beliefs(forms: Ints, random: np.random.Generator) -> tuple[Floats, Ints]:
        """Belief before and after each turn `[B, T + 1, 64]`, and the intents."""
        wanted = random.integers(0, len(INTENTS), len(forms))
        found = np.full((len(forms), TURNS + 1, len(INTENTS)), 1 / len(INTENTS))
        for t in range(TURNS):
            truth = ASKABLE[:, forms[:, t]].T  # [B, 64]
            said = truth[np.arange(len(forms)), wanted]
            said = np.where(random.random(len(forms)) < noise, 1 - said, said)
            doubt = max(noise, 1e-6)
            after = found[:, t] * np.where(truth == said[:, None], 1 - doubt, doubt)
            found[:, t + 1] = after / after.sum(-1, keepdims=True)
        return found, wanted

    def judged(prompt: Ints, forms: Ints, random: np.random.Generator) -> Mapping[str, Column]:
        belief, wanted = beliefs(forms, random)
        if reward == "information":
            return {"score": Column.full(belief_gain(belief[:, :-1], belief[:, 1:]).ravel())}
        return {"score": Column.full(belief[:, -1].argmax(-1) == wanted)}

    levels: Mapping[str, Level] = {"score": "step" if reward == "information" else "episode"}
    stepwise: tuple[Part, ...] = (
        {"part": "returns", "of": "score", "gamma": 0.7, "to": "reward"},  # what is known later is worth less
        {"part": "position_relative", "preset": "tp_grpo", "of": "reward"},
    )
    made = view(levels, *(stepwise if reward == "information" else (SUM, GRPO)))
    form = Form([Field(ASKABLE.shape[1], 1) for _ in range(TURNS)])
    if reward != "none":
        trained(form, 1, judged, made, seed, updates)
    test = np.random.default_rng(10_000 + seed)
    forms = form.filled(np.zeros(2000, np.int64), test)
    belief, wanted = beliefs(forms, test)
    sure = belief.max(-1) > 0.5
    turns = np.where(sure.any(1), sure.argmax(1), TURNS + 1)
    guessed = INTENTS[belief[:, -1].argmax(-1)]
    return {"turns until sure": float(turns.mean()), "slots right": float((guessed == INTENTS[wanted]).mean())}


NOUS = Check(
    row=150,
    name="intent-entropy-reduction",
    claim="Rewarded with what each question tells, a policy of questions is sure of an intent among 64 in fewer "
    "turns, and gets more slots right, than rewarded with the outcome alone or asking at random, with users who "
    "err never and in one of twenty answers.",
    arms={
        f"{reward}, noise {noise:g}": partial(asking, reward=reward, noise=noise)
        for noise in (0.0, 0.05)
        for reward in ("none", "outcome", "information")
    },
    holds=lambda found: all(
        found.below(f"information, noise {noise}", f"{other}, noise {noise}", "turns until sure")
        and found.above(f"information, noise {noise}", f"{other}, noise {noise}", "slots right")
        for noise in ("0", "0.05")
        for other in ("none", "outcome")
    ),
    units={"turns until sure": "turns; 6 are needed", "slots right": "share"},
)

# --- 211: two tools, of which both are needed ------------------------------------------------------------------------

ASKED, HIDDEN, SAID = 4, 4, 5
"""Questions, what only both tools together bring to light of each, and answers that can be given."""
NOTHING, SEARCH, PYTHON = 0, 1, 2


def tools(seed: int, hierarchical: bool, critic: bool, updates: int = 400) -> Mapping[str, float]:
    """Right answers, form, and use of both tools in two-step questions.

    Args:
        seed: of questions and sampling.
        hierarchical: −1 without form, a tenth more where right with both tools; else right or not.
        critic: whether every fourth batch is learnt from by DPO on the best and the worst answer, not by GRPO.
        updates: batches in all.
    """
    random = np.random.default_rng(seed)
    answer = random.integers(0, SAID, (ASKED, HIDDEN))

    def both(forms: Ints) -> NDArray[np.bool_]:
        used = np.sort(forms[:, 1:3], axis=1)
        return np.asarray((used == [SEARCH, PYTHON]).all(-1))

    def seen(prompt: Ints, filled: Ints) -> Ints:
        """What is hidden is known with both tools; else the question alone is."""
        question, hidden = prompt // HIDDEN, prompt % HIDDEN
        return np.where(both(filled), question * (HIDDEN + 1) + 1 + hidden, question * (HIDDEN + 1))

    def judged(prompt: Ints, forms: Ints, random: np.random.Generator) -> Mapping[str, Column]:
        form = forms[:, 0] == 0
        right = form & (forms[:, 3] == answer[prompt // HIDDEN, prompt % HIDDEN])
        found = {"right": right, "both_tools": both(forms), "form": form}
        return {name: Column.full(values) for name, values in found.items() if name in levels}

    hierarchy: tuple[Part, ...] = (
        {"part": "gate", "preset": "if_right", "of": "both_tools"},
        {"part": "weighted_sum", "coefficients": {"right": 1.0, "both_tools": 0.1}},
        {"part": "gate", "preset": "form_or_minus_one", "of": "reward"},
        GRPO,
    )
    flat: tuple[Part, ...] = ({"part": "weighted_sum", "coefficients": {"right": 1.0}}, GRPO)
    levels: Mapping[str, Level] = dict.fromkeys(
        ("right", "both_tools", "form") if hierarchical else ("right",), "episode"
    )
    made = view(levels, *(hierarchy if hierarchical else flat))
    # Three of four forms are no form; tools are rarely used at first.
    policy = Form(
        [
            Field(4, ASKED * HIDDEN, by_prompt),
            Field(3, ASKED, lambda prompt, filled: prompt // HIDDEN, np.array([[0.5, 0.0, 0.0]])),
            Field(
                3, ASKED * 3, lambda prompt, filled: prompt // HIDDEN * 3 + filled[:, 1], np.array([[0.5, 0.0, 0.0]])
            ),
            Field(SAID, ASKED * (HIDDEN + 1), seen),
        ]
    )

    def score(prompt: Ints, forms: Ints) -> Floats:
        right = forms[:, 3] == answer[prompt // HIDDEN, prompt % HIDDEN]
        return np.where(forms[:, 0] == 0, right * (1 + 0.1 * both(forms)), -1.0)

    phase, count = 20, 0
    while count < updates:
        trained(policy, ASKED * HIDDEN, judged, made, 1000 * seed + count, phase * 3 // 4 if critic else phase)
        if critic:
            preferred(policy, score, 1000 * seed + count, phase // 4)
        count += phase

    prompt = np.repeat(np.arange(ASKED * HIDDEN), 50)
    forms = policy.filled(prompt, np.random.default_rng(10_000 + seed))
    right = (forms[:, 0] == 0) & (forms[:, 3] == answer[prompt // HIDDEN, prompt % HIDDEN])
    return {
        "right": float(right.mean()),
        "right with both tools": float((right & both(forms)).mean()),
        "form": float((forms[:, 0] == 0).mean()),
    }


def preferred(
    policy: Form,
    score: Callable[[Ints, Ints], Floats],
    seed: int,
    updates: int,
    groups: int = 8,
    members: int = 8,
    beta: float = 1.0,
) -> None:
    """Steps of DPO on the best and the worst of each group of own answers, from the policy as it was at first."""
    random = np.random.default_rng(seed)
    reference = Form(policy.fields)
    reference.logits = [logits.copy() for logits in policy.logits]
    for _ in range(updates):
        prompt = np.repeat(random.integers(0, ASKED * HIDDEN, groups), members)
        forms = policy.filled(prompt, random)
        pairs = critic_pairs(torch.as_tensor(score(prompt, forms).reshape(groups, members)))
        chosen, rejected = (pair.numpy() for pair in pairs)
        there = np.flatnonzero(chosen >= 0)
        if not len(there):
            continue
        won, lost = there * members + chosen[there], there * members + rejected[there]
        ratio = (policy.log_probs(prompt, forms) - reference.log_probs(prompt, forms)).sum(-1)
        push = beta / (1 + np.exp(beta * (ratio[won] - ratio[lost])))  # the slope of −log σ(β h)
        rows = np.concatenate([won, lost])
        gain = np.concatenate([push, -push])[:, None] * np.ones((1, forms.shape[1])) / groups
        policy.ascend(prompt[rows], forms[rows], gain, 2.0)


TOOL_STAR = Check(
    row=211,
    name="hierarchical-tool-reward",
    claim="Where answers take both tools, the hierarchical reward brings more right answers with both than right or "
    "not; with every fourth batch learnt from by DPO on the policy's own best and worst answers, form and right "
    "answers rise further at equal samples.",
    arms={
        "right or not": lambda seed: tools(seed, hierarchical=False, critic=False),
        "hierarchical": lambda seed: tools(seed, hierarchical=True, critic=False),
        "hierarchical, self-critic": lambda seed: tools(seed, hierarchical=True, critic=True),
    },
    holds=lambda found: (
        found.above("hierarchical", "right or not", "right with both tools")
        and found.above("hierarchical, self-critic", "hierarchical", "form")
        and found.above("hierarchical, self-critic", "hierarchical", "right")
    ),
    units={"right": "share of answers", "form": "share of answers"},
    seeds=10,
)
