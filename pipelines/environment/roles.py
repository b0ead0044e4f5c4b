"""The roles of a run as plain objects: who acts, who learns, who trains the reward model.

The local runner calls them; the distributed runner hosts each in a process of its own. They are the same objects.
"""

from __future__ import annotations

import hashlib
import logging
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch

from actors.policy import RecurrentPolicy
from actors.unroll import Unroll
from cluster.logs import ident
from cluster.weights import Weights
from envs.environment import Task
from envs.specs import EnvSpec
from envs.tasks import make_task
from envs.trajectory import Fragment
from envs.vector import VectorEnvironment
from learners.batch import TrainBatch, build_batch
from pipelines.algorithms import learner_for
from pipelines.driver.seats import ONLY, Seat, join
from pipelines.experiment import Experiment
from pipelines.reward_stage import RewardStage, reward_model_for
from pipelines.stages import Stages
from rewards.verdicts import Verdict
from rewards.views.view import ViewResult

LOG = logging.getLogger(__name__)


def task_of(experiment: Experiment) -> Task:
    """The experiment's task."""
    return make_task(experiment.task, **experiment.task_options)


def policy_for(spec: EnvSpec, experiment: Experiment) -> RecurrentPolicy:
    """A fresh policy; its first weights are a function of the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(experiment.seed)
        return RecurrentPolicy(spec, experiment.policy)


def role_seed(experiment: Experiment, role: str, *numbers: int) -> int:
    """A seed of its own for each role, actor and epoch."""
    words = [experiment.seed, *role.encode(), *numbers]
    return int(np.random.SeedSequence(words).generate_state(1, np.uint32)[0])


class EnvActor:
    """Acts in a vector of environments with the weights it is given."""

    def __init__(self, experiment: Experiment, actor: int, epoch: int, inference: Any = None) -> None:
        """Make the environments; a restarted actor (a later epoch) plays other episodes than the one that died.

        Args:
            experiment: the run's.
            actor: which one this is.
            epoch: how often it was started before.
            inference: asks a server what the policy says (inference.py); None: the actor computes it.
        """
        torch.set_num_threads(experiment.actors.threads)
        task, seed = task_of(experiment), role_seed(experiment, "episodes", actor, epoch)
        sizes = [len(part) for part in np.array_split(range(experiment.actors.environments), experiment.actors.turns)]
        starts = np.cumsum([0, *sizes]).tolist()
        vectors = [VectorEnvironment(task, n, seed, first) for n, first in zip(sizes, starts, strict=False)]
        self._inference = inference
        self._unroll = Unroll(
            vectors,
            policy_for(vectors[0].spec, experiment),
            experiment.actors.unroll_length,
            role_seed(experiment, "actions", actor, epoch),
            actor,
            epoch,
            inference,
        )

    def rollout(self, weights: Weights | None, server: Any = None) -> tuple[Fragment, pa.RecordBatch]:
        """Take newer weights, if there are any, and one rollout; `server` is a handle of the inference server."""
        if self._inference is not None:
            self._inference.server = server
        elif weights is not None:
            self._unroll.load_weights(weights.version, weights.blob)
        fragment, rows = self._unroll.rollout()
        told = {"trajectory": ident(fragment.key), "frames": fragment.frames, "policy_version": fragment.policy_version}
        LOG.info("rollout", extra=told)
        return fragment, rows

    def close(self) -> None:
        """Close the environments."""
        self._unroll.close()


class Prepared(NamedTuple):
    """A batch that is ready to be learnt from, with its number, what its rewards were, and what that took."""

    number: int
    batch: TrainBatch
    metrics: dict[str, float]
    stages: Stages


class PolicyLearner:
    """Computes rewards at sampling time, updates the policy, and gives out weights.

    A batch is prepared by one thread (rewards, tensors, the copy to a GPU) while another learns from the one before.
    """

    def __init__(
        self, experiment: Experiment, spec: EnvSpec, state: Mapping[str, Any] | None = None, seat: Seat = ONLY
    ) -> None:
        """Start anew, or from `state`.

        Args:
            experiment: the run's.
            spec: of its environment.
            state: what `state()` gave.
            seat: its place among the learners that share each batch.
        """
        torch.set_num_threads(experiment.learner_threads)
        self.seat = seat
        self.device = torch.device(experiment.learner_device)
        if self.device.type == "cuda":
            self.device = torch.device("cuda", seat.rank % torch.cuda.device_count())
        self.policy = policy_for(spec, experiment).to(self.device)
        world = join(seat, self.device, experiment.stall_timeout_s)
        self.learner = learner_for(experiment, spec, self.policy, world)
        self.rewards = RewardStage(experiment.reward)
        self._knowing = threading.Lock()  # a reward model does not change while it scores a batch
        self._prepared: queue.SimpleQueue[Prepared] = queue.SimpleQueue()
        self._stages = Stages()
        if state is not None:
            self.learner.load_state_dict(state["learner"])
            self.rewards.load_state_dict(state["rewards"])

    def observe(self, captions: Mapping[int, str], snapshot: bytes | None) -> None:
        """Learn what captions say, and score from now on with a newer reward model."""
        model = self.rewards.model
        if model is not None:
            with self._knowing:
                model.observe(captions)
                if snapshot is not None:
                    model.load_snapshot(snapshot)

    def prepare(
        self, number: int, captions: Mapping[int, str], snapshot: bytes | None, rows: Sequence[pa.RecordBatch]
    ) -> None:
        """Make a batch ready to be learnt from; `observe` first.

        Args:
            number: of the batch, greater than of all before.
            captions: texts by id, of those that are new.
            snapshot: of the reward model, where there is a newer one.
            rows: all learners' rows: rewards are computed of all, so that what they learn of rewards is the same.
        """
        stages = Stages()
        self.observe(captions, snapshot)
        with stages("reward"), self._knowing:
            results = {id(batch): self.rewards(batch) for batch in rows}
        with stages("collate"):
            own = rows[self.seat.rank :: self.seat.size]
            batch = build_batch(own, reward=lambda r: results[id(r)].reward, weight=lambda r: results[id(r)].weight)
        with stages("copy"):
            batch = batch.to(self.device)
        self._prepared.put(Prepared(number, batch, reward_metrics(list(results.values())), stages))

    def learn(self, number: int) -> tuple[dict[str, float], Weights]:
        """Learn from the prepared batch of this number, once; gives metrics and the next weights."""
        with self._stages("wait"):
            prepared = self._prepared.get()
            while prepared.number < number:  # of before the learner went back
                prepared = self._prepared.get()
        metrics = self.learner.update(prepared.batch)
        with self._stages("publish"):
            weights = self.weights()
        LOG.info("update", extra={"batch": number, "version": weights.version})
        return metrics | prepared.metrics | self._stages.taken(prepared.stages), weights

    def update(self, rows: Sequence[pa.RecordBatch]) -> tuple[dict[str, float], Weights]:
        """`prepare` and `learn`, one after the other."""
        self.prepare(self.learner.version, {}, None, rows)
        return self.learn(self.learner.version)

    def weights(self) -> Weights:
        """The current weights; of learners that share batches, the first gives them out."""
        return Weights(self.learner.version, self.learner.weights() if self.seat.rank == 0 else b"")

    def first_weights(self) -> tuple[int, Weights]:
        """The current weights beside their version."""
        return self.learner.version, self.weights()

    def state(self) -> dict[str, Any]:
        """Everything to go on from; learners that share batches are alike, so the first says it for all."""
        if self.seat.rank > 0:
            return {}
        return {"learner": dict(self.learner.state_dict()), "rewards": self.rewards.state_dict()}


def reward_metrics(results: Sequence[ViewResult]) -> dict[str, float]:
    """Of the rewards of a batch: the mean of each component, and at how many steps it was NULL."""
    metrics = {"reward_intrinsic": 0.0}
    for name in results[0].contributions:
        metrics[f"reward_{name}"] = float(np.concatenate([result.contributions[name] for result in results]).mean())
        metrics[f"null_{name}"] = float(sum(result.null_counts[name] for result in results))
    return metrics


class TrainerReport(NamedTuple):
    """What the reward trainer says of one step; `sha256` names the snapshot beside it, empty where there is none."""

    metrics: dict[str, float]
    sha256: str = ""


class RewardTrainer:
    """Trains the reward model on verdicts."""

    def __init__(self, experiment: Experiment, state: Mapping[str, Any] | None = None) -> None:
        """Start anew, or from `state`; verdicts that the state has seen are not taken twice."""
        torch.set_num_threads(1)
        self._experiment = experiment
        self.begin_anew()
        if state is not None:
            self._model.load_state_dict(state["model"])

    def begin_anew(self) -> None:
        """Forget everything: the reward is another one from now on.

        Raises:
            ValueError: the reward's source has no model.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(role_seed(self._experiment, "reward model"))
            model = reward_model_for(self._experiment.reward)
        if model is None:
            raise ValueError(
                f"got reward source {self._experiment.reward.source!r}, which has no reward model to train"
            )
        self._model, self._sent_version = model, -1

    def step(
        self, captions: Mapping[int, str], verdicts: Sequence[Verdict], steps: int
    ) -> tuple[TrainerReport, bytes | None]:
        """Take new captions and verdicts in and train; gives a report, and a snapshot where something changed."""
        stages = Stages()
        with stages("annotate"):
            self._model.observe(captions)
            if verdicts:
                self._model.add(verdicts)
            metrics = {**self._model.train(steps)}
        metrics["version"] = float(self._model.version)
        if self._model.version == self._sent_version:
            return TrainerReport(metrics | stages.taken()), None
        self._sent_version = self._model.version
        LOG.info("reward model", extra={"version": self._model.version, "new_verdicts": len(verdicts)})
        with stages("annotate"):
            snapshot = self._model.snapshot()
        return TrainerReport(metrics | stages.taken(), hashlib.sha256(snapshot).hexdigest()[:16]), snapshot

    def rest(self, seconds: float) -> None:
        """Do nothing for so long; the next call waits."""
        time.sleep(seconds)

    def state(self) -> dict[str, Any]:
        """Everything to go on from."""
        return {"model": self._model.state_dict()}
