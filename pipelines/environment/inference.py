"""A central inference server: one policy, on a CPU or a GPU, that says for all actors what it says.

    train … actors.inference=server actors.inference_device=cuda

The server is a role like the others: supervised, told of new weights when they are published, and never waited for by
the learner. An actor whose question is not answered loses its rollout, and asks the server that was started instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import ray
import torch
from numpy.typing import NDArray
from ray.exceptions import RayError
from torch import Tensor

from actors.inference import Decision, InferenceLost, InferenceServer
from cluster.events import Event, RoleLost
from cluster.reservations import Reservation, Room
from cluster.supervision import Supervised
from cluster.weights import Weights, WeightsBoard
from envs.specs import EnvSpec
from pipelines.environment.roles import policy_for
from pipelines.experiment import Experiment

PAUSE_S = 0.05

Reply = tuple[NDArray[Any], NDArray[Any], int]  # parameters [N, P], state [N, H], version


class PolicyServer:
    """`InferenceServer` as a hosted role: arrays in, arrays out."""

    def __init__(self, experiment: Experiment, spec: EnvSpec) -> None:
        """Serve the policy of an experiment; it answers once it has been told weights."""
        torch.set_num_threads(experiment.actors.threads)
        self._deadline_s = experiment.actors.deadline_s
        self._server = InferenceServer(policy_for(spec, experiment), experiment.actors.inference_device)

    def load(self, weights: Weights) -> int:
        """Answer by these weights from the next batch on; gives their version."""
        self._server.load(weights.version, weights.blob)
        return weights.version

    def decide(self, observation: Mapping[str, NDArray[Any]], state: NDArray[Any]) -> Reply:
        """What the policy says of `[N, …]` observations; called in many threads at once."""
        seen = {key: _tensor(value) for key, value in observation.items()}
        answer = self._server.decide(seen, _tensor(state), self._deadline_s)
        return answer.parameters.numpy(), answer.state.numpy(), answer.version


class ServedInference:
    """Asks the server; `server` is a handle of its host, told anew with every rollout.

    Args:
        deadline_s: for one answer.
    """

    def __init__(self, deadline_s: float) -> None:
        self.server: Any = None
        self._deadline_s = deadline_s

    def ask(self, observation: Mapping[str, Tensor], state: Tensor) -> Callable[[], Decision]:
        """Send the question; what is returned waits for the answer."""
        seen = {key: value.numpy() for key, value in observation.items()}
        answer = self.server.call.remote("decide", seen, state.numpy())

        def wait() -> Decision:
            try:
                parameters, memory, version = ray.get(answer, timeout=self._deadline_s)
            except RayError as error:
                text = str(error).strip().splitlines()
                raise InferenceLost(f"the inference server does not answer: {text[-1] if text else error!r}") from None
            return Decision(_tensor(parameters), _tensor(memory), version)

        return wait


class ServedPolicy:
    """The server as the driver sees it: a role that is told of weights, and started again when it dies.

    Args:
        experiment: whose actors ask it.
        spec: of its environments.
        board: where weights are published.
        on_event: hears of deaths and recoveries.
        room: where it stands.
    """

    def __init__(
        self, experiment: Experiment, spec: EnvSpec, board: WeightsBoard, on_event: Callable[[Event], None], room: Room
    ) -> None:
        self.role = Supervised(
            "inference",
            lambda epoch: partial(PolicyServer, experiment, spec),
            deadline_s=experiment.actors.deadline_s,
            room=room,
            threads=experiment.actors.threads,
            concurrency=experiment.scaling.actors.around(experiment.actors.count)[1] * experiment.actors.turns + 2,
            on_event=on_event,
        )
        self._board, self._telling = board, asyncio.Lock()
        self._told: tuple[int, int] | None = None  # the epoch that was told weights, and their version

    async def host(self) -> Any:
        """A handle of the server, which answers by the newest weights."""
        async with self._telling:
            while self._told != (self.role.epoch, self._board.version):
                told = self.role.epoch, self._board.version
                try:
                    await self.role.call("load", self._board.newer_than(-1))
                    self._told = told
                except RoleLost:
                    await asyncio.sleep(PAUSE_S)
            return self.role.host

    async def move(self, to: Reservation) -> None:
        """Its node will go: begin again elsewhere; it has no state but the weights, which it is told anew."""
        async with self._telling:
            self.role.move("its node will go", to)

    def doubt(self) -> None:
        """Somebody got no answer: see whether the server lives before anybody else asks it."""
        self._told = None


def _tensor(array: NDArray[Any]) -> Tensor:
    """A tensor of an array that Ray may have handed out read-only."""
    return torch.from_numpy(array if array.flags.writeable else np.array(array))
