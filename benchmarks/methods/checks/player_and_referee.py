"""Check of one model that answers and judges: what a referee gains by playing, and a player by its own whistle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.menu import view
from benchmarks.methods.worlds.roles import Floats, Questions, Roles, World, drawn
from rewards.columns import Column
from rewards.sources.player_referee import referee_reward, self_scores
from rewards.views.layout import Layout

Kind = Literal["right", "ranked", "own"]
Way = Literal["URPO", "frozen referee", "without lists", "without problems"]
WAYS: tuple[Way, ...] = ("URPO", "frozen referee", "without lists", "without problems")
OPEN, PROBLEMS, DOMAINS = 0, 1, 2
"""Domains of open instructions, whose order people know, and of problems, whose best answer a rule knows."""
MENU, LIST, GRADES = 8, 4, 5
"""Answers to a question, of a list that is ranked, and scores that a referee may give."""
LISTS, MISTAKEN = 400, 0.5
"""Lists with a known order, and deviation of the noise in it."""
WARM, UPDATES, GROUPS, MEMBERS = 50, 350, 16, 8
"""Updates without and with open instructions; groups of each kind in a batch, and members of each."""
COLUMNS: tuple[Kind, ...] = ("right", "ranked", "own")


def gold(model: Roles, questions: Questions) -> float:
    """Mean worth of what a player picks."""
    with torch.no_grad():
        chances = model.picks("player", questions).exp().double().numpy()
    return float((chances * questions.worth).sum(1).mean())


def right(model: Roles, pairs: Questions) -> float:
    """Share of pairs that a referee's expected scores put in their true order."""
    with torch.no_grad():
        expected = model.said("referee", pairs).exp().double().numpy() @ np.arange(GRADES)
    return float((np.sign(expected[:, 0] - expected[:, 1]) == np.sign(pairs.worth[:, 0] - pairs.worth[:, 1])).mean())


@dataclass(frozen=True)
class Rows:
    """Groups of one kind.

    Attributes:
        kind: the column that their rewards are in.
        paid: rewards `[GROUPS, MEMBERS]`.
        log_probs: of what was done for them `[GROUPS, MEMBERS]`.
    """

    kind: Kind
    paid: Floats
    log_probs: Tensor


class Training:
    """What there is to learn from, and one step on some of it."""

    def __init__(self, seed: int) -> None:
        """Lists, and the order that people say they are in."""
        self.world, self._random = World(seed, DOMAINS), np.random.default_rng(seed)
        self._generator = torch.Generator().manual_seed(seed)
        self._lists = self.world.questions(self._random, LISTS, LIST, OPEN)
        self._order = self._lists.worth + MISTAKEN * self._random.normal(size=self._lists.worth.shape)
        self._view = view(
            dict.fromkeys(COLUMNS, "episode"),
            {"part": "first_known", "of": list(COLUMNS), "to": "reward"},
            {"part": "group_relative", "preset": "grpo", "of": "reward"},
        )

    def rows(self, kind: Kind, model: Roles, referee: Roles) -> Rows:
        """A batch of one kind."""
        if kind == "ranked":
            which = np.repeat(self._random.integers(0, LISTS, GROUPS), MEMBERS)
            given, log_probs = self._judged(model, self._lists[which])
            paid = referee_reward(given, self._order[which]).reshape(GROUPS, MEMBERS)
            return Rows(kind, paid, log_probs.view(GROUPS, MEMBERS))
        questions = self.world.questions(self._random, GROUPS, MENU, PROBLEMS if kind == "right" else OPEN)
        chances = model.picks("player", questions)
        picked = torch.multinomial(chances.detach().exp(), MEMBERS, replacement=True, generator=self._generator)
        answers = questions.among(picked.numpy())
        if kind == "right":
            paid = (answers.worth == questions.worth.max(1, keepdims=True)).astype(np.float64)
        else:
            paid = self_scores(self._judged(referee, answers)[0][:, None], np.ones((GROUPS, 1)))
        return Rows(kind, paid, chances.gather(1, picked))

    def step(self, adam: torch.optim.Optimizer, batch: Sequence[Rows]) -> None:
        """One step of GRPO on all of them."""
        group = np.repeat(np.arange(GROUPS * len(batch)), MEMBERS)
        kinds = np.repeat([rows.kind for rows in batch], GROUPS * MEMBERS)
        paid = np.concatenate([rows.paid.ravel() for rows in batch])
        columns: dict[str, Column] = {kind: Column(paid.astype(np.float32), kinds == kind) for kind in COLUMNS}
        advantage = self._view.apply(columns, Layout.of(np.ones(len(group)), group)).advantage
        if advantage is None:
            raise ValueError("got a view without an advantage; expected one that writes it")
        gain = torch.as_tensor(np.where(advantage.valid, advantage.values, 0.0))
        loss = -(gain * torch.cat([rows.log_probs.flatten() for rows in batch])).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()

    def _judged(self, referee: Roles, questions: Questions) -> tuple[Floats, Tensor]:
        """Scores `[n, M]`, and the log-probability of each judgement `[n]`."""
        chances = referee.said("referee", questions)
        given = drawn(chances, self._generator)
        return given.double().numpy(), chances.gather(-1, given[..., None])[..., 0].sum(-1)


