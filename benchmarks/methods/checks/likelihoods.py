"""Checks of rewards that are likelihoods: of the answer itself, under two models, of a reference, of what follows."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from benchmarks.methods.experiment import Check, Found, Measured
from benchmarks.methods.worlds import attributes
from benchmarks.methods.worlds.language import END, TinyPolicy, Writing, imitate, mask_of, reinforce, write
from benchmarks.methods.worlds.scores import grpo
from learners.language.preferences import dpo
from learners.objectives.reference_likelihood import reference_likelihood_loss
from rewards.columns import Column
from rewards.groups import group_advantages
from rewards.sources.likelihood import density_ratio, endogenous_reward, followup_likelihood, reference_likelihood

Floats = NDArray[np.floating]
Scorer = Callable[[Writing], Floats]
"""Of each completion a score `[B]`."""
MEMBERS = 8


def experts(seed: int, number: int = 256) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Prompts, and answers that are all a topic's words, every third with one word of padding."""
    random = np.random.default_rng(1000 + seed)
    asked = attributes.prompts(random, number)
    topic = (asked[:, 0] - 1) // attributes.WORDS
    shown = np.full((number, attributes.LENGTH), END)
    for row, t in enumerate(topic):
        words = 1 + t * attributes.WORDS + random.permutation(attributes.WORDS)
        padding = 1 + attributes.TOPICS * attributes.WORDS + random.integers(0, attributes.PADDING, int(row % 3 == 0))
        said = random.permutation(np.concatenate([words, padding]))
        shown[row, : len(said)] = said
    return asked, shown


@cache
def taught(seed: int, steps: int) -> TinyPolicy:
    """A model that has imitated the experts for `steps`; never trained any further."""
    policy = TinyPolicy(attributes.VOCABULARY, seed)
    imitate(policy, *experts(seed), steps)
    return policy


def copy(policy: TinyPolicy) -> TinyPolicy:
    """The same policy, to be trained."""
    other = TinyPolicy(policy.vocabulary, 0)
    other.load_state_dict(policy.state_dict())
    return other


def answered(policy: TinyPolicy, seed: int, prompts: int = 128) -> Writing:
    """Answers to questions that nobody was taught with."""
    asked = attributes.prompts(np.random.default_rng(20_000 + seed), prompts)
    return write(policy, asked, MEMBERS, attributes.LENGTH, torch.Generator().manual_seed(seed))


def gold_of(policy: TinyPolicy, seed: int) -> float:
    """What a policy's answers are truly worth."""
    return float(attributes.gold(answered(policy, 500 + seed)).mean())


def agreement(scores: Floats, gold: Floats) -> float:
    """Share of the pairs of a group with different worth that scores put in the right order; ties count half."""
    one, other = np.triu_indices(MEMBERS, 1)
    found, wanted = (np.asarray(values).reshape(-1, MEMBERS) for values in (scores, gold))
    difference, truth = found[:, one] - found[:, other], wanted[:, one] - wanted[:, other]
    return float((0.5 + 0.5 * np.sign(difference * truth))[np.abs(truth) > 1e-6].mean())


def log_probs(policy: TinyPolicy, writing: Writing) -> NDArray[np.float32]:
    """Of the tokens that were written, by any model `[B, T]`."""
    with torch.no_grad():
        found = policy.log_probs(torch.as_tensor(writing.prompts), torch.as_tensor(writing.completions))
    least: NDArray[np.float32] = np.minimum(found.numpy(), 0.0)
    return least


def prefer(policy: TinyPolicy, writing: Writing, scores: Floats, steps: int = 60, beta: float = 0.2) -> TinyPolicy:
    """DPO on the best and the worst answer of each group, from `policy` as the reference, which stays as it is."""
    by_group = np.asarray(scores).reshape(-1, MEMBERS)
    first = np.arange(len(by_group)) * MEMBERS
    asked = torch.as_tensor(writing.prompts[first])
    pair = [torch.as_tensor(writing.completions[first + chosen]) for chosen in (by_group.argmax(1), by_group.argmin(1))]
    masks = [mask_of(tokens) for tokens in pair]
    with torch.no_grad():
        before = [(policy.log_probs(asked, y) * m).sum(-1) for y, m in zip(pair, masks, strict=True)]
    trained = copy(policy)
    optimiser = torch.optim.Adam(trained.parameters(), 1e-3)
    for _ in range(steps):
        now = [(trained.log_probs(asked, y) * m).sum(-1) for y, m in zip(pair, masks, strict=True)]
        loss = dpo((now[0] - before[0]) - (now[1] - before[1]), beta).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return trained


