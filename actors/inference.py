"""Who computes what the policy says: the actor itself, or a server that does it for many actors in one batch.

Either way the actor keeps the memory of its environments and draws the actions, from its own generator. So equal
weights and seeds give equal actions wherever they are computed (to the last bits of a sum, where a server puts several
questions into one batch).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from actors.policy import RecurrentPolicy


class Decision(NamedTuple):
    """What a policy says of N environments.

    Attributes:
        parameters: of the action distributions, `[N, P]`.
        state: the next recurrent state, `[N, H]`.
        version: of the weights that said so.
    """

    parameters: Tensor
    state: Tensor
    version: int


class InferenceLost(RuntimeError):
    """Nobody answered what the policy says; the rollout is lost, and the actor can begin another."""


class Inference(Protocol):
    """Answers what the policy says, now or a little later."""

    def ask(self, observation: Mapping[str, Tensor], state: Tensor) -> Callable[[], Decision]:
        """Ask of `[N, …]` observations and state `[N, H]`, which may be overwritten once this returns.

        Returns:
            What waits for the answer, and gives it; it raises `InferenceLost` where none comes.
        """
        ...


class OwnInference:
    """The actor's own policy, answering at once."""

    def __init__(self, policy: RecurrentPolicy, version: int = -1) -> None:
        """Ask `policy`, whose weights are of this version."""
        self.policy, self.version = policy, version

    def load(self, version: int, blob: bytes) -> None:
        """Answer by these weights from now on."""
        self.policy.load(blob)
        self.version = version

    def ask(self, observation: Mapping[str, Tensor], state: Tensor) -> Callable[[], Decision]:
        """Compute the answer."""
        decision = Decision(*self.policy.decide(observation, state), self.version)
        return lambda: decision


@dataclass
class _Call:
    observation: Mapping[str, Tensor]
    state: Tensor
    answer: Future[Decision] = field(default_factory=Future)


class InferenceServer:
    """Answers the calls of many threads; what comes while a batch is computed makes up the next one.

    Nothing waits for company: the first call goes at once.

    Args:
        policy: moved to `device`.
        device: "cpu" or "cuda".
        max_rows: environments in one batch, at most; a call that is larger goes alone.
    """

    def __init__(self, policy: RecurrentPolicy, device: str = "cpu", max_rows: int = 4096) -> None:
        self._policy, self._device, self._max_rows = policy.to(device), torch.device(device), max_rows
        self._version = -1
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._weights = threading.Lock()
        self.batches = self.rows = 0
        self._worker = threading.Thread(target=self._work, name="inference", daemon=True)
        self._worker.start()

    def load(self, version: int, blob: bytes) -> None:
        """Answer by these weights from the next batch on; nobody is stopped for it."""
        with self._weights:
            self._policy.load(blob)
            self._version = version

    def decide(self, observation: Mapping[str, Tensor], state: Tensor, timeout_s: float) -> Decision:
        """What the policy says of `[N, …]` observations.

        Raises:
            InferenceLost: no answer within `timeout_s`.
        """
        call = _Call(observation, state)
        self._calls.put(call)
        try:
            return call.answer.result(timeout_s)
        except Late:
            raise InferenceLost(f"no answer within {timeout_s:g} s: {self._calls.qsize()} calls wait") from None

    def close(self) -> None:
        """Stop after the calls that came before."""
        self._calls.put(None)
        self._worker.join()

    def _work(self) -> None:
        ahead: _Call | None = None  # a call that did not fit into the batch before
        while True:
            call = ahead or self._calls.get()
            ahead = None
            if call is None:
                return
            batch, rows = [call], len(call.state)
            while not self._calls.empty():
                following = self._calls.get()
                if following is None or rows + len(following.state) > self._max_rows:
                    if following is None:
                        self._calls.put(None)
                    ahead = following
                    break
                batch.append(following)
                rows += len(following.state)
            self._answer(batch, rows)

    def _answer(self, batch: list[_Call], rows: int) -> None:
        try:
            observation = {
                key: torch.cat([call.observation[key] for call in batch]).to(self._device)
                for key in batch[0].observation
            }
            with self._weights:
                state = torch.cat([call.state for call in batch]).to(self._device)
                parameters, state = self._policy.decide(observation, state)
                version = self._version
            sizes = [len(call.state) for call in batch]
            answers = zip(parameters.cpu().split(sizes), state.cpu().split(sizes), strict=True)
            self.batches, self.rows = self.batches + 1, self.rows + rows
            for call, (part, memory) in zip(batch, answers, strict=True):
                call.answer.set_result(Decision(part, memory, version))
        except Exception as error:
            for call in batch:
                if not call.answer.done():
                    call.answer.set_exception(error)
