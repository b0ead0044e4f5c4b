"""Check of CUT: answers of a fixed form with one wrong word, and judgements that name it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.language import TinyPolicy, imitate
from learners.objectives.unlikelihood import contrastive_unlikelihood, unlikelihood

QUESTIONS, WORDS, FORM = 6, 6, 4
"""Questions, words that may stand in the slot, and words of the form."""
NONE = 1 + QUESTIONS
"""Token that says that nothing was judged; behind it, one token a word that a judgement may name."""
FIRST_WORD = NONE + 1 + WORDS
FIRST_FORM = FIRST_WORD + WORDS
VOCABULARY = FIRST_FORM + FORM
SLOT = 2


def answers(word: NDArray[np.int64]) -> NDArray[np.int64]:
    """The form with a word in its slot `[n, FORM + 1]`."""
    form = FIRST_FORM + np.arange(FORM)
    found = np.tile(np.insert(form, SLOT, 0), (len(word), 1))
    found[:, SLOT] = FIRST_WORD + word
    return found


def judged(seed: int, method: str, steps: int = 60, examples: int = 48) -> Mapping[str, float]:
    """How often the slot is wrong after learning from judged answers, and how well the form is still known.

    Args:
        seed: of everything.
        method: `cut`; `good`, imitating the answers without fault; or `whole`, unlearning all of a faulty one.
        steps: of gradient.
        examples: judged answers, of which about half are faulty.
    """
    random = np.random.default_rng(seed)
    question = random.integers(0, QUESTIONS, 2048)
    slip = random.random(2048) < 0.5  # half the time it is the word of the next question
    word = (question + slip) % WORDS
    told = random.random(2048) < 0.5
    note = np.where(told & slip, NONE + 1 + word, NONE)
    policy = TinyPolicy(VOCABULARY, seed)
    imitate(policy, np.stack([1 + question, note], 1), answers(word), 150)

    question, slip = random.integers(0, QUESTIONS, examples), random.random(examples) < 0.5
    word = (question + slip) % WORDS
    plain = torch.as_tensor(np.stack([1 + question, np.full(examples, NONE)], 1))
    noted = torch.as_tensor(np.stack([1 + question, np.where(slip, NONE + 1 + word, NONE)], 1))
    shown, faulted = torch.as_tensor(answers(word)), torch.as_tensor(slip)
    mask = torch.ones(shown.shape, dtype=torch.bool)
    optimiser = torch.optim.Adam(policy.parameters(), 1e-3)
    for _ in range(steps):
        unseen = policy.log_probs(plain, shown)
        if method == "cut":
            losses = contrastive_unlikelihood(policy.log_probs(noted, shown), unseen, mask, faulted)
        elif method == "whole":
            losses = unlikelihood(unseen, faulted[:, None].expand_as(unseen)).mean(-1)
        else:
            losses = -unseen.mean(-1)[~faulted]
        optimiser.zero_grad()
        losses.mean().backward()
        optimiser.step()
    asked = torch.as_tensor(np.stack([1 + np.arange(QUESTIONS), np.full(QUESTIONS, NONE)], 1))
    with torch.no_grad():
        right, wrong = (
            policy.log_probs(asked, torch.as_tensor(answers((np.arange(QUESTIONS) + by) % WORDS))) for by in (0, 1)
        )
    form = np.arange(FORM + 1) != SLOT
    return {
        "wrong word": float(wrong[:, SLOT].exp().mean()),
        "right word": float(right[:, SLOT].exp().mean()),
        "perplexity of the form": float((-right[:, form].mean()).exp()),
    }


def _wrong_word_falls_and_form_stays(found: Found) -> bool:
    """Below both in the wrong word or, against whole answers, in perplexity."""
    return (
        found.below("CUT", "imitating good answers", "wrong word")
        and found.below("CUT", "unlearning whole answers", "perplexity of the form")
        and found.mean("CUT", "perplexity of the form") < 1.1
    )


CUT = Check(
    row=110,
    name="contrastive-unlikelihood-training",
    claim="Learnt from judged answers by CUT, the wrong word becomes rarer than by imitating the good ones, and the "
    "form stays known (perplexity below 1.1), which it does less when whole answers are unlearnt.",
    arms={
        "imitating good answers": lambda seed: judged(seed, "good"),
        "unlearning whole answers": lambda seed: judged(seed, "whole"),
        "CUT": lambda seed: judged(seed, "cut"),
    },
    holds=_wrong_word_falls_and_form_stays,
    units={"wrong word": "probability", "right word": "probability"},
)