# Endogenous reward


def endogenous(seed: int) -> Scorer:
    """What the model that imitated the experts was best for."""
    model = taught(seed, 60)

    def scores(writing: Writing) -> Floats:
        with torch.no_grad():
            logits = model.logits(torch.as_tensor(writing.prompts), torch.as_tensor(writing.completions)).numpy()
        found: Floats = endogenous_reward(logits, writing.completions, writing.mask).sum(-1)
        return found

    return scores


def brevity(seed: int) -> Scorer:
    """The shorter the better."""
    return lambda writing: -writing.length.astype(np.float64)


def chance(seed: int) -> Scorer:
    """Random numbers."""
    random = np.random.default_rng(seed)
    return lambda writing: random.normal(size=len(writing.length))


def from_itself(seed: int, scorer: Callable[[int], Scorer]) -> Measured:
    """How well a score knows what is good, and what training the imitator itself with it brings."""
    score, model = scorer(seed), taught(seed, 60)
    held_out = answered(taught(seed, 20), seed)
    after = reinforce(
        copy(model),
        attributes.prompts,
        lambda writing: {"score": Column.full(score(writing))},
        grpo(),
        seed,
        updates=80,
        length=attributes.LENGTH,
        rate=1e-3,
    )
    return {
        "pairs right": agreement(score(held_out), attributes.gold(held_out)),
        "gold before": gold_of(model, seed),
        "gold": gold_of(after, seed),
    }


ENDOGENOUS = Check(
    row=42,
    name="endogenous-reward",
    claim="The reward that lies in a model's own logits puts more pairs of answers in order than brevity and chance "
    "do, and reinforcement with it lifts the gold score of that same model by more than 0.1, unlike random rewards.",
    arms={
        "endogenous": lambda seed: from_itself(seed, endogenous),
        "brevity": lambda seed: from_itself(seed, brevity),
        "chance": lambda seed: from_itself(seed, chance),
    },
    holds=lambda found: (
        found.above("endogenous", "brevity", "pairs right")
        and found.above("endogenous", "chance", "pairs right")
        and found.mean("endogenous", "gold") > found.mean("endogenous", "gold before") + 0.1
        and found.above("endogenous", "chance", "gold", 0.1)
    ),
    seeds=3,
)


# Density ratio


LADDER = (5, 15, 30, 60, 120)
"""Steps of imitation of models from weak to strong."""


def ratio(seed: int, annotator: Literal["widest", "narrowest", "chance"]) -> Measured:
    """Annotating with a pair of models, and tuning with DPO on it what wrote the answers."""
    models = [taught(seed, steps) for steps in LADDER]
    writer = models[2]
    writing = answered(writer, seed)
    gold, worth = attributes.gold(writing), [gold_of(model, seed) for model in models]
    logs = [log_probs(model, writing) for model in models]
    gaps, right = [], []
    for i in range(len(models)):
        for j in range(i):
            gaps.append(worth[i] - worth[j])
            right.append(agreement(density_ratio(logs[i], logs[j], writing.mask), gold))
    chosen = {"widest": int(np.argmax(gaps)), "narrowest": int(np.argmin(np.abs(gaps)))}
    pairs = [(i, j) for i in range(len(models)) for j in range(i)]
    if annotator == "chance":
        scores = chance(seed)(writing)
    else:
        i, j = pairs[chosen[annotator]]
        scores = density_ratio(logs[i], logs[j], writing.mask)
    return {
        "correlation": float(np.corrcoef(gaps, right)[0, 1]),
        "pairs right": agreement(scores, gold),
        "gold before": gold_of(writer, seed),
        "gold": gold_of(prefer(writer, writing, scores), seed),
    }


CDR = Check(
    row=55,
    name="density-ratio-reward",
    claim="Over all pairs of models, the share of answers that their density ratio puts in order correlates with the "
    "gap in quality by more than 0.5; a policy tuned on what the pair with the widest gap prefers gets a better gold "
    "score than one tuned on random preferences.",
    arms={
        "widest gap": lambda seed: ratio(seed, "widest"),
        "narrowest gap": lambda seed: ratio(seed, "narrowest"),
        "random": lambda seed: ratio(seed, "chance"),
    },
    holds=lambda found: (
        found.interval("widest gap", "correlation")[0] > 0.5 and found.above("widest gap", "random", "gold")
    ),
)


