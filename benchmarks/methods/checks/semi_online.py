"""Check of reinforcement learning along recorded trajectories, and of how to tell from them what a policy can do."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.menu import view
from benchmarks.methods.worlds.screens import LENGTH, NOTE, Agent, Floats, Ints, Lived, Tasks, latest, same_action
from rewards.columns import Column
from rewards.evaluation.semi_online import semi_online_performance
from rewards.views.layout import Layout
from rewards.views.view import RewardView

GROUPS, MEMBERS, UPDATES, EVERY, RATE = 16, 8, 360, 45, 2.0
PATCHES, TRIED = 2, 400
"""Of a rollout, and tasks that a policy is tried on."""
SFT, OFFLINE, NO_CREDIT, SEMI, ONLINE = "SFT", "offline RL", "semi-online, no credit", "semi-online RL", "online RL"
GRPO = {"part": "group_relative", "preset": "grpo"}


def ui_s1(gamma: float, episode: float) -> RewardView:
    """The advantage of a step's return at its place, and of the episode."""
    return view(
        {"paid": "step", "match": "step"},
        {"part": "returns", "preset": "ui_s1", "of": "paid", "to": "following", "gamma": gamma},
        {"part": "position_relative", "preset": "tp_grpo", "of": "following", "to": "of step"},
        {"part": "reduce", "of": "paid", "by": "sum", "to": "reward"},
        {**GRPO, "of": "reward", "to": "of episode"},
        {
            "part": "weighted_sum",
            "coefficients": {"of step": 1.0, "of episode": episode},
            "on_null": {"of step": "omit"},  # nobody else of the group has come that far
            "to": "advantage",
        },
    )


VIEWS = {OFFLINE: ui_s1(0.0, 0.0), NO_CREDIT: ui_s1(0.0, 0.0), SEMI: ui_s1(0.5, 1.0)}
OUTCOME = view(
    {"through": "episode"}, {"part": "weighted_sum", "coefficients": {"through": 1.0}}, {**GRPO, "of": "reward"}
)
GROUP = np.repeat(np.arange(GROUPS), MEMBERS)


def advantages(made: RewardView, columns: Mapping[str, Column], steps: Ints) -> Floats:
    """Of each step, episode after episode; 0 where there is none."""
    layout = Layout.of(steps, GROUP)
    result = made.apply(columns, layout)
    if result.advantage is None:
        raise ValueError("got a view without an advantage; expected one that writes it")
    found = np.where(result.advantage.valid, result.advantage.values, 0.0).astype(np.float64)
    return found[layout.owner("step", result.levels["advantage"])]


def learn(agent: Agent, arm: str, tasks: Tasks, random: np.random.Generator) -> None:
    """One update on MEMBERS rollouts of each task, or on as many of the expert's."""
    if arm == ONLINE:
        lived = Lived(agent, tasks, random)
        gain = advantages(OUTCOME, {"through": Column.full(lived.through.astype(np.float64))}, lived.going.sum(1))
        screen, noted, done = (of[lived.going] for of in (lived.screen, lived.noted, lived.done))
    elif arm in (NO_CREDIT, SEMI):
        found = agent.along(tasks, PATCHES, random)
        match = found.match[found.reached].astype(np.float64)
        columns = {"paid": Column.full(0.1 + 0.9 * match), "match": Column.full(match)}
        gain = advantages(VIEWS[arm], columns, found.reached.sum(1))
        before = np.stack([latest(found.history[:, :t, NOTE]) for t in range(LENGTH)], 1)
        screen, noted, done = (of[found.reached] for of in (tasks.screens, before, found.done))
    else:  # each step by itself, after what the expert did, who noted nothing
        screen, expert = tasks.screens.ravel(), tasks.expert.reshape(-1, 2)
        noted = np.zeros_like(screen)
        done = expert if arm == SFT else agent.act(screen, noted, random)
        match = same_action(done, expert).astype(np.float64)
        columns = {"paid": Column.full(0.1 + 0.9 * match), "match": Column.full(match)}
        steps = np.full(len(tasks), LENGTH)
        gain = np.ones(len(screen)) if arm == SFT else advantages(VIEWS[OFFLINE], columns, steps)
    both = np.stack([gain, np.zeros_like(gain) if arm == SFT else gain], -1)  # an expert without notes teaches none
    agent.ascend(screen, noted, done, both / len(tasks), RATE)


