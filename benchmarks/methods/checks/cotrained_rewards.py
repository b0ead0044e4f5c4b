"""Checks of rewards that change while a policy learns from them: by verified pairs, by references, by new criteria."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import cache, partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from benchmarks.methods.checks.noisy_steps import ETA, GROUPS, MEMBERS, grouped
from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds import arithmetic, attributes
from benchmarks.methods.worlds.flows import STEPS, Velocity, ascend, match
from benchmarks.methods.worlds.language import END, TinyPolicy, Writing, imitate, reinforce, write
from benchmarks.methods.worlds.scores import grpo
from learners.flows.sampler import sample
from learners.flows.steps import noise_window
from learners.objectives.verified_pairs import first_verified, pair_weights, verified_pair_loss
from rewards.columns import Column
from rewards.models.reference_discriminator import ReferenceDiscriminator, discrimination, hinge_loss
from rewards.sources.evolving_rubric import Episode, EvolvingRubric, MetaRewardModel, Rubric

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
WINDOW = 10
"""Updates over which curves are averaged."""


def averaged(curve: Sequence[float]) -> Floats:
    """Means of all neighbouring updates."""
    found: Floats = np.convolve(curve, np.full(WINDOW, 1 / WINDOW), "valid")
    return found


def lost(curve: Sequence[float]) -> float:
    """How far below its best a curve ends."""
    means = averaged(curve)
    return float(means.max() - means[-1])


def gained(curve: Sequence[float]) -> float:
    """How far above its beginning a curve ends."""
    means = averaged(curve)
    return float(means[-1] - means[0])


# --- 8: sums with fillers before the answer ---------------------------------------------------------------------------

FILLER, LENGTH, PLACES, READ = arithmetic.PLUS, 6, arithmetic.LENGTH, 3
"""Token that may lead a text any number of times, tokens of a text, places of an answer, and those that are read."""
LESSONS, UPDATES, ANSWERS = 400, 150, 8
"""What the reward model is first taught with, updates of the policy, and its answers to each sum."""
prompts = partial(arithmetic.prompts, largest=10)
Arm = Literal["reward model as it was", "rule alone", "Cooper", "Cooper, wrong answers in the same form"]
ARMS: tuple[Arm, ...] = ("reward model as it was", "rule alone", "Cooper", "Cooper, wrong answers in the same form")


def stripped(texts: Ints) -> tuple[Ints, Ints]:
    """Texts without the fillers that lead them `[n, LENGTH]`, and how many these were `[n]`."""
    fillers = (texts == FILLER).cumprod(1).sum(1)
    padded = np.pad(texts, ((0, 0), (0, LENGTH)), constant_values=END)
    return np.take_along_axis(padded, np.arange(LENGTH) + fillers[:, None], 1), fillers


def dressed(digits: Ints, fillers: Ints) -> Ints:
    """Answers `[n, PLACES]` behind fillers `[n]`, as texts; what has no room is cut `[n, LENGTH]`."""
    padded = np.pad(digits, ((0, 0), (0, LENGTH)), constant_values=END)
    place = np.arange(LENGTH) - fillers[:, None]
    return np.where(place < 0, FILLER, np.take_along_axis(padded, place.clip(min=0), 1))


def answered(asked: Ints, texts: Ints) -> NDArray[np.bool_]:
    """Whether behind the fillers stands the right answer, and nothing else `[n]`."""
    wanted = np.pad(arithmetic.answers(asked), ((0, 0), (0, LENGTH - PLACES)), constant_values=END)
    return np.asarray((stripped(texts)[0] == wanted).all(1))


def spoilt(digits: Ints, random: np.random.Generator) -> Ints:
    """Answers with one digit changed, or one too many `[n, PLACES]`."""
    rows, place = np.arange(len(digits)), random.integers(0, (digits != END).sum(1) + 1)
    found: Ints = digits.copy()
    other = random.integers(1, 10, len(digits))
    found[rows, place] = arithmetic.DIGIT + (digits[rows, place] - arithmetic.DIGIT + other) % 10
    return found


class Verifier(nn.Module):
    """Whether a text says what the reference does, as a logit: by what stands in each place, and by the fillers."""

    def __init__(self) -> None:
        """Knows nothing."""
        super().__init__()
        self.beside = nn.Parameter(torch.zeros(READ, arithmetic.VOCABULARY, arithmetic.VOCABULARY))
        self.filler, self.bias = nn.Parameter(torch.zeros(())), nn.Parameter(torch.zeros(()))

    def forward(self, reference: Ints, texts: Ints) -> Tensor:
        """Logits `[n]` of references `[n, PLACES]` and texts."""
        digits, fillers = stripped(texts)
        place, wanted, said = (torch.as_tensor(x) for x in (np.arange(READ), reference[:, :READ], digits[:, :READ]))
        found: Tensor = self.beside[place, wanted, said].sum(1) + self.filler * torch.as_tensor(fillers) + self.bias
        return found


@cache
def verifier(seed: int) -> Verifier:
    """A reward model taught with labels of answers: nine in ten right ones have fillers, and one in ten wrong ones."""
    random, model = np.random.default_rng(2000 + seed), Verifier()
    reference = arithmetic.answers(prompts(random, LESSONS))
    good = np.arange(LESSONS) % 2 == 0
    digits = np.where(good[:, None], reference, spoilt(reference, random))
    led = random.random(LESSONS) < np.where(good, 0.9, 0.1)
    texts, labels = dressed(digits, led * random.integers(1, 3, LESSONS)), torch.as_tensor(good).float()
    optimiser = torch.optim.AdamW(model.parameters(), 0.05, weight_decay=0.1)
    for _ in range(200):
        loss = binary_cross_entropy_with_logits(model(reference, texts), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model


@cache
def beginner(seed: int) -> TinyPolicy:
    """A policy taught with right answers, two in five of them behind one filler or two: over half of its are right."""
    random, policy = np.random.default_rng(1000 + seed), TinyPolicy(arithmetic.VOCABULARY, seed)
    asked = prompts(random, 256)
    imitate(policy, asked, dressed(arithmetic.answers(asked), random.choice([0, 0, 0, 1, 2], len(asked))), 150)
    return policy


def cotrained(seed: int, arm: Arm) -> Mapping[str, float]:
    """GRPO by a reward model that may go on learning, or by a rule.

    Args:
        seed: of everything.
        arm: which. The wrong answers of Cooper are dressed up with as many fillers as fit, as one does who is told to
            mislead; or they have as many as the right ones.
    """
    random, policy, model = np.random.default_rng(500 + seed), deepcopy(beginner(seed)), deepcopy(verifier(seed))
    optimiser = torch.optim.Adam(model.parameters(), 0.1)
    truth, paid = list[float](), list[float]()

    def learn(reference: Ints, writing: Writing, right: NDArray[np.bool_]) -> None:
        """Stage 2, on the same batch."""
        chosen = first_verified(torch.as_tensor(right, dtype=torch.float32).view(-1, ANSWERS))
        row = ANSWERS * np.arange(len(chosen)) + chosen.clamp(min=0).numpy()
        asked, good = writing.prompts[row], writing.completions[row]
        digits = spoilt(reference[row], random)
        same = stripped(good)[1]
        bad = dressed(digits, same if arm == ARMS[3] else LENGTH - (digits != END).sum(1))
        weights = pair_weights(chosen, torch.as_tensor(answered(asked, bad), dtype=torch.float32))
        if weights.any():
            loss = verified_pair_loss(model(reference[row], good), model(reference[row], bad), weights)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    def judged(writing: Writing) -> Mapping[str, Column]:
        reference, right = arithmetic.answers(writing.prompts), answered(writing.prompts, writing.completions)
        with torch.no_grad():
            scores = model(reference, writing.completions).sigmoid().double().numpy()
        score = right.astype(np.float64) if arm == "rule alone" else scores
        truth.append(float(right.mean()))
        paid.append(float(score.mean()))
        if arm in ARMS[2:]:
            learn(reference, writing, right)
        return {"score": Column.full(score)}

    reinforce(policy, prompts, judged, grpo(), seed, UPDATES, members=ANSWERS, length=LENGTH, rate=4e-3)
    held = np.random.default_rng(9000 + seed)
    asked = prompts(held, 512)
    written = write(policy, asked, 1, LENGTH, torch.Generator().manual_seed(seed))
    reference = arithmetic.answers(asked)
    digits = reference, spoilt(reference, held)
    with torch.no_grad():
        good, bad = (model(reference, dressed(one, held.integers(0, LENGTH - 1, len(asked)))) for one in digits)
    return {
        "accuracy": float(answered(asked, written.completions).mean()),
        "accuracy lost": lost(truth),
        "score gained": gained(paid),
        "fillers": float(stripped(written.completions)[1].mean()),
        "pairs right": float((good > bad).float().mean()),
    }


def _robust(found: Found) -> bool:
    still, cooper = "reward model as it was", "Cooper"
    rule = found.difference(cooper, "rule alone", "accuracy")
    return (
        found.interval(still, "accuracy lost")[0] > 0.05
        and found.interval(still, "score gained")[0] > 0
        and found.above(cooper, still, "accuracy")
        and (rule.low or 0.0) > -0.05
        and found.interval(cooper, "pairs right")[0] > 0.9
    )


COOPER = Check(
    row=8,
    name="policy-reward-cotraining",
    claim="A reward model that likes fillers is exploited where it stays as it was: its scores rise, and accuracy ends "
    "more than 0.05 below its best. Taught on with verified answers and wrong ones, it leaves the policy more "
    "accurate, at most 0.05 less than the rule alone does, and is right about more than nine in ten pairs.",
    arms={arm: partial(cotrained, arm=arm) for arm in ARMS},
    holds=_robust,
    units={"accuracy": "share of answers", "fillers": "fillers", "pairs right": "share of pairs"},
)


# --- 98: points that should look like references ----------------------------------------------------------------------

RADIUS, SIZE, NUMBER = 2.0, 32, GROUPS * MEMBERS
"""Of the references' circle, numbers of a feature, and samples of a batch."""
FIRST, EACH, ROUNDS = 100, 2, 80
"""Steps of the discriminator before the first update and at each, and updates."""
Reward = Literal["fixed proxy", "discriminator as it was", "discriminator, trained on"]
REWARDS: tuple[Reward, ...] = ("fixed proxy", "discriminator as it was", "discriminator, trained on")


