"""Check of a critic of utterances: a game of questions, each a word for a side and a word for what is guessed of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.language import TinyPolicy, imitate
from learners.losses import clipped_policy_loss
from learners.objectives.utterance_critic import UtteranceCritic
from learners.weights import follow

SIDES, GUESSES = 2, 3
QUESTIONS = SIDES * GUESSES
TURNS = QUESTIONS
"""Who asks each question once is through in the last turn at the latest."""
OPEN, NO, YES, SIDE, GUESS = 1, 2, 3, 4, 6
VOCABULARY = GUESS + GUESSES
EPISODES, ROUNDS = 16, 150
GOOD = 4.6
"""Turns, on average, that have to be reached: chance needs almost all, and who asks best 4."""


class Played(NamedTuple):
    """Rows of utterances `[N]`, an episode's one behind another's turn by turn; `alive` says which there are."""

    state: Tensor
    said: Tensor
    log_probs: Tensor
    reward: Tensor
    after: Tensor
    ended: Tensor
    alive: Tensor

    @property
    def turns(self) -> Tensor:
        """How many turns each episode took `[EPISODES]`."""
        return self.alive.view(TURNS, -1).sum(0).float()


def play(policy: TinyPolicy, generator: torch.Generator, episodes: int = EPISODES) -> Played:
    """Games: −1 for each turn, until both sides are known.

    What a policy reads is one word for each question: not asked yet, no, or yes.
    """
    secret = torch.randint(GUESSES, (episodes, SIDES), generator=generator)
    state = torch.full((episodes, QUESTIONS), OPEN)
    alive, rows = torch.ones(episodes, dtype=torch.bool), []
    every = torch.arange(episodes)
    for _ in range(TURNS):
        said = policy.write(state, 2, generator)
        with torch.no_grad():
            log_probs = policy.log_probs(state, said)
        side, guess = said[:, 0] - SIDE, said[:, 1] - GUESS
        meant = (side >= 0) & (side < SIDES) & (guess >= 0) & (guess < GUESSES)  # others are no questions
        side, guess = side.clamp(0, SIDES - 1), guess.clamp(0, GUESSES - 1)
        right = secret[every, side] == guess
        after, place = state.clone(), side * GUESSES + guess
        after[every, place] = torch.where(meant, torch.where(right, YES, NO), state[every, place])
        won = (after == YES).view(episodes, SIDES, GUESSES).any(-1).all(-1)
        rows.append((state, said, log_probs, -alive.float(), after, won, alive))
        state, alive = after, alive & ~won
    return Played(*(torch.cat(column) for column in zip(*rows, strict=True)))


class Critic(nn.Module):
    """Two Q of a state and an utterance, and two V of a state."""

    def __init__(self) -> None:
        """Random weights, from torch's global generator."""
        super().__init__()
        size = QUESTIONS * (YES + 1)
        self.q = nn.Sequential(nn.Linear(size + 2 * VOCABULARY, 64), nn.ReLU(), nn.Linear(64, 2))
        self.v = nn.Sequential(nn.Linear(size, 64), nn.ReLU(), nn.Linear(64, 2))

    def forward(self, state: Tensor, said: Tensor) -> tuple[Tensor, Tensor]:
        """Q `[2, N]` and V `[2, N]`."""
        read = nn.functional.one_hot(state, YES + 1).flatten(1).float()
        asked = nn.functional.one_hot(said, VOCABULARY).flatten(1).float()
        return self.q(torch.cat([read, asked], 1)).T, self.v(read).T


def beginner(seed: int) -> TinyPolicy:
    """Who knows what a question is, and nothing of which to ask."""
    random, policy = np.random.default_rng(1000 + seed), TinyPolicy(VOCABULARY, seed)
    states = random.integers(OPEN, YES + 1, (512, QUESTIONS))
    said = np.stack([SIDE + random.integers(0, SIDES, 512), GUESS + random.integers(0, GUESSES, 512)], 1)
    imitate(policy, states, said, 60)
    return policy


def step(optimiser: torch.optim.Optimizer, loss: Tensor, module: nn.Module) -> None:
    """One step of gradient descent."""
    optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(module.parameters(), 1.0)
    optimiser.step()


