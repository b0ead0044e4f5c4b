"""From an experiment to its learner: the one place that knows all algorithms and hands each its modules."""

from __future__ import annotations

import torch

from actors.critic import RecurrentCritic
from actors.policy import RecurrentPolicy
from envs.specs import EnvSpec
from learners.appo import Appo
from learners.language.world import ALONE, World
from learners.learner import Learner
from learners.offline.behaviour_cloning import BehaviourCloning
from learners.offline.iql import Iql
from pipelines.experiment import Experiment


def learner_for(experiment: Experiment, spec: EnvSpec, policy: RecurrentPolicy, world: World = ALONE) -> Learner:
    """The learner of an experiment, at version 0; its first weights are a function of the seed alone.

    Raises:
        ValueError: the algorithm cannot learn this environment's actions.
    """
    offline = experiment.offline
    if offline is None:
        return Appo(policy, experiment.learner, world)
    match offline.algorithm:
        case "behaviour_cloning":
            return BehaviourCloning(policy, offline.behaviour_cloning)
        case "iql":
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(experiment.seed)
                critic = RecurrentCritic(spec, experiment.policy).to(next(policy.parameters()).device)
            return Iql(policy, critic, offline.iql)
        case "vtrace":
            return Appo(policy, offline.vtrace)
