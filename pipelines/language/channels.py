"""The two ends of direct weight sync: what the learner keeps to send, and what an engine does to take it.

The learner sends from a copy, so that it can go on learning meanwhile; each engine has a channel of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch

from cluster.weight_channel import Address, Backend, Offer, SyncFailed, WeightChannel


class Tensors(NamedTuple):
    """Weights of one policy version as tensors."""

    version: int
    tensors: Mapping[str, torch.Tensor]


class Sending:
    """The learner's end: one channel for each engine."""

    def __init__(self, backend: Backend, device: str) -> None:
        """Nothing is held yet.

        Args:
            backend: of all channels.
            device: where the weights are.
        """
        self._backend, self._device = backend, device
        self._held: Tensors | None = None
        self._offers: dict[int, Offer] = {}
        self._channels: dict[int, WeightChannel] = {}

    def hold(self, tensors: Mapping[str, torch.Tensor], version: int) -> None:
        """Keep a copy of the newest weights, where they are."""
        self._held = Tensors(version, {name: value.detach().clone() for name, value in tensors.items()})

    def offer(self, engine: int) -> Address:
        """Open a channel for an engine, in the place of any that it had; gives where it is to come to."""
        if (old := self._channels.pop(engine, None)) is not None:
            old.close()
        self._offers[engine] = Offer(node_address())
        return self._offers[engine].address

    def send(self, engine: int, deadline_s: float) -> int:
        """Send what is held to an engine that takes it at the same time; gives its version.

        Args:
            engine: its number.
            deadline_s: for the meeting, and for the transfer.

        Raises:
            SyncFailed: it did not arrive; the channel is closed.
        """
        held = self._held
        if held is None or (engine not in self._offers and engine not in self._channels):
            raise SyncFailed(f"no channel to engine-{engine} is open")
        if engine not in self._channels:
            offer = self._offers.pop(engine)
            self._channels[engine] = WeightChannel.sender(offer, self._backend, self._device, deadline_s)
        try:
            self._channels[engine].send(held.tensors, held.version)
        except SyncFailed:
            self._channels.pop(engine).close()
            raise
        return held.version


class Taking:
    """An engine's end."""

    def __init__(self, backend: Backend, device: str) -> None:
        """No channel is open yet.

        Args:
            backend: as the learner has it.
            device: where the weights are to be.
        """
        self._backend, self._device = backend, device
        self._channel: tuple[Address, WeightChannel] | None = None

    def take(self, address: Address, deadline_s: float) -> Tensors:
        """The weights that are sent next.

        Args:
            address: of the channel; another one than before: the old is given up.
            deadline_s: for the meeting, and for the transfer.

        Raises:
            SyncFailed: they did not arrive; the channel is closed.
        """
        try:
            if self._channel is None or self._channel[0] != address:
                self._close()
                made = WeightChannel.receiver(address, node_address(), self._backend, self._device, deadline_s)
                self._channel = address, made
            tensors, version = self._channel[1].receive()
        except SyncFailed:
            self._close()
            raise
        return Tensors(version, tensors)

    def _close(self) -> None:
        if self._channel is not None:
            self._channel[1].close()
            self._channel = None


def node_address() -> str:
    """The address of this machine at which Ray's other machines find it."""
    import ray

    return str(ray.util.get_node_ip_address())
