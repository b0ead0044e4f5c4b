"""Check of agents that learn to talk: how briefly, how rightly, and whether anybody else can read it."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import cache, partial
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from actors.search.conversations import Tree, Turn, TurnPair, add, next_node, turn_pairs
from actors.search.tree import root_of
from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.language import END, TinyPolicy, imitate, mask_of
from learners.language.preferences import dpo
from rewards.sources.conversations import best_conversations, conversation_rewards, largest_loss

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Way = Literal["iteration 0", "iSFT", "iDPO", "iSFT-DPO", "iSFT, length is free", "iSFT, readable or not"]
WAYS: tuple[Way, ...] = ("iteration 0", "iSFT", "iDPO", "iSFT-DPO", "iSFT, length is free", "iSFT, readable or not")
SECRETS, FILLERS, LENGTH = 4, 6, 7
"""Secrets, words that say nothing, and most words of an utterance."""
FILLER, MARK = 1 + SECRETS, 1 + SECRETS + FILLERS
"""The first word that says nothing, and the mark of the first turn."""
TELL_A, TELL_B, ANSWER_A, ANSWER_B = range(4)
"""Turns: each of two tells, and then each says what the other's secret is."""
TURNS, ALONE, ARTICLE, VOCABULARY = 4, MARK + 4, MARK + 5, MARK + 6
"""How many turns, the mark of an utterance without its conversation, the word before a secret, and all tokens."""
ITERATIONS, TASKS, EXPANDED, PASSES = 4, 48, 3, 3
"""Iterations, tasks of each, and of a task: nodes that passes begin at, and passes of each."""
STEPS, RATE, ENOUGH = 30, 2e-3, 0.5
"""Steps of an iteration, rate of Adam for SFT, and what the best conversation must earn more than."""
RATE_DPO, BETA, LEAST, GAP = 5e-4, 0.1, 0.2, 0.4
"""Rate of Adam for DPO, its β, what a chosen turn must be worth more than, and by how much more than the rejected."""
LESSONS = 400
"""Conversations of people that the agents were made from."""


class Talk(NamedTuple):
    """Conversations: secrets of both `[B]`, and what was said `[B, TURNS, LENGTH]`."""

    secret: tuple[Ints, Ints]
    said: Ints

    def prompt(self, turn: int) -> Ints:
        """What is known before a turn: which it is, one's own secret, and what one was told `[B, 2 + LENGTH]`."""
        own = self.secret[turn % 2]
        heard = {TELL_B: TELL_A, ANSWER_A: TELL_B, ANSWER_B: TELL_A}.get(turn)
        told = np.zeros_like(self.said[:, 0]) if heard is None else self.said[:, heard]
        return np.concatenate([np.full((len(own), 1), MARK + turn), 1 + own[:, None], told], 1)

    def right(self) -> Floats:
        """Share of the two answers that are right `[B]`."""
        said = np.stack([named(self.said[:, ANSWER_A]), named(self.said[:, ANSWER_B])])
        return np.asarray((said == np.stack(self.secret[::-1])).mean(0))

    def tokens(self) -> Floats:
        """Words of all turns `[B]`."""
        return np.asarray((self.said != END).sum((1, 2)), np.float64)


def named(texts: Ints) -> Ints:
    """The first secret that is named, −1 where there is none `[B]`."""
    there = (texts > 0) & (texts < FILLER)
    first = texts[np.arange(len(texts)), there.argmax(1)] - 1
    return np.where(there.any(1), first, -1)


def natural(random: np.random.Generator, secrets: Ints) -> Ints:
    """Utterances as people make them `[B, LENGTH]`: an article and the secret, mostly among words in their usual order.

    One in four has no other words, one in twenty no article either, and one in five does not come to the secret.
    """
    found = np.full((len(secrets), LENGTH), END)
    for row, secret in enumerate(secrets):
        words = (random.integers(FILLERS) + np.arange(random.integers(2, 5))) % FILLERS + FILLER
        manner = random.random()
        if manner < 0.3:
            words = np.array([ARTICLE, 1 + secret])[int(manner < 0.05) :]
        elif manner < 0.8:
            words = np.insert(words, random.integers(len(words) + 1), [ARTICLE, 1 + secret])
        found[row, : len(words)] = words
    return found