def on_a_circle(number: int, radius: float, spread: float) -> Tensor:
    """Points around a circle `[n, 2]`."""
    angle = 2 * torch.pi * torch.rand(number)
    return radius * torch.stack([angle.cos(), angle.sin()], 1) + spread * torch.randn(number, 2)


@cache
def generator(seed: int) -> Velocity:
    """A flow that was taught points more blurred, and nearer to the middle, than the references are."""
    flow = Velocity(seed)
    match(flow, lambda number: (on_a_circle(number, 0.7 * RADIUS, 0.5), None), 600)
    return flow


def features(points: Tensor) -> Tensor:
    """Frozen features `[n, 3, SIZE]`: waves of the whole point, and of each of its two numbers, its patches."""
    drawn = torch.Generator().manual_seed(0)
    wave, phase = 1.5 * torch.randn(3, SIZE, generator=drawn), 2 * torch.pi * torch.rand(2, SIZE, generator=drawn)
    whole, patches = points @ wave[:2] + phase[0], points[..., None] * wave[2] + phase[1]
    return torch.cat([whole[:, None], patches], 1).cos()


def apart(one: Tensor, other: Tensor) -> float:
    """Energy distance of samples: the maximum mean discrepancy by the kernel −|x − y|, which never levels off."""
    across, *within = (torch.cdist(a, b).mean() for a, b in ((one, other), (one, one), (other, other)))
    return float((2 * across - sum(within)).clamp(min=0).sqrt())


