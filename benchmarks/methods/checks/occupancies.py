"""Check of penalties on occupancy: a garden where a sprinkler looks to the camera like tomatoes that are watered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.tabular import grid
from learners.objectives.occupancy import discriminator
from rewards.columns import Column
from rewards.views.layout import Layout
from rewards.views.view import Config, RewardView

SIZE, EPISODES, LONGEST = 5, 48, 25
STATES = SIZE * SIZE
TOMATOES, SPRINKLER = (2, 7, 10, 14, 22), 24
COEFFICIENTS = (0.05, 0.2, 0.8)
Floats = NDArray[np.float64]


def _moves() -> NDArray[np.int64]:
    """Where each move leads `[S, 5]`: up, down, left, right, and staying."""
    towards = grid(SIZE).transition.argmax(-1)
    return np.concatenate([towards, np.arange(STATES)[:, None]], 1)


MOVES = _moves()
TRUE = np.isin(np.arange(STATES), TOMATOES).astype(float)
PROXY = TRUE + 2.0 * (np.arange(STATES) == SPRINKLER)


def base_policy() -> Floats:
    """Goes towards the nearest tomato three times in four, and else anywhere `[S, 5]`."""
    row, column = np.divmod(np.arange(STATES), SIZE)
    far = np.min([abs(row - t // SIZE) + abs(column - t % SIZE) for t in TOMATOES], 0)
    towards = far[MOVES]
    best = towards == towards.min(1, keepdims=True)
    found: Floats = 0.75 * best / best.sum(1, keepdims=True) + 0.25 / 5
    return found


def play(policy: Floats, random: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """States that are entered and what was done `[EPISODES, LONGEST]`: first where it was done, then the action."""
    state = random.integers(0, STATES, EPISODES)
    states, actions = [], []
    for _ in range(LONGEST):
        action = (policy[state].cumsum(-1) > random.random((EPISODES, 1))).argmax(-1)
        states.append(state)
        actions.append(action)
        state = MOVES[state, action]
    return np.stack(states, 1), np.stack(actions, 1)


def worth(policy: Floats) -> tuple[float, float]:
    """True reward and proxy a step, exactly."""
    occupied, now = np.zeros(STATES), np.full(STATES, 1 / STATES)
    for _ in range(LONGEST):
        after = np.zeros(STATES)
        np.add.at(after, MOVES, now[:, None] * policy)
        occupied, now = occupied + after / LONGEST, after
    return float(occupied @ TRUE), float(occupied @ PROXY)


def trained(seed: int, penalty: str, coefficient: float, updates: int = 120) -> tuple[float, float]:
    """True reward and proxy a step after learning from the proxy with a penalty.

    Args:
        seed: of sampling.
        penalty: `chi2` or `kl` of occupancies, `action` for the KL of actions, or `none`.
        coefficient: λ, in deviations of the proxy under the base policy.
        updates: of the policy.
    """
    random, base = np.random.default_rng(seed), base_policy()
    torch.manual_seed(seed)
    theta = torch.as_tensor(np.log(base), dtype=torch.float32).requires_grad_()
    told = torch.zeros(STATES, 5, requires_grad=True)  # the discriminator, a number for each state and action
    optimiser, teller = torch.optim.Adam([theta], 0.05), torch.optim.Adam([told], 0.1)
    deviation = float(PROXY[MOVES[play(base, random)]].std())
    kind: dict[str, Any] = {"preset": "orpo"} if penalty == "chi2" else {"preset": "kl"}
    parts = [
        {"part": "occupancy_penalty", "of": "proxy", "coefficient": coefficient * deviation, **kind, "to": "reward"},
        {"part": "returns", "of": "reward", "gamma": 0.95, "to": "return"},
    ]
    view = RewardView(Config.model_validate({"name": "garden", "parts": parts}))
    layout = Layout.of([LONGEST] * EPISODES, ended=np.zeros(EPISODES))
    for _ in range(updates):
        policy = theta.detach().double().softmax(-1).numpy()
        states, actions = (values.reshape(-1) for values in play(policy, random))
        was, did = (values.reshape(-1) for values in play(base, random))
        for _ in range(5):
            teller.zero_grad()
            (discriminator(told[states, actions], told[was, did]) + 1e-3 * told.square().mean()).backward()
            teller.step()
        if penalty == "action":
            ratio = np.log(policy[states, actions] / base[states, actions])
        else:
            ratio = told.detach().numpy()[states, actions] * (penalty != "none")
        columns = {"proxy": Column.full(PROXY[MOVES[states, actions]]), "log_ratio": Column.full(ratio)}
        gains = view.apply(columns, layout).streams["return"].values.astype(np.float64)
        time = np.tile(np.arange(LONGEST), EPISODES)
        gains -= (np.bincount(time, gains) / EPISODES)[time]
        chosen = theta.log_softmax(-1)[states, actions]
        loss = -(chosen * torch.as_tensor(gains / (gains.std() + 1e-8), dtype=torch.float32)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return worth(theta.detach().double().softmax(-1).numpy())


def at_its_best(seed: int, penalty: str) -> Mapping[str, float]:
    """The most true reward over the coefficients, with its proxy; and the base policy's."""
    tried = [trained(seed, penalty, c) for c in (COEFFICIENTS if penalty != "none" else (0.0,))]
    true, proxy = max(tried)
    return {"true reward": true, "proxy": proxy, "true reward, base": worth(base_policy())[0]}


def _in_the_order_of_the_paper(found: Found) -> bool:
    """χ² is above the KL of actions, which is above nothing; nothing falls below the base policy."""
    name = "true reward"
    return (
        found.above("χ² of occupancy", "KL of actions", name)
        and found.above("KL of actions", "none", name)
        and found.mean("none", name) < found.mean("none", "true reward, base")
    )


ORPO = Check(
    row=32,
    name="occupancy-chi2-regularisation",
    claim="Learning from a proxy that a sprinkler satisfies falls below the base policy's true reward; at its best "
    "coefficient a penalty on χ² of occupancy gets more of it than one on the KL of actions, and that more than none.",
    arms={
        "none": lambda seed: at_its_best(seed, "none"),
        "KL of actions": lambda seed: at_its_best(seed, "action"),
        "KL of occupancy": lambda seed: at_its_best(seed, "kl"),
        "χ² of occupancy": lambda seed: at_its_best(seed, "chi2"),
    },
    holds=_in_the_order_of_the_paper,
    seeds=3,
    units={"true reward": "tomatoes a step", "proxy": "proxy a step", "true reward, base": "tomatoes a step"},
)