@cache
def speakers(seed: int) -> tuple[TinyPolicy, TinyPolicy]:
    """A policy that talks like people, and a model of what they say; neither may be trained."""
    random = np.random.default_rng(1000 + seed)
    secret = (random.integers(0, SECRETS, LESSONS), random.integers(0, SECRETS, LESSONS))
    said = np.stack([natural(random, secret[turn % 2]) for turn in (TELL_A, TELL_B)], 1)
    answers = []
    for told in (said[:, TELL_B], said[:, TELL_A]):
        guess = random.integers(0, SECRETS, len(told))
        heard = named(told)
        answers.append(natural(random, np.where((heard >= 0) & (random.random(len(told)) < 0.9), heard, guess)))
    talk = Talk(secret, np.concatenate([said, np.stack(answers, 1)], 1))
    prompts = np.concatenate([talk.prompt(turn) for turn in range(TURNS)])
    texts = talk.said.transpose(1, 0, 2).reshape(-1, LENGTH)
    policy, reader = TinyPolicy(VOCABULARY, seed), TinyPolicy(VOCABULARY, seed)
    rows = random.permutation(len(texts))
    for part in np.array_split(rows, 4) * 3:
        imitate(policy, prompts[part], texts[part], 25)
        imitate(reader, np.full((len(part), 1), ALONE), texts[part], 10)
    return policy, reader


def unread(reader: TinyPolicy, talk: Talk) -> Floats:
    """The largest loss of an utterance of each conversation `[B]`."""
    texts = torch.as_tensor(talk.said.reshape(-1, LENGTH))
    with torch.no_grad():
        logs = reader.log_probs(torch.full((len(texts), 1), ALONE), texts)
    shape = talk.said.shape
    return largest_loss(logs.numpy().reshape(shape), mask_of(texts).numpy().reshape(shape))


def spoken(policy: TinyPolicy, talk: Talk, begun: Ints, generator: torch.Generator) -> Talk:
    """Conversations that go on behind the turns that there are, so many of each `[B]`, to the end."""
    talk = Talk(talk.secret, talk.said.copy())
    for turn in range(TURNS):
        now = begun <= turn
        if now.any():
            prompts = torch.as_tensor(talk.prompt(turn)[now])
            talk.said[now, turn] = policy.write(prompts, LENGTH, generator).numpy()
    return talk