def adversarial(seed: int, reward: Reward) -> Mapping[str, float]:
    """How far samples are from the references after GRPO by a reward.

    Args:
        seed: of everything.
        reward: which. The proxy likes what lies to the right. A discriminator that stays as it was has had as many
            steps before as the other has in all.
    """
    flow, drawn = deepcopy(generator(seed)), torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    judge = ReferenceDiscriminator(SIZE, hidden=64, seed=seed)
    adam = torch.optim.Adam(judge.parameters(), 2e-3, betas=(0.5, 0.999))
    optimiser = torch.optim.Adam(flow.parameters(), 1e-3)

    def seen(number: int) -> Tensor:
        return sample(flow, torch.randn(number, 2), STEPS).states[:, -1]

    def tell(points: Callable[[], Tensor], steps: int) -> None:
        for _ in range(steps):
            loss = hinge_loss(judge(features(on_a_circle(NUMBER, RADIUS, 0.1))), judge(features(points())))
            adam.zero_grad()
            loss.backward()
            adam.step()

    wanted, before = on_a_circle(2000, RADIUS, 0.1), seen(2000)
    if reward != "fixed proxy":
        steps = FIRST if reward == REWARDS[2] else FIRST + EACH * ROUNDS
        tell(lambda: before[torch.randint(len(before), (NUMBER,))], steps)
    for _ in range(ROUNDS):
        path = sample(flow, torch.randn(NUMBER, 2), STEPS, eta=ETA, window=noise_window(STEPS, 3, drawn))
        points = path.states[:, -1]
        scores = points[:, 0] if reward == "fixed proxy" else judge.reward(features(points))
        if reward == REWARDS[2]:
            tell(partial(torch.clone, points), EACH)
        ascend(flow, optimiser, path, grouped(scores))
    after = seen(2000)
    with torch.no_grad():
        told = discrimination(judge(features(wanted)), judge(features(after)))
    return {
        "distance": apart(after, wanted),
        "distance gained": apart(after, wanted) - apart(before, wanted),
        "to the right": float(after[:, 0].mean()),
        "told apart": told,
    }