def tried(agent: Agent, seed: int, random: np.random.Generator) -> tuple[float, float, float]:
    """Of new tasks: the share done in the world, SOP, and the accuracy of single steps after the expert's."""
    tasks = Tasks(seed, random, TRIED)
    through = Lived(agent, tasks, random).through.mean()
    performance = semi_online_performance(agent.along(tasks, 0, random).match, np.full(TRIED, LENGTH))
    screen = tasks.screens.ravel()
    alone = same_action(agent.act(screen, np.zeros_like(screen), random), tasks.expert.reshape(-1, 2))
    return float(through), performance.score, float(alone.mean())


@cache
def policies(seed: int) -> Mapping[str, Floats]:
    """By arm, what its policies at the start and after each EVERY updates can do, as `tried` says `[n, 3]`."""
    found = {}
    for arm in (SFT, OFFLINE, NO_CREDIT, SEMI, ONLINE):
        random, agent = np.random.default_rng(1000 + seed), Agent(seed)
        curve = [tried(agent, seed, random)]
        for update in range(UPDATES):
            learn(agent, arm, Tasks(seed, random, GROUPS).repeated(MEMBERS), random)
            if (update + 1) % EVERY == 0:
                curve.append(tried(agent, seed, random))
        found[arm] = np.array(curve)
    return found


def measured(seed: int, arm: str) -> Mapping[str, float]:
    """What the arm's last policy can do, and how well two measures foretell the world over the policies of all arms."""
    every = policies(seed)
    success, sop, alone = every[arm][-1].tolist()
    correlation = np.corrcoef(np.concatenate(list(every.values())).T)
    return {
        "success in the world": success,
        "SOP": sop,
        "step accuracy": alone,
        "r of SOP, all arms": float(correlation[0, 1]),
        "r of step accuracy, all arms": float(correlation[0, 2]),
    }


def _semi_online_pays(found: Found) -> bool:
    """Above all that never see their own history or what follows, near online RL, and foretold by SOP."""
    world = "success in the world"
    closer = (found.values[SEMI][name] for name in ("r of SOP, all arms", "r of step accuracy, all arms"))
    return (
        all(found.above(SEMI, other, world, by=0.1) for other in (SFT, OFFLINE, NO_CREDIT))
        and found.above(SEMI, ONLINE, world, by=-0.1)
        and all(sop > alone for sop, alone in zip(*closer, strict=True))
    )


UI_S1 = Check(
    row=214,
    name="semi-online-rl",
    claim="Semi-online RL from recorded tasks does more tasks in the world than SFT, than RL on single steps, and than "
    "itself without credit for what follows, by more than 0.1 each, and at most 0.1 fewer than online RL; over all "
    "policies on the way SOP correlates with success in the world more closely than the accuracy of single steps.",
    arms={
        SFT: lambda seed: measured(seed, SFT),
        OFFLINE: lambda seed: measured(seed, OFFLINE),
        NO_CREDIT: lambda seed: measured(seed, NO_CREDIT),
        SEMI: lambda seed: measured(seed, SEMI),
        ONLINE: lambda seed: measured(seed, ONLINE),
    },
    holds=_semi_online_pays,
    units={
        "success in the world": "share of tasks",
        "SOP": "share",
        "step accuracy": "share of steps",
        "r of SOP, all arms": "Pearson's r",
        "r of step accuracy, all arms": "Pearson's r",
    },
)