# Likelihood of a reference answer


DIGITS = 6
SHORT, LONG, CHAIN, ASKED = 1, 12, 2, 2
"""Tokens of a short and a long answer, of a chain of thought, and of a prompt."""


def digits(random: np.random.Generator, number: int, length: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Prompts of digits `[n, 2]`, and answers that begin with their sum (modulo) and go on adding `[n, length]`."""
    asked = random.integers(0, DIGITS, (number, ASKED))
    steps = np.arange(1, length + 1)
    return 1 + asked, 1 + (asked[:, :1] + asked[:, 1:] * steps) % DIGITS


def likely(seed: int, form: Literal["log_prob", "prob", "binary"]) -> Measured:
    """Training with one reward on short answers, and another policy with it on long ones."""
    found = {}
    for name, length in (("short", SHORT), ("long", LONG)):
        policy = _reasoned(seed, form, length)
        asked, wanted = map(torch.as_tensor, digits(np.random.default_rng(30_000 + seed), 256, length))
        with torch.no_grad():
            chain = policy.write(asked, CHAIN, torch.Generator().manual_seed(seed))
            logits = policy.logits(torch.cat([asked, chain], dim=1), wanted)
            found[f"nats a token, {name}"] = float(F.cross_entropy(logits.reshape(-1, DIGITS + 1), wanted.reshape(-1)))
            found[f"tokens right, {name}"] = float((logits.argmax(-1) == wanted).float().mean())
    return found


def _reasoned(seed: int, form: str, length: int, updates: int = 250, groups: int = 8) -> TinyPolicy:
    random, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    policy = TinyPolicy(DIGITS + 1, seed)
    optimiser = torch.optim.Adam(policy.parameters(), 5e-3)
    for _ in range(updates):
        given = [np.repeat(array, MEMBERS, axis=0) for array in digits(random, groups, length)]
        asked, wanted = map(torch.as_tensor, given)
        chain = policy.write(asked, CHAIN, generator)
        thought = policy.log_probs(asked, chain).sum(-1)
        after = torch.cat([asked, chain], dim=1)
        tokens = policy.log_probs(after, wanted)
        if form == "binary":
            said = policy.write(after, length, generator)
            rewards = (said == wanted).all(-1).float().numpy()
        else:
            logs = np.minimum(tokens.detach().numpy(), 0.0)
            rewards = reference_likelihood(logs, np.ones(logs.shape, np.bool_), form)  # type: ignore[arg-type]
        column = Column.full(np.asarray(rewards).reshape(groups, MEMBERS))
        advantage = torch.as_tensor(group_advantages(column).values.reshape(-1))
        if form == "binary":
            written = thought + policy.log_probs(after, said).sum(-1)
            loss = -(advantage * written).mean()
        else:
            loss = reference_likelihood_loss(thought, advantage, tokens.sum(-1), form)  # type: ignore[arg-type]
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimiser.step()
    return policy


def _only_logarithms_serve_both(found: Found) -> bool:
    """The logarithm learns short and long answers, p only short ones; and it is no worse than being right or wrong."""
    short, long = "tokens right, short", "tokens right, long"
    return (
        (found.difference("log p", "p", short).low or 0.0) > -0.05
        and (found.difference("log p", "right or wrong", short).low or 0.0) > -0.05
        and found.above("log p", "p", long, 0.3)
        and found.below("log p", "right or wrong", "nats a token, short", -0.05)
    )


LIKELIHOOD = Check(
    row=67,
    name="reference-likelihood-reward",
    claim="The probability of a reference answer is within 0.05 of its logarithm as a reward for answers of 1 token "
    "and more than 0.3 below it for answers of 12; the logarithm is right on short answers as often as binary rewards "
    "are, to 0.05, with no more than 0.05 nats more a token.",
    arms={
        "log p": lambda seed: likely(seed, "log_prob"),
        "p": lambda seed: likely(seed, "prob"),
        "right or wrong": lambda seed: likely(seed, "binary"),
    },
    holds=_only_logarithms_serve_both,
    seeds=3,
)


# Likelihood of what a user says next


THANKS, COMPLAINT = attributes.VOCABULARY, attributes.VOCABULARY + 2
"""First of two words of each kind."""
NOISE = 0.2
"""Share of users who say what they do not mean."""
PLEASED = 0.5
"""Gold score from which on a user is pleased."""


@cache
def listener(seed: int) -> TinyPolicy:
    """A model of dialogues: answers of a middling policy, and what users said of them."""
    writing = answered(taught(seed, 20), 700 + seed, prompts=192)
    random = np.random.default_rng(seed)
    pleased = (attributes.gold(writing) >= PLEASED) ^ (random.random(len(writing.length)) < NOISE)
    said = np.where(pleased, THANKS, COMPLAINT) + random.integers(0, 2, len(pleased))
    model = TinyPolicy(attributes.VOCABULARY + 4, seed)
    imitate(model, np.concatenate([writing.prompts, writing.completions], axis=1), said[:, None], 150)
    return model


def followups(seed: int) -> Scorer:
    """Whether thanks or complaints are more likely next."""
    model = listener(seed)

    def scores(writing: Writing) -> Floats:
        dialogue = torch.as_tensor(np.concatenate([writing.prompts, writing.completions], axis=1))
        with torch.no_grad():
            blank = torch.zeros((len(dialogue), 1), dtype=torch.long)
            logs = model.logits(dialogue, blank).log_softmax(-1)[:, 0].numpy()
        return followup_likelihood(logs[:, THANKS : THANKS + 2], logs[:, COMPLAINT : COMPLAINT + 2])

    return scores


def own_likelihood(seed: int) -> Scorer:
    """How likely the answer itself is to the model that wrote it."""
    return lambda writing: (log_probs(taught(seed, 20), writing) * writing.mask).sum(-1)


def labelled(seed: int) -> Scorer:
    """A reward model of Bradley and Terry, trained on as many answers with labels of who is better."""
    writing = answered(taught(seed, 20), 700 + seed, prompts=192)
    gold = attributes.gold(writing).reshape(-1, MEMBERS)
    model = TinyPolicy(attributes.VOCABULARY + 4, seed)  # the logit of one word is the reward
    dialogue = torch.as_tensor(np.concatenate([writing.prompts, writing.completions], axis=1))
    blank = torch.zeros((len(dialogue), 1), dtype=torch.long)
    wanted = torch.as_tensor(np.sign(gold[:, ::2] - gold[:, 1::2]))
    optimiser = torch.optim.Adam(model.parameters(), 5e-3)
    for _ in range(150):
        scores = model.logits(dialogue, blank)[:, 0, THANKS].reshape(-1, MEMBERS)
        loss = -(F.logsigmoid((scores[:, ::2] - scores[:, 1::2]) * wanted) * wanted.abs()).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    def score(writing: Writing) -> Floats:
        tokens = torch.as_tensor(np.concatenate([writing.prompts, writing.completions], axis=1))
        with torch.no_grad():
            found: Floats = model.logits(tokens, torch.zeros((len(tokens), 1), dtype=torch.long))[:, 0, THANKS].numpy()
        return found

    return score


def mined(seed: int, scorer: Callable[[int], Scorer]) -> Measured:
    """How well a score knows what is good, and what DPO on its best and worst answers brings."""
    writer = taught(seed, 20)
    writing, score = answered(writer, seed), scorer(seed)
    scores = score(writing)
    return {
        "pairs right": agreement(scores, attributes.gold(writing)),
        "gold before": gold_of(writer, seed),
        "gold": gold_of(prefer(writer, writing, scores), seed),
    }


FLR = Check(
    row=68,
    name="followup-likelihood-reward",
    claim="How likely thanks and complaints are next puts more pairs of answers in order than the answer's own "
    "likelihood or brevity do, and at most 0.1 fewer than a reward model trained on labels; DPO on the pairs that it "
    "mines lifts the gold score.",
    arms={
        "follow-ups": lambda seed: mined(seed, followups),
        "own likelihood": lambda seed: mined(seed, own_likelihood),
        "brevity": lambda seed: mined(seed, brevity),
        "labels": lambda seed: mined(seed, labelled),
    },
    holds=lambda found: (
        found.above("follow-ups", "own likelihood", "pairs right")
        and found.above("follow-ups", "brevity", "pairs right")
        and (found.difference("follow-ups", "labels", "pairs right").low or 0.0) > -0.1
        and found.mean("follow-ups", "gold") > found.mean("follow-ups", "gold before")
    ),
)