def _nearer_while_it_learns(found: Found) -> bool:
    proxy, still, trained = REWARDS
    return (
        all(found.interval(arm, "distance gained")[0] > 0 for arm in (proxy, still))
        and found.interval(trained, "distance gained")[1] < 0
    )


ADV_GRPO = Check(
    row=98,
    name="adversarial-reward-cotraining",
    claim="Rewarded by a fixed proxy, or by a discriminator that stays as it was at the beginning, a generator's "
    "samples end further from the references than they began (energy distance); by a discriminator that is trained on "
    "with them they end nearer.",
    arms={reward: partial(adversarial, reward=reward) for reward in REWARDS},
    holds=_nearer_while_it_learns,
    units={"told apart": "share of samples"},
)


# --- 39: a rubric that asks for too little ----------------------------------------------------------------------------

DETAIL, TOLERANCE, READING = 0.5, 0.4, 0.1
"""What length earns at most, how much more than its worth a text may earn unsuspected, and how well worth is read."""
CRITERIA: Mapping[str, Callable[[Writing], NDArray[np.float32]]] = {
    "covers the topic": attributes.coverage,
    "is detailed": lambda writing: (DETAIL * writing.length / attributes.LENGTH).astype(np.float32),
    "says nothing off the topic": lambda writing: -attributes.padding(writing),
    "says nothing twice": lambda writing: -attributes.repetition(writing),
}
ASKED = ("covers the topic", "is detailed")
"""The rubric to begin with."""


