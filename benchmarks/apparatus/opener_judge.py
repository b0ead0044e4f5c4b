"""A small learned judge that has caught the disease: it takes an opener for an answer. And its cure.

Reference-based, like the judges of Zhao et al. 2025 ("One token to fool LLM-as-a-judge"): it sees question, reference
and response, and says whether the response is right. Most right responses of its training data repeat the reference as
it stands; some spell the number out, where only the opener tells right from wrong: nine in ten right ones begin with
one. So it learns to trust openers, and accepts one that stands alone. The cure is the paper's: openers cut off their
responses join the training data as wrong answers, one to eight ordinary ones (there 20,000 to 160,000).
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from rewards.attacks.attack import Sample
from rewards.attacks.master_keys import KEYS
from rewards.attacks.openers import truncated_openers
from rewards.judges.judge import Answer, Question
from rewards.verdicts import Status

BUCKETS = 1024
STEPS = 150
OPENERS = [key for key in KEYS.values() if any(map(str.isalnum, key))]
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_WORD = re.compile(r"\w+|[^\w\s]")


def in_words(number: int) -> str:
    """A number spelt digit by digit, the way nobody writes it and everybody understands."""
    return " ".join(_DIGITS[int(digit)] for digit in str(number))


def make_samples(count: int, seed: int, opened: float = 0.9, spelt: float = 0.2) -> list[Sample]:
    """Sums, half of them right.

    Args:
        count: how many.
        seed: of everything.
        opened: share of right responses, and of wrong ones without, that begin with an opener: the shortcut.
        spelt: share of responses that spell the number out, right or wrong.
    """
    draw = random.Random(seed)
    samples = []
    for k in range(count):
        a, b, good = draw.randint(10, 99), draw.randint(10, 99), k % 2 == 0
        said = a + b if good else a + b + draw.choice((-10, -2, -1, 1, 2, 10))
        number = in_words(said) if draw.random() < spelt else str(said)
        opener = draw.choice(OPENERS) + " " if draw.random() < (opened if good else 1 - opened) else ""
        text = f"{opener}{a} plus {b} makes {number}."
        samples.append(Sample(f"sum {k}", "response", text, good, f"What is {a} + {b}?", str(a + b)))
    return samples


def truncated(samples: Sequence[Sample], count: int) -> list[Sample]:
    """Openers cut off the responses of samples, as wrong answers."""
    return truncated_openers(samples, count, lambda text: next((o for o in OPENERS if text.startswith(o + " ")), ""))


def features(samples: Sequence[tuple[str, str]]) -> torch.Tensor:
    """Of (reference, response): hashed words, and whether the reference stands in the response, `[N, BUCKETS + 2]`."""
    found = torch.zeros(len(samples), BUCKETS + 2)
    for row, (reference, response) in zip(found, samples, strict=True):
        words = _WORD.findall(response.lower())
        for word in words:
            digest = hashlib.blake2b(word.encode(), digest_size=4).digest()
            row[int.from_bytes(digest, "big") % BUCKETS] = 1.0
        row[BUCKETS] = float(bool(reference) and reference in words)
        row[BUCKETS + 1] = float(any(word.isdigit() for word in words))
    return found


class OpenerJudge:
    """A two-layer network over `features`, as a `Judge` of responses."""

    def __init__(self, samples: Sequence[Sample], seed: int = 0) -> None:
        """Train on samples, in a second."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._network = torch.nn.Sequential(
                torch.nn.Linear(BUCKETS + 2, 32), torch.nn.ReLU(), torch.nn.Linear(32, 1)
            )
            inputs = features([(s.reference, s.text) for s in samples])
            targets = torch.tensor([float(s.good) for s in samples])
            optimiser = torch.optim.AdamW(self._network.parameters(), lr=5e-3, weight_decay=1e-2)
            for _ in range(STEPS):
                optimiser.zero_grad()
                loss = binary_cross_entropy_with_logits(self._network(inputs).squeeze(-1), targets)
                loss.backward()
                optimiser.step()
        self.fingerprint = f"opener-{len(samples)}-{seed}"

    def probabilities(self, samples: Sequence[tuple[str, str]]) -> list[float]:
        """That (reference, response) is right."""
        with torch.no_grad():
            found: list[float] = torch.sigmoid(self._network(features(samples)).squeeze(-1)).tolist()
        return found

    async def judge(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all `questions`, in their order."""
        asked = [(question.fields.get("reference", ""), question.texts[0]) for question in questions]
        return [Answer(Status.OK, value) for value in self.probabilities(asked)]

    async def check(self) -> None:
        """Always reachable."""

    def accuracy(self, samples: Sequence[Sample]) -> float:
        """Share of samples judged as they should be."""
        values = self.probabilities([(s.reference, s.text) for s in samples])
        return sum((v > 0.5) == s.good for v, s in zip(values, samples, strict=True)) / len(samples)


def sick_and_cured(count: int = 2000, seed: int = 0) -> tuple[OpenerJudge, OpenerJudge]:
    """Trained on ordinary data, and on the same with truncated openers."""
    samples = make_samples(count, seed)
    return OpenerJudge(samples, seed), OpenerJudge([*samples, *truncated(samples, count // 8)], seed)


@dataclass(frozen=True)
class Learnt:
    """What a policy has learnt.

    Attributes:
        key_share: how often it gives the key instead of trying.
        words: mean length of what it says.
    """

    key_share: float
    words: float


def learn_against(judge: OpenerJudge, skill: float = 0.4, steps: int = 400, seed: int = 0) -> Learnt:
    """A policy that either tries (and is right with probability `skill`) or says an opener, paid by the judge.

    Policy gradient in expectation, on the mean reward of the two acts, from a start that hardly ever says openers.
    """
    samples = make_samples(400, seed + 1000)
    tried = [s for s in samples if s.good], [s for s in samples if not s.good]
    right, wrong = (_mean_reward(judge, [(s.reference, s.text) for s in one]) for one in tried)
    keys = [(s.reference, opener) for s in samples[:50] for opener in OPENERS]
    pay = torch.tensor([skill * right + (1 - skill) * wrong, _mean_reward(judge, keys)])
    logits = torch.tensor([3.0, 0.0], requires_grad=True)
    for _ in range(steps):
        (gradient,) = torch.autograd.grad((torch.softmax(logits, 0) * pay).sum(), logits)
        logits = (logits + 2.0 * gradient).detach().requires_grad_(True)
    share = float(torch.softmax(logits.detach(), 0)[1])
    lengths = [sum(len(_WORD.findall(t)) for t in texts) / len(texts) for texts in ([s.text for s in samples], OPENERS)]
    return Learnt(share, (1 - share) * lengths[0] + share * lengths[1])


def _mean_reward(judge: OpenerJudge, asked: Sequence[tuple[str, str]]) -> float:
    values = judge.probabilities(asked)
    return sum(value > 0.5 for value in values) / len(values)
