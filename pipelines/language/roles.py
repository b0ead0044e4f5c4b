"""The roles of a language run as plain objects: who writes, and who learns.

The local runner calls them; the distributed runner hosts each in a process of its own. They are the same objects.
"""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import pyarrow as pa
import torch
from safetensors.torch import load as load_tensors
from torch.distributed.device_mesh import init_device_mesh

from actors.language.rollout import Config as RolloutConfig
from actors.language.rollout import Origin, rollout
from cluster.logs import ident
from cluster.weight_channel import Address, Backend
from cluster.weights import Weights
from envs.language.trajectory import to_batch
from learners.language.learner import LanguageLearner
from learners.language.presets import preset
from learners.language.scorer import ValueHead
from learners.language.sharding import replicated, sharded
from learners.language.student import Wrap
from pipelines.driver.seats import ONLY, Seat, join
from pipelines.language.channels import Sending, Taking, Tensors
from pipelines.language.experiment import LanguageExperiment
from pipelines.language.groups import GroupReport, PromptOrder, in_order
from pipelines.language.models import causal_model, engine_for, pack
from pipelines.language.rewards import Values
from pipelines.language.success import Success, success_of
from pipelines.language.tasks import task_of
from pipelines.language.teaching import Teaching
from rewards.monitors.observation import Observation

LOG = logging.getLogger(__name__)


class EngineRole:
    """Writes answers with the weights it is given; new ones reach answers that are under way."""

    def __init__(self, experiment: LanguageExperiment, model: str, actor: int, epoch: int) -> None:
        """Load the model and the prompts.

        Args:
            experiment: the run's.
            model: directory of its weights before the first update.
            actor: number of this engine.
            epoch: how often it was started again.
        """
        torch.set_num_threads(experiment.engines.threads)
        self._experiment, self._actor, self._epoch, self._sequence = experiment, actor, epoch, 0
        self._task = task_of(experiment)
        self._prompts = self._task.load("train", experiment.seed)
        self._order = PromptOrder(len(self._prompts), experiment.seed)
        self._engine, self._chats = engine_for(experiment, model)
        self._news: queue.SimpleQueue[Weights | Tensors] = queue.SimpleQueue()
        self._taking: Taking | None = None

    def version(self) -> int:
        """Of the weights it writes with."""
        return self._engine.version

    def take(self, address: Address, deadline_s: float) -> int:
        """Take newer weights in straight from the learner, see `LearnerRole.send`; gives their version.

        Raises:
            SyncFailed: they did not arrive.
        """
        if self._taking is None:
            engines = self._experiment.engines
            self._taking = Taking(cast("Backend", engines.sync), engines.device)
        news = self._taking.take(address, deadline_s)
        self._news.put(news)
        return news.version

    def receive(self, weights: Weights | Tensors) -> int:
        """Take newer weights in; answers that are under way go on with them. Gives their version."""
        self._news.put(weights)
        return weights.version

    def rollout(
        self, groups: Sequence[int], weights: Weights | Tensors | None = None
    ) -> tuple[list[GroupReport], pa.RecordBatch]:
        """Play groups, all of them together; their rows follow each other in one batch, which travels as one.

        Args:
            groups: their numbers.
            weights: newer ones, if there are any.
        """
        if weights is not None:
            self._news.put(weights)
        if (fresh := self._newest()) is not None:
            self._engine.load_weights(*fresh)
        began = time.monotonic()
        prompts = [self._prompts[self._order(group)] for group in groups]
        size = self._experiment.group_size
        trajectories = rollout(
            self._engine,
            self._chats,
            self._task,
            prompts,
            size,
            self._experiment.sampling.build(),
            self._experiment.seed,
            groups=groups,
            origin=Origin(self._actor, self._epoch, self._sequence),
            config=RolloutConfig(lockstep=self._experiment.max_staleness == 0),
            poll=self._newest if self._experiment.engines.in_flight else None,
        )
        self._sequence += len(groups)
        each_s = (time.monotonic() - began) / len(groups)
        reports = []
        for number, group in enumerate(groups):
            own = trajectories[number * size : (number + 1) * size]
            reports.append(report_of(group, own, each_s))
            report = reports[-1]
            told = {"trajectory": ident(report.key), "group": group, "prompt": report.prompt_id}
            LOG.info("group", extra={**told, "tokens": report.tokens, "policy_version": report.policy_version})
        return reports, to_batch(trajectories)

    def succeed(self, weights: Weights | Tensors | None) -> Success:
        """Answer prompts of the test split, with these weights."""
        if weights is not None:
            self._news.put(weights)
        if (fresh := self._newest()) is not None:
            self._engine.load_weights(*fresh)
        experiment = self._experiment
        return success_of(experiment, self._task, self._engine, self._chats, "test", experiment.evaluate_prompts)

    def _newest(self) -> tuple[Mapping[str, torch.Tensor], int] | None:
        """The newest weights that came since the last look."""
        newest = None
        while not self._news.empty():
            newest = self._news.get()
        if newest is None or newest.version <= self._engine.version:
            return None
        tensors = newest.tensors if isinstance(newest, Tensors) else load_tensors(newest.blob)
        return tensors, newest.version


def report_of(group: int, rows: Sequence[Any], seconds: float) -> GroupReport:
    """What is said of a group beside its rows."""
    first = rows[0]
    finishes: dict[str, int] = {}
    for row in rows:
        finishes[row.finish] = finishes.get(row.finish, 0) + 1
    return GroupReport(
        key=(first.actor, first.epoch, first.sequence),
        group=group,
        prompt_id=first.prompt_id,
        row_ids=tuple(row.row_id for row in rows),
        policy_version=min(row.policy_version_min for row in rows),
        newest_version=max(row.policy_version_max for row in rows),
        tokens=int(sum(np.sum(row.loss_mask) for row in rows)),
        turns=sum(len(row.turn_ends) for row in rows),
        finishes=finishes,
        seconds=seconds,
    )