def mixed(seed: int, way: Way) -> Mapping[str, float]:
    """GRPO on problems, ranked lists and open instructions.

    Args:
        seed: of everything.
        way: what is in a batch, and who the referee is. A frozen one is a model of its own, which is taught with as
            many ranked lists as the unified one sees in all, before it judges anything.
    """
    data = Training(seed)
    model = Roles(seed, {"player": 1, "referee": GRADES}, DOMAINS)
    adam = torch.optim.Adam(model.parameters(), 3e-3)
    referee = model
    if way == "frozen referee":
        referee = deepcopy(model)
        other = torch.optim.Adam(referee.parameters(), 3e-3)
        for _ in range(WARM + UPDATES):
            data.step(other, [data.rows("ranked", referee, referee)])
    absent: Mapping[Way, Kind] = {"frozen referee": "ranked", "without lists": "ranked", "without problems": "right"}
    kinds = [kind for kind in COLUMNS if kind != absent.get(way)]
    for _ in range(WARM):
        data.step(adam, [data.rows(kind, model, referee) for kind in kinds if kind != "own"])
    tested = data.world.questions(np.random.default_rng(9000 + seed), 1000, MENU, OPEN)
    pairs = data.world.questions(np.random.default_rng(8000 + seed), 4000, 2, OPEN)
    gold_before, right_before, own = gold(model, tested), right(referee, pairs), list[float]()
    for _ in range(UPDATES):
        batch = [data.rows(kind, model, referee) for kind in kinds]
        data.step(adam, batch)
        own.append(float(batch[-1].paid.mean()) / (GRADES - 1))
    return {
        "gold": gold(model, tested),
        "gold gained": gold(model, tested) - gold_before,
        "referee right": right(referee, pairs),
        "referee right, gained": right(referee, pairs) - right_before,
        "own score gained": float(np.mean(own[-20:]) - np.mean(own[:20])),
    }


def _better_in_both_roles(found: Found) -> bool:
    unified, frozen, blind, _ = WAYS
    return (
        found.above(unified, frozen, "gold")
        and found.above(unified, frozen, "referee right")
        and found.interval(unified, "referee right, gained")[0] > 0
        and found.interval(blind, "own score gained")[0] > 0
        and found.below(blind, unified, "gold", by=0.5)
    )


URPO = Check(
    row=30,
    name="player-referee-unified-rl",
    claim="A model that plays and judges ends with more gold on open instructions than the same player with a frozen "
    "referee that was taught with as many ranked lists; its own referee is right more often than that one, and more "
    "often than after warming up. Without ranked lists its own scores rise too, but gold ends lower by over 0.5.",
    arms={way: partial(mixed, way=way) for way in WAYS},
    holds=_better_in_both_roles,
    seeds=8,
    units={
        "gold": "standard deviations",
        "gold gained": "standard deviations",
        "referee right": "share of pairs",
        "referee right, gained": "share of pairs",
        "own score gained": "share of the highest score",
    },
)
