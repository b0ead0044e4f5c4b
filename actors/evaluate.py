"""Playing seeded episodes with a fixed policy, to see what it is worth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from actors.policy import RecurrentPolicy
from envs.trajectory import EpisodeEnd
from envs.vector import VectorEnvironment


def play(
    environments: VectorEnvironment,
    policy: RecurrentPolicy,
    episodes: int,
    seed: int,
    greedy: bool = False,
    on_episode: Callable[[int], None] = lambda done: None,
) -> list[EpisodeEnd]:
    """Play episodes to their end.

    Every environment plays a share that is fixed beforehand, and all of it. Taking the first `episodes` that end
    instead would take short episodes too often, and long ones not at all.

    Args:
        environments: of which the first ones play one episode more where the shares are not equal; not yet reset.
        policy: acts; its weights are not changed.
        episodes: how many in all.
        seed: of the actions that are sampled; the episodes themselves follow from the environments' seed.
        greedy: take the most likely actions instead.
        on_episode: told how many episodes have ended.

    Returns:
        What became of each episode, by environment and then by number; `episode_id` is `environment/number`.

    Raises:
        ValueError: there are no episodes, or fewer than environments.
        ContractViolation: an environment broke its contract.
    """
    n = environments.num_envs
    if episodes < n:
        raise ValueError(f"got {episodes} episodes for {n} environments; expected at least one each")
    shares = np.full(n, episodes // n)
    shares[: episodes % n] += 1
    generator = torch.Generator().manual_seed(seed)
    environments.reset()
    first = environments.episode_index.copy()
    state, returns = policy.initial_state(n), np.zeros(n)
    ended: dict[tuple[int, int], EpisodeEnd] = {}
    while len(ended) < episodes:
        observation = {key: torch.from_numpy(block) for key, block in environments.observation.items()}
        acted = policy.act(observation, state, generator, greedy)
        state = acted.state
        step = environments.step(acted.action.numpy())
        returns += step.reward
        for index in np.flatnonzero(step.last).tolist():
            number = int(environments.episode_index[index] - first[index])
            if number < shares[index]:
                ended[index, number] = EpisodeEnd(
                    f"{index}/{number}",
                    float(returns[index]),
                    int(environments.episode_step[index]),
                    step.success.get(index),
                    bool(step.discount[index] > 0),
                )
                on_episode(len(ended))
        finished = environments.reset_finished()
        returns[finished] = 0.0
        state[torch.from_numpy(finished)] = 0.0
    return [ended[key] for key in sorted(ended)]
