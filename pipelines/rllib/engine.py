"""`run_rllib`: an experiment on RLlib's engine: RLlib acts and learns, Guerdon judges and keeps the books."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import torch
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.algorithms.appo import APPOConfig
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core import COMPONENT_OPTIMIZER, COMPONENT_RL_MODULE, DEFAULT_MODULE_ID
from ray.rllib.core.rl_module.rl_module import RLModuleSpec

from cluster.deadlines import within
from cluster.session import ray_session
from envs.specs import EnvSpec
from pipelines.driver.lifecycle import Restored
from pipelines.environment.roles import role_seed, task_of
from pipelines.environment.run import Run
from pipelines.errors import UserError
from pipelines.experiment import Experiment
from pipelines.observing.logs import tell_dashboard
from pipelines.rllib.connector import attach
from pipelines.rllib.environment import CaptionedEnv, spaces_of
from pipelines.rllib.keeper import Keeper, keeping
from pipelines.rllib.module import GuerdonModule
from pipelines.scaling.asks import asks_of, expect_room, needed_cpus

LEARNER = "rllib"  # the role, in checkpoints
START_S = 120.0  # for env runners to start, where there is room


def algorithm_config(experiment: Experiment, spec: EnvSpec, desk: Any, epoch: int) -> AlgorithmConfig:
    """The experiment in RLlib's words.

    Args:
        experiment: with `rllib`.
        spec: of its environment.
        desk: where captions go and rewards come from.
        epoch: frames learnt before; a resumed run plays other episodes.

    Raises:
        ValueError: the actions are not Discrete, or reward and algorithm do not go together.
    """
    assert experiment.rllib is not None
    learner, actors = experiment.learner, experiment.actors
    batch = experiment.batch_fragments * actors.environments * actors.unroll_length
    appo = experiment.rllib.algorithm == "appo"
    config = APPOConfig() if appo else PPOConfig()
    observation, action = spaces_of(spec)
    options = {"task": experiment.task, "task_options": dict(experiment.task_options)}
    config.environment(CaptionedEnv, env_config=options, observation_space=observation, action_space=action)
    config.framework("torch")
    config.env_runners(
        num_env_runners=actors.count,
        num_envs_per_env_runner=actors.environments,
        rollout_fragment_length=actors.unroll_length if appo else "auto",
        sample_timeout_s=actors.deadline_s,
    )
    config.learners(num_learners=0)
    model = {"spec": spec.to_json(), "policy": experiment.policy.model_dump(), "seed": experiment.seed}
    config.rl_module(rl_module_spec=RLModuleSpec(module_class=GuerdonModule, model_config=model))
    config.training(
        train_batch_size_per_learner=batch,
        lr=learner.learning_rate,
        gamma=learner.gamma,
        grad_clip=learner.max_grad_norm,
        entropy_coeff=learner.entropy_coefficient,
        vf_loss_coeff=learner.value_coefficient,
        clip_param=learner.clip,
        use_kl_loss=False,
    )
    config.grad_clip_by = "global_norm"
    if appo:
        config.training(
            vtrace_clip_rho_threshold=learner.rho_bar,
            num_aggregator_actors_per_learner=0,
            # Its circular buffer drops batches that nobody has learnt from yet; a short queue makes the sampler wait.
            use_circular_buffer=False,
            simple_queue_size=1,
            num_epochs=learner.epochs,
            broadcast_interval=1,
        )
    else:
        config.training(
            lambda_=learner.lambda_,
            num_epochs=learner.epochs,
            minibatch_size=batch // learner.minibatches,
            vf_clip_param=float("inf"),
        )
    config.reporting(min_time_s_per_iteration=experiment.rllib.train_s)
    config.debugging(seed=role_seed(experiment, "episodes", epoch) >> 1, log_level="ERROR")
    return attach(config, experiment.reward, desk)


def run_rllib(run: Run, restored: Restored | None) -> None:
    """Run to the end on Ray.

    Args:
        run: the books, restored already where the run is resumed.
        restored: what it goes on from.

    Raises:
        UserError: Ray, the judge or RLlib could not be started or have no room, or nothing was learnt for
            `stall_timeout_s`.
    """
    experiment = run.experiment
    environment = task_of(experiment).make()
    spec = environment.spec
    environment.close()
    states = None if restored is None else restored.roles
    with ExitStack() as stack:
        stack.enter_context(ray_session(experiment.ray, needed_cpus(experiment)))
        expect_room(asks_of(experiment))
        keeper = stack.enter_context(keeping(run, states))
        try:
            config = algorithm_config(experiment, spec, keeper.desk, run.status.learnt_frames)
        except ValueError as error:
            raise UserError(f"rllib: {error}") from None
        keeper.do(lambda: tell_dashboard(run))
        torch.set_num_threads(experiment.learner_threads)
        algorithm = _built(config, experiment)
        try:
            if states is not None:
                _load(algorithm, states[LEARNER])
            _train(algorithm, keeper)
        finally:
            algorithm.stop()


def _built(config: AlgorithmConfig, experiment: Experiment) -> Algorithm:
    """The algorithm, once all its env runners have begun.

    Raises:
        UserError: they have not, because there is no room for them; RLlib itself would wait without end.
    """
    wait_s = experiment.placement.wait_s + START_S
    try:
        return within(wait_s, config.build_algo)
    except TimeoutError:
        raise UserError(
            f"RLlib's {experiment.actors.count} env runners have not begun within {wait_s:.0f} s (placement.wait_s and "
            f"{START_S:.0f} s to start): others have the room, or no node has come; free some, lower actors.count, or "
            "wait longer"
        ) from None


def _train(algorithm: Algorithm, keeper: Keeper) -> None:
    run = keeper.run
    learnt, moved = run.status.learnt_frames, time.monotonic()
    while not run.done:
        result = algorithm.train()
        found = result.get("learners", {}).get(DEFAULT_MODULE_ID, {})
        numbers = {k: float(v) for k, v in found.items() if isinstance(v, (int, float)) or hasattr(v, "item")}
        keeper.do(lambda numbers=numbers: run.status.latest.update(numbers))  # type: ignore[misc]
        if run.status.learnt_frames > learnt:
            learnt, moved = run.status.learnt_frames, time.monotonic()
        elif time.monotonic() - moved > run.experiment.stall_timeout_s:
            raise UserError(
                f"RLlib has learnt nothing for {run.experiment.stall_timeout_s:.0f} s; raise stall_timeout_s, or look "
                "into Ray's logs"
            )
        if run.checkpoint_due:
            _save(algorithm, keeper)
    _save(algorithm, keeper)


def _save(algorithm: Algorithm, keeper: Keeper) -> None:
    """A checkpoint of weights, optimiser and books, in the form of all runs: RLlib's own would be pickle."""
    state = _state(algorithm)

    def save() -> None:
        keeper.run.save({LEARNER: state, **keeper.state()}, [])
        with keeper.run.mirror.snapshot():
            pass  # its experience is RLlib's, and is not stored

    keeper.do(save, keeper.run.experiment.role_deadline_s)


def _state(algorithm: Algorithm) -> dict[str, Any]:
    """Weights and optimiser of the learner."""
    components = [COMPONENT_RL_MODULE, COMPONENT_OPTIMIZER]
    (result,) = algorithm.learner_group.foreach_learner(lambda learner: learner.get_state(components=components))
    found = result.get()
    return {name: found[name] for name in components}


def _load(algorithm: Algorithm, state: Mapping[str, Any]) -> None:
    """Go on from what `_state` gave, in the learner and in every env runner."""
    algorithm.learner_group.foreach_learner(lambda learner: learner.set_state(dict(state)))
    algorithm.env_runner_group.sync_weights(from_worker_or_learner_group=algorithm.learner_group)