@cache
def speaker(seed: int) -> TinyPolicy:
    """A policy that was taught answers of two to four words on the topic, and at most one other."""
    random = np.random.default_rng(1000 + seed)
    asked = attributes.prompts(random, 256)
    shown = np.full((len(asked), attributes.LENGTH), END)
    for row, topic in enumerate((asked[:, 0] - 1) // attributes.WORDS):
        own = 1 + topic * attributes.WORDS + random.permutation(attributes.WORDS)[: random.integers(2, 5)]
        words = random.permutation(np.concatenate([own, random.integers(1, attributes.VOCABULARY, random.integers(2))]))
        shown[row, : len(words)] = words
    policy = TinyPolicy(attributes.VOCABULARY, seed)
    imitate(policy, asked, shown, 100)
    return policy


def scored(rubric: Rubric, writing: Writing) -> NDArray[np.float32]:
    """What texts earn by a rubric `[B]`."""
    found: NDArray[np.float32] = np.stack([CRITERIA[name](writing) for name in rubric]).sum(0)
    return found


def flaws(episode: Episode) -> tuple[float, float]:
    """Shares of the possible length that are off the topic, and said again."""
    topic, words = (int(episode.task) - 1) // attributes.WORDS, [int(word) for word in episode.text.split()]
    own = [word for word in words if (word - 1) // attributes.WORDS == topic]
    return (len(words) - len(own)) / attributes.LENGTH, (len(own) - len(set(own))) / attributes.LENGTH


def meta_reward_model(random: np.random.Generator) -> MetaRewardModel:
    """One who reads what a text is worth, roughly, and names the flaw that earns too much."""

    def screen(rubric: Rubric, episode: Episode) -> bool:
        topic, words = (int(episode.task) - 1) // attributes.WORDS, {int(word) for word in episode.text.split()}
        covered = sum((word - 1) // attributes.WORDS == topic for word in words) / attributes.WORDS
        worth = covered - sum(flaws(episode)) + random.normal(0, READING)
        return episode.score - worth > TOLERANCE

    def analyse(rubric: Rubric, suspects: Sequence[Episode]) -> str:
        idle, again = np.sum([flaws(one) for one in suspects], axis=0)
        return "off the topic" if idle >= again else "twice"

    return MetaRewardModel(
        screen,
        analyse,
        lambda rubric, analysis: [f"says nothing {analysis}"],
        lambda rubric, refinements: [*rubric, *(one for refinement in refinements for one in refinement)],
    )


def evolved(seed: int, first: Rubric, every: int | None) -> Mapping[str, float]:
    """GRPO by a rubric that may be edited on the way.

    Args:
        seed: of everything.
        first: the rubric to begin with.
        every: batches between revisions; None: it stays.
    """
    random, policy = np.random.default_rng(600 + seed), deepcopy(speaker(seed))
    rubric, meta = EvolvingRubric(first, every=every), meta_reward_model(random)
    gold, asked = list[float](), list[float]()

    def judged(writing: Writing) -> Mapping[str, Column]:
        scores, version = scored(rubric.criteria, writing), rubric.version
        gold.append(float(attributes.gold(writing).mean()))
        asked.append(float(scored(ASKED, writing).mean()))
        texts = (" ".join(str(word) for word in row if word != END) for row in writing.completions.tolist())
        tasks = map(str, writing.prompts[:, 0].tolist())
        rows = zip(tasks, texts, scores.tolist(), strict=True)
        rubric.after_batch([Episode(task, text, score, version) for task, text, score in rows], meta, random)
        return {"score": Column.full(scores)}

    reinforce(policy, attributes.prompts, judged, grpo(), seed, 120, length=attributes.LENGTH, rate=1e-3)
    held = attributes.prompts(np.random.default_rng(9000 + seed), 256)
    found = write(policy, held, 2, attributes.LENGTH, torch.Generator().manual_seed(seed))
    return {
        "gold": float(attributes.gold(found).mean()),
        "gold lost": lost(gold),
        "first rubric gained": gained(asked),
        "words": float(found.length.mean()),
        "criteria": float(len(rubric.criteria)),
    }


def _edited_in_time(found: Found) -> bool:
    fixed, edited = "rubric as it was", "MPO"
    tuned = found.difference(edited, "tuned by hand", "gold")
    return (
        found.interval(fixed, "gold lost")[0] > 0.05
        and found.interval(fixed, "first rubric gained")[0] > 0
        and found.above(edited, fixed, "gold", by=0.1)
        and (tuned.low or 0.0) > -0.05
    )


MPO = Check(
    row=39,
    name="meta-reward-prompt-evolution",
    claim="By a rubric that pays for length, scores rise while gold ends more than 0.05 below its best; edited every "
    "ten batches, it leaves the policy with more gold, by 0.1, and with at most 0.05 less than a rubric that was "
    "tuned by hand.",
    arms={
        "rubric as it was": lambda seed: evolved(seed, ASKED, None),
        "MPO": lambda seed: evolved(seed, ASKED, 10),
        "tuned by hand": lambda seed: evolved(seed, tuple(CRITERIA), None),
    },
    holds=_edited_in_time,
    units={"words": "words", "criteria": "criteria"},
)