class Update(NamedTuple):
    """What the learner says of one update.

    Attributes:
        metrics: its numbers.
        fault: what was wrong, where it skipped a step.
        seen: what monitors look at, of the answers that were learnt from.
    """

    metrics: dict[str, float]
    fault: str = ""
    seen: Observation = Observation()


class LearnerRole:
    """Computes rewards and advantages at sampling time, updates the policy, and gives out weights."""

    def __init__(
        self,
        experiment: LanguageExperiment,
        model: str,
        state: Mapping[str, Any] | None = None,
        seat: Seat = ONLY,
    ) -> None:
        """Start from a model's directory, or from `state`.

        Args:
            experiment: the run's.
            model: directory of the weights before the first update.
            state: what `state()` gave.
            seat: its place among the learners that share each batch.
        """
        torch.set_num_threads(experiment.learner_threads)
        self._experiment, self._seat = experiment, seat
        self._sharded = seat.size > 1 and experiment.learner_sharding == "sharded"
        self._device = torch.device(experiment.learner_device)
        if experiment.learner_device == "cuda" and seat.size > 1:
            self._device = torch.device("cuda", seat.rank % torch.cuda.device_count())
        found = preset(experiment.method, experiment.sampling.max_tokens)
        config = experiment.learner.model_copy(
            update={"loss": found.loss, "temperature": experiment.sampling.temperature or 1.0, "seed": experiment.seed}
        )
        self._teaching = Teaching(experiment, config, seat)
        policy = causal_model(model, str(self._device))
        needs_reference = config.kl is not None and config.kl.to == "reference"
        self.learner = LanguageLearner(
            policy,
            config,
            reference=causal_model(model, str(self._device)) if needs_reference else None,
            value_head=ValueHead(policy.config.hidden_size) if found.advantage is None else None,
            world=join(seat, self._device, experiment.stall_timeout_s),
            wrap=self._wrap() if seat.size > 1 else None,
        )
        if state is not None:
            self.learner.load_state_dict(state["learner"])
            if "view" in state:
                self._teaching.rewards.view.load_state_dict(state["view"])
        engines = experiment.engines
        self._sending: Sending | None = None
        if experiment.runner == "distributed" and engines.sync != "object_store" and seat.rank == 0:
            self._sending = Sending(engines.sync, str(self._device))
        self._hold()

    def _wrap(self) -> Wrap:
        if not self._sharded:
            return replicated
        size = (self._seat.size,)
        return partial(sharded, mesh=init_device_mesh(self._device.type, size))

    def _hold(self) -> None:
        """Keep the newest weights for the engines that come for them; sharded, all learners must call."""
        if self._sending is not None or (self._sharded and self._experiment.engines.sync != "object_store"):
            tensors = self.learner.weights()
            if self._sending is not None:
                self._sending.hold(tensors, self.learner.version)

    def learn(self, rows: Sequence[pa.RecordBatch], values: Values) -> tuple[Update, Weights | Tensors]:
        """Learn from whole groups, once; gives what there is to say, and the next weights.

        Args:
            rows: of the groups, in any order; all learners' rows, for rewards are computed of all.
            values: the verdicts on them.
        """
        taught = self._teaching.of(in_order(rows), values, self.learner.version)
        steps = self.learner.steps
        skipped = steps.skipped
        metrics = self.learner.update(taught.batch) | taught.metrics
        self._hold()
        LOG.info("update", extra={"version": self.learner.version, "answers": int(sum(map(len, rows)))})
        seen = replace(taught.seen, entropy=metrics.get("entropy"))
        return Update(metrics, steps.fault if steps.skipped > skipped else "", seen), self.weights()

    def offer(self, engine: int) -> Address | None:
        """Open a channel to an engine, which is to come to this address; None: another learner has the channels."""
        return None if self._sending is None else self._sending.offer(engine)

    def send(self, engine: int, deadline_s: float) -> int:
        """Send the newest weights to an engine, also while learning, where this learner has them; gives their version.

        Raises:
            SyncFailed: they did not arrive.
        """
        return self.learner.version if self._sending is None else self._sending.send(engine, deadline_s)

    def weights(self) -> Weights | Tensors:
        """The current weights; in one process those that are learnt on.

        Empty where a channel brings them, and of learners that share batches but the first. Sharded, all must call.
        """
        if self._experiment.runner == "local":
            return Tensors(self.learner.version, self.learner.weights())
        first, stored = self._seat.rank == 0, self._experiment.engines.sync == "object_store"
        tensors = self.learner.weights() if stored and (first or self._sharded) else {}
        return Weights(self.learner.version, pack(tensors) if stored and first else b"")

    def first_weights(self) -> tuple[int, Weights | Tensors]:
        """The current weights beside their version."""
        return self.learner.version, self.weights()

    def save(self, directory: Path, tokenizer_of: str) -> None:
        """Write the policy in Hugging Face format, with its tokenizer."""
        from pipelines.language.models import save_tokenizer
        from rewards.judges.builtin.train import without_bars

        with without_bars():
            self.learner.save(directory)
        save_tokenizer(tokenizer_of, directory)

    def state(self) -> dict[str, Any]:
        """Everything to go on from; learners that share batches are alike, so the first says it for all.

        Sharded, all must call.
        """
        state = dict(self.learner.state_dict()) if self._seat.rank == 0 or self._sharded else {}
        return {} if self._seat.rank else {"learner": state, "view": self._teaching.rewards.view.state_dict()}