class Optima:
    """One iteration after another."""

    def __init__(self, seed: int, token_weight: float, loss_weight: float) -> None:
        """Agents that talk like people; both are one policy."""
        self.policy, self._reader = deepcopy(speakers(seed)[0]), speakers(seed)[1]
        self._weights = (token_weight, loss_weight)
        self.random, self._generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)

    def rewards(self, talk: Talk, groups: int, most: Floats | None = None) -> Floats:
        """R `[groups, n]`."""
        right, tokens, loss = (
            values.reshape(groups, -1) for values in (talk.right(), talk.tokens(), unread(self._reader, talk))
        )
        return conversation_rewards(right, tokens, loss, *self._weights, most=most)

    def fresh(self, tasks: int, times: int) -> Talk:
        """Conversations about new tasks, some about each."""
        first, second = (np.repeat(self.random.integers(0, SECRETS, tasks), times) for _ in range(2))
        empty = Talk((first, second), np.full((tasks * times, TURNS, LENGTH), END))
        return spoken(self.policy, empty, np.zeros(tasks * times, np.int64), self._generator)

    def imitate_best(self) -> None:
        """An iteration of iSFT."""
        times = EXPANDED * PASSES
        talk = self.fresh(TASKS, times)
        best = best_conversations(self.rewards(talk, TASKS), ENOUGH)
        rows = (np.arange(TASKS) * times + best)[best >= 0]
        if len(rows):
            chosen = Talk((talk.secret[0][rows], talk.secret[1][rows]), talk.said[rows])
            prompts = np.concatenate([chosen.prompt(turn) for turn in range(TURNS)])
            imitate(self.policy, prompts, chosen.said.transpose(1, 0, 2).reshape(-1, LENGTH), STEPS, RATE)

    def prefer(self) -> None:
        """An iteration of iDPO."""
        talk = self.fresh(TASKS, PASSES)
        most = talk.tokens().reshape(TASKS, PASSES).max(1)
        secret = talk.secret[0][::PASSES], talk.secret[1][::PASSES]
        trees: list[Tree] = [root_of(None) for _ in range(TASKS)]
        expanded: list[list[Tree]] = [[tree] for tree in trees]
        nodes = list(trees)
        for _ in range(EXPANDED - 1):
            self._grow(talk, nodes, most)
            nodes = [next_node(tree, done, self.random) for tree, done in zip(trees, expanded, strict=True)]
            for node, done in zip(nodes, expanded, strict=True):
                done.append(node)
            begun = np.repeat([len(node.path) for node in nodes], PASSES)
            said = np.repeat(np.stack([written([*node.actions]) for node in nodes]), PASSES, 0)
            both = (np.repeat(secret[0], PASSES), np.repeat(secret[1], PASSES))
            talk = spoken(self.policy, Talk(both, said), begun, self._generator)
        self._grow(talk, nodes, most)
        pairs = [(task, pair) for task, tree in enumerate(trees) for pair in turn_pairs(tree, LEAST, GAP)]
        if pairs:
            self._learn(secret, pairs)

    def _grow(self, talk: Talk, nodes: list[Tree], most: Floats) -> None:
        """Add passes, PASSES behind each node."""
        rewards = self.rewards(talk, len(nodes), most)
        for row, said in enumerate(talk.said.tolist()):
            node = nodes[row // PASSES]
            turns = [tuple(word for word in text if word != END) for text in said]
            add(node, turns[len(node.path) :], float(rewards[row // PASSES, row % PASSES]))

    def _learn(self, secret: tuple[Ints, Ints], pairs: list[tuple[int, TurnPair]]) -> None:
        """DPO on pairs of turns, with the policy of before as its reference."""
        prompts, chosen, rejected = [], [], []
        for task, pair in pairs:
            own = (secret[0][task : task + 1], secret[1][task : task + 1])
            turn = len(pair.before)
            prompts.append(Talk(own, written([*pair.before])[None]).prompt(turn)[0])
            good, bad = written([pair.chosen, pair.rejected])[:2]
            chosen.append(good)
            rejected.append(bad)
        asked, texts = torch.as_tensor(np.stack([*prompts, *prompts])), torch.as_tensor(np.stack([*chosen, *rejected]))
        mask = mask_of(texts).float()
        with torch.no_grad():
            before = (self.policy.log_probs(asked, texts) * mask).sum(1)
        optimiser = torch.optim.Adam(self.policy.parameters(), RATE_DPO)
        for _ in range(STEPS):
            ratio = (self.policy.log_probs(asked, texts) * mask).sum(1) - before
            loss = dpo(ratio[: len(pairs)] - ratio[len(pairs) :], BETA).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()


def written(turns: list[Turn]) -> Ints:
    """Turns as an array, END behind each `[TURNS, LENGTH]`."""
    found = np.full((TURNS, LENGTH), END)
    for turn, words in enumerate(turns):
        found[turn, : len(words)] = words
    return found


def talked(seed: int, way: Way) -> Mapping[str, float]:
    """How agents talk after some iterations.

    Args:
        seed: of everything.
        way: how they learn. DPO begins behind one iteration of SFT, as in the paper.
    """
    agents = Optima(seed, 0.0 if way == WAYS[4] else 0.6, 0.0 if way == WAYS[5] else 1.0)
    for iteration in range(0 if way == "iteration 0" else ITERATIONS):
        if iteration > 0 and (way == "iDPO" or (way == "iSFT-DPO" and iteration % 2)):
            agents.prefer()
        else:
            agents.imitate_best()
    talk = agents.fresh(800, 1)
    right, tokens = float(talk.right().mean()), float(talk.tokens().mean())
    return {
        "right": right,
        "tokens": tokens,
        "tokens per success": tokens / right,
        "largest loss": float(unread(speakers(seed)[1], talk).mean()),
    }


def _brief_right_and_read(found: Found) -> bool:
    start, sft, preferred, _, wordy, unreadable = WAYS
    cost = "tokens per success"
    return (
        found.mean(sft, cost) < found.mean(start, cost) / 2
        and found.above(sft, start, "right")
        and found.below(preferred, sft, cost)
        and found.above(wordy, sft, "tokens")
        and found.above(unreadable, sft, "largest loss")
    )


OPTIMA = Check(
    row=185,
    name="generate-rank-select-train",
    claim="After four iterations of SFT on the best conversations agents are right more often, and a success costs "
    "less than half as many tokens; with iterations of DPO it costs fewer still. Where length is free they use more "
    "tokens, and where nothing has to be readable the largest loss of an utterance is higher.",
    arms={way: partial(talked, way=way) for way in WAYS},
    holds=_brief_right_and_read,
    seeds=4,
    units={"right": "share of answers", "tokens": "tokens", "tokens per success": "tokens", "largest loss": "nats"},
)
