"""Whether a run fits this machine, found out by trying before anything starts: memory, and the time of a rollout."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import psutil
import torch

from envs.contract import ContractViolation
from envs.environment import Task
from envs.specs import EnvSpec
from envs.vector import VectorEnvironment
from pipelines.environment.roles import policy_for
from pipelines.errors import UserError
from pipelines.experiment import Experiment
from pipelines.machines.machine import GIB, memory_bytes

TRIED = 4  # environments that are made to see what one takes
PROCESS_GIB = 0.35  # of an actor, before its environments: Python, torch and Ray
COPIES = 3  # of a rollout's rows at a time: being written, on their way, being stored


def check_fits(experiment: Experiment, task: Task, clock: Callable[[], float] = time.monotonic) -> EnvSpec:
    """Try a few environments and the policy; gives the spec.

    Args:
        experiment: its actors are taken to be on one machine, as they are unless Ray has others.
        task: of the experiment.
        clock: seconds.

    Raises:
        UserError: the environments differ or break their contract, would not fit into memory, or the policy could not
            act in time.
    """
    actors = experiment.actors
    process = psutil.Process()
    before = process.memory_info().rss
    try:
        vector = VectorEnvironment(task, min(TRIED, actors.environments), experiment.seed)
        vector.reset()
    except ContractViolation as error:
        raise UserError(str(error)) from None
    try:
        each = max(0, process.memory_info().rss - before) / vector.num_envs
        row = sum(block.nbytes for block in vector.observation.values()) / vector.num_envs
        one = PROCESS_GIB * GIB + actors.environments * (each + COPIES * row * (actors.unroll_length + 1))
        _check_memory(experiment, actors.count * one, each)
        if actors.inference == "actor":
            _check_pace(experiment, vector, clock)
        return vector.spec
    finally:
        vector.close()


def _check_memory(experiment: Experiment, needed: float, each: float) -> None:
    if experiment.ray.address is not None:
        return  # other machines have memory of their own
    there = min(memory_bytes(), psutil.virtual_memory().available)
    if needed > there:
        actors = experiment.actors
        raise UserError(
            f"{actors.count} actors of {actors.environments} environments ({each / 1e6:.1f} MB each) with rollouts of "
            f"{actors.unroll_length} steps take about {needed / GIB:.1f} GiB; {there / GIB:.1f} GiB are free: lower "
            "actors.environments, actors.count or actors.unroll_length"
        )


def _check_pace(experiment: Experiment, vector: VectorEnvironment, clock: Callable[[], float]) -> None:
    """Refuse a policy whose forward passes alone would take an actor longer than its deadline."""
    actors = experiment.actors
    policy = policy_for(vector.spec, experiment)
    rows = -(-actors.environments // vector.num_envs)
    seen = {key: torch.from_numpy(np.repeat(block, rows, 0)) for key, block in vector.observation.items()}
    state = policy.initial_state(rows * vector.num_envs)
    policy.decide(seen, state)  # the first call is slower than those that come
    began = clock()
    policy.decide(seen, state)
    rollout_s = actors.unroll_length * (clock() - began)
    if rollout_s > actors.deadline_s:
        size = sum(parameter.numel() for parameter in policy.parameters())
        raise UserError(
            f"the policy ({size / 1e6:.1f} M parameters) takes an actor about {rollout_s:.0f} s for one rollout, and "
            f"actors.deadline_s is {actors.deadline_s:.0f}: use a smaller policy, actors.inference=server, or a longer "
            "deadline"
        )
