"""Check of edits that are consolidated: twenty facts change one after another, and are asked for in other words."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import cache, partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.language import END, TinyPolicy, Writing, imitate, mask_of, reinforce
from learners.objectives.proximal_sft import proximal_sft
from rewards.columns import Column
from rewards.verifiers.answers import answer_match
from rewards.verifiers.edited_fact import edited_fact
from rewards.views.view import Config, RewardView

THINGS, FORMS, EDITED = 40, 3, 20
"""Things with a fact each, ways to ask for it, and facts that change."""
ASK = 1
"""Token of the first way to ask; then come tags, words about old facts, and things."""
OPEN, CLOSE, OUTDATED, REMAINS = range(ASK + FORMS, ASK + FORMS + 4)
THING = REMAINS + 1
VOCABULARY, LENGTH = THING + THINGS, 8
WORDS = {OPEN: "<answer>", CLOSE: "</answer>", OUTDATED: "outdated", REMAINS: "remains"}
TURNS, INNER, RATE, EPSILON = 20, 2, 1e-3, 0.2
"""Times that the old policy of an edit is taken anew, gradient steps between them, their rate, and ε."""
CONSOLIDATED, SECOND_RATE = 100, 1e-3
"""Updates of the second stage, and their rate."""
VIEW = RewardView(
    Config.model_validate(
        {
            "name": "consolidate",
            "components": {"said": "episode"},
            "parts": [
                {"part": "scale", "of": "said", "factor": 1.0, "to": "reward"},
                {"part": "group_relative", "preset": "grpo", "of": "reward"},
            ],
        }
    )
)
Ints = NDArray[np.int64]


def questions(things: Ints, form: int) -> Ints:
    """Prompts `[n, 2]`."""
    return np.stack([np.full(len(things), ASK + form), THING + things], 1)


def thoughts(facts: Ints) -> Ints:
    """Completions `[n, LENGTH]`: the fact, and then the answer between tags."""
    fact, tag = THING + facts, np.ones_like(facts)
    return np.stack([fact, OPEN * tag, fact, CLOSE * tag, *(LENGTH - 4) * [END * tag]], 1)


def text(completion: Ints) -> str:
    """A completion in words."""
    kept = completion[: int(np.argmax(completion == END))] if (completion == END).any() else completion
    return " ".join(WORDS.get(int(token), f"w{token}") for token in kept)


@cache
def world(seed: int) -> tuple[TinyPolicy, Ints, Ints, Ints]:
    """A policy that knows all facts, the facts, the things that are edited in order, and what is true of them then."""
    random = np.random.default_rng(seed)
    facts, things = random.integers(0, THINGS, THINGS), random.permutation(THINGS)[:EDITED]
    new = (facts[things] + random.integers(1, THINGS, EDITED)) % THINGS
    asked = np.concatenate([questions(np.arange(THINGS), form) for form in range(FORMS)])
    policy = TinyPolicy(VOCABULARY, seed)
    imitate(policy, asked, np.tile(thoughts(facts), (FORMS, 1)), 300)
    return policy, facts, things, new


def edit(policy: TinyPolicy, asked: Tensor, wanted: Tensor, proximal: bool) -> None:
    """One fact, in place: the recurrent cell alone is trained, as much with a trust region as without."""
    optimiser = torch.optim.Adam(policy.cell.parameters(), RATE)
    mask = mask_of(wanted).float()
    for _ in range(TURNS):
        with torch.no_grad():
            old = policy.log_probs(asked, wanted)
        for _ in range(INNER):
            now = policy.log_probs(asked, wanted)
            losses = proximal_sft(now, old, EPSILON) if proximal else -now
            optimiser.zero_grad()
            ((losses * mask).sum() / mask.sum()).backward()
            optimiser.step()


def right(policy: TinyPolicy, asked: Ints, facts: Ints) -> float:
    """Share of free answers that are right, greedily."""
    written = policy.write(torch.as_tensor(asked), LENGTH, torch.Generator(), greedy=True).numpy()
    said = [text(row).partition("<answer>")[2].partition("</answer>")[0] for row in written]
    return float(np.mean([answer_match(one, f"w{THING + fact}") for one, fact in zip(said, facts, strict=True)]))


def consolidate(policy: TinyPolicy, seed: int) -> None:
    """GRPO on free answers to the questions that were edited, in place."""
    _, facts, things, new = world(seed)
    names = {int(THING + t): (f"w{THING + n}", f"w{THING + facts[t]}") for t, n in zip(things, new, strict=True)}

    def prompts(random: np.random.Generator, number: int) -> Ints:
        return questions(random.choice(things, number), 0)

    def judged(writing: Writing) -> Mapping[str, Column]:
        asked = [names[int(prompt[1])] for prompt in writing.prompts]
        found = [edited_fact(text(row), *pair) for row, pair in zip(writing.completions, asked, strict=True)]
        return {"said": Column.full(np.array(found, np.float32))}

    reinforce(policy, prompts, judged, VIEW, seed, CONSOLIDATED, length=LENGTH, rate=SECOND_RATE)


@cache
def after_edits(seed: int, proximal: bool) -> TinyPolicy:
    """The policy behind the first stage, fact after fact; it is copied, never trained."""
    before, _, things, new = world(seed)
    policy = deepcopy(before)
    for asked, wanted in zip(questions(things, 0)[:, None], thoughts(new)[:, None], strict=True):
        edit(policy, torch.as_tensor(asked), torch.as_tensor(wanted), proximal)
    return policy


def edited(seed: int, proximal: bool, then: str = "") -> Mapping[str, float]:
    """What is said of edited facts in the words they were edited by, in others, and of facts that were left alone.

    Args:
        seed: of everything.
        proximal: whether edits have a trust region.
        then: what follows: `consolidate`, or `rehearse` all edits together, supervised, with as many updates.
    """
    _, facts, things, new = world(seed)
    policy = deepcopy(after_edits(seed, proximal))
    if then == "consolidate":
        consolidate(policy, seed)
    elif then == "rehearse":
        imitate(policy, questions(things, 0), thoughts(new), CONSOLIDATED, SECOND_RATE)
    others = np.setdiff1d(np.arange(THINGS), things)
    return {
        "reliability": right(policy, questions(things, 0), new),
        "generality": float(np.mean([right(policy, questions(things, form), new) for form in range(1, FORMS)])),
        "locality": float(np.mean([right(policy, questions(others, form), facts[others]) for form in range(FORMS)])),
    }


def _said_and_kept(found: Found) -> bool:
    """More of the new is said than after either way to edit alone, and more of the rest is kept than with SFT."""
    said = all(
        found.above("EtCon", other, name) for other in ("SFT", "TPSFT") for name in ("reliability", "generality")
    )
    return said and found.above("EtCon", "SFT", "locality")


ETCON = Check(
    row=143,
    name="edit-then-consolidate",
    claim="After twenty edits in a row, free answers say the new facts more often if they were made in a trust "
    "region and consolidated by GRPO than after supervised edits or edits in a trust region alone, in the words of the "
    "edits and in others, and other facts are kept more often than after supervised edits.",
    arms={
        "SFT": partial(edited, proximal=False),
        "TPSFT": partial(edited, proximal=True),
        "SFT, consolidated": partial(edited, proximal=False, then="consolidate"),
        "SFT, rehearsed": partial(edited, proximal=False, then="rehearse"),
        "EtCon": partial(edited, proximal=True, then="consolidate"),
    },
    holds=_said_and_kept,
    units={name: "share of questions" for name in ("reliability", "generality", "locality")},
)