def archer(policy: TinyPolicy, seed: int, generator: torch.Generator) -> Iterator[Played]:
    """ArCHer: critic and policy learn from all that was ever said, the policy by what it would say now."""
    torch.manual_seed(seed)
    part = UtteranceCritic(gamma=0.95, critic_steps=40, warm_up=8)
    critic = Critic()
    target = deepcopy(critic)
    teller, optimiser = torch.optim.Adam(critic.parameters(), 3e-3), torch.optim.Adam(policy.parameters(), 1e-3)
    kept: list[Played] = []
    for completed in range(ROUNDS):
        played = play(policy, generator)
        yield played
        kept.append(Played(*(column[played.alive] for column in played)))
        stored = Played(*(torch.cat(column) for column in zip(*kept, strict=True)))

        def drawn(stored: Played = stored) -> tuple[Played, Tensor]:
            index = torch.randint(len(stored.reward), (128,), generator=generator)
            rows = Played(*(column[index] for column in stored))
            return rows, policy.write(rows.state, 2, generator)

        for _ in range(part.critic_steps):
            rows, now = drawn()
            with torch.no_grad():
                q_now, _ = target(rows.state, now)
                _, next_value = target(rows.after, now)
            q, value = critic(rows.state, rows.said)
            loss = part.critic_loss(q, value, rows.reward, next_value, rows.ended, q_now)
            step(teller, loss, critic)
            follow(target, critic, part.target_rate)
        for _ in range(3 if part.acts(completed) else 0):
            rows, now = drawn()
            with torch.no_grad():
                advantage = part.advantage(*critic(rows.state, now))
            logs = policy.log_probs(rows.state, now)
            step(optimiser, part.token_loss(logs, torch.ones_like(now, dtype=torch.bool), advantage), policy)


def ppo(policy: TinyPolicy, seed: int, generator: torch.Generator) -> Iterator[Played]:
    """Each token is paid what the whole episode was, less the mean over episodes; four passes over each batch."""
    optimiser = torch.optim.Adam(policy.parameters(), 3e-3)
    for _ in range(ROUNDS):
        played = play(policy, generator)
        yield played
        total = -played.turns
        gain = ((total - total.mean()) / (total.std() + 1e-6)).repeat(TURNS)[:, None].expand_as(played.log_probs)
        counts = played.alive[:, None].expand_as(gain).float()
        for _ in range(4):
            logs = policy.log_probs(played.state, played.said)
            step(optimiser, clipped_policy_loss(logs, played.log_probs, gain, 0.2, counts), policy)


def filtered(policy: TinyPolicy, seed: int, generator: torch.Generator) -> Iterator[Played]:
    """The best quarter of all episodes of the last ten rounds is imitated."""
    optimiser = torch.optim.Adam(policy.parameters(), 3e-3)
    recent: list[Played] = []
    for _ in range(ROUNDS):
        played = play(policy, generator)
        yield played
        recent = [*recent[-9:], played]
        turns = torch.cat([one.turns for one in recent])
        good = turns <= turns.quantile(0.25)
        weight = torch.cat([g.repeat(TURNS) & one.alive for g, one in zip(good.split(EPISODES), recent, strict=True)])
        state, said = (torch.cat([getattr(one, name) for one in recent])[weight] for name in ("state", "said"))
        for _ in range(4):
            step(optimiser, -policy.log_probs(state, said).mean(), policy)


WAYS = {"ArCHer": archer, "PPO on the return": ppo, "filtered cloning": filtered}


def asked(seed: int, how: str) -> Mapping[str, float]:
    """Episodes until ten rounds needed no more than GOOD turns on average, and turns at the end."""
    generator, policy = torch.Generator().manual_seed(seed), beginner(seed)
    curve, needed = [], ROUNDS * EPISODES
    for played in WAYS[how](policy, seed, generator):
        curve.append(float(played.turns.mean()))
        if len(curve) >= 10 and np.mean(curve[-10:]) <= GOOD:
            needed = min(needed, len(curve) * EPISODES)
    at_last = play(policy, torch.Generator().manual_seed(10_000 + seed), 512)
    return {"episodes": needed, "turns at the end": float(at_last.turns.mean())}


def _several_times_sooner(found: Found) -> bool:
    """In less than half of the episodes that either of the others needs."""
    own = 2 * found.mean("ArCHer", "episodes")
    others = ("PPO on the return", "filtered cloning")
    return all(found.below("ArCHer", o, "episodes") and own < found.mean(o, "episodes") for o in others)


ARCHER = Check(
    row=193,
    name="hierarchical-multi-turn-actor-critic",
    claim=f"In a game of questions ArCHer comes to {GOOD} turns in less than half of the episodes that PPO on the "
    "return of the whole game needs, and than cloning of the best games does.",
    arms={how: partial(asked, how=how) for how in WAYS},
    holds=_several_times_sooner,
    seeds=3,
    units={"turns at the end": "turns"},
)
