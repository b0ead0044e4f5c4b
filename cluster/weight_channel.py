"""`WeightChannel`: weights go from one process to another without the object store, by NCCL between GPUs or by gloo.

One channel has two ends, and no part in any other process group: the sender is rank 0, the receiver rank 1. So a
receiver that hangs or dies costs nobody else anything. They find each other by an `Offer`, a small key-value store at
the sender's address, by which the layout of each version goes ahead of its bytes.

Every wait has a deadline. What was interrupted raises `SyncFailed`, which names version, what was being waited for and
the reason; the channel is then of no more use, and its owner makes another. Neither end says who it is: the network
between them must be trusted, as for any use of NCCL.
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, Literal, NamedTuple

import torch
import torch.distributed

Backend = Literal["nccl", "gloo"]

BUCKET_BYTES = 64 * 2**20
"""So many bytes travel together: small tensors cost little, and large ones no second copy of the whole model."""

dist: Any = torch.distributed  # its stubs leave out half of what it documents

POLL_S = 0.0005
_SENDER, _RECEIVER = 0, 1


class SyncFailed(RuntimeError):
    """Weights did not arrive; says which, and why."""


class Address(NamedTuple):
    """Where an `Offer` is to be found."""

    host: str
    port: int


class Offer:
    """The sender's end before there is a receiver."""

    def __init__(self, host: str) -> None:
        """Listen at one address of this machine, and at no other.

        Args:
            host: an IP address of this machine that the receiver can reach.

        Raises:
            OSError: it is none of this machine.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._socket.bind((host, 0))
            self._socket.listen()
        except OSError:
            self._socket.close()
            raise
        self.address = Address(host, int(self._socket.getsockname()[1]))
        # The store owns the descriptor from now on.
        self.store = dist.TCPStore(
            host,
            self.address.port,
            is_master=True,
            wait_for_workers=False,
            master_listen_fd=self._socket.detach(),
            use_libuv=True,
        )


class WeightChannel:
    """One end of a channel."""

    def __init__(self, store: Any, rank: int, host: str, backend: Backend, device: str, deadline_s: float) -> None:
        """Meet the other end; use `sender` or `receiver`.

        Raises:
            SyncFailed: it did not come in time.
        """
        self._store, self._rank, self._device = store, rank, torch.device(device)
        self._deadline_s, self._count = deadline_s, 0
        began = time.monotonic()
        store.set_timeout(timedelta(seconds=deadline_s))
        try:
            store.set(f"here/{rank}", host)
            store.get(f"here/{1 - rank}")
            left = timedelta(seconds=max(0.1, deadline_s - (time.monotonic() - began)))
            self._group = _group(dist.PrefixStore("group", store), rank, host, backend, left)
        except RuntimeError as error:
            raise SyncFailed(f"the other end did not come within {deadline_s:g} s: {_first_line(error)}") from error

    @classmethod
    def sender(cls, offer: Offer, backend: Backend, device: str, deadline_s: float) -> WeightChannel:
        """The end that sends.

        Args:
            offer: made here before.
            backend: "nccl" for two GPUs, "gloo" for any memory.
            device: where the weights are.
            deadline_s: for the meeting, and for each transfer.

        Raises:
            SyncFailed: nobody came in time.
        """
        return cls(offer.store, _SENDER, offer.address.host, backend, device, deadline_s)

    @classmethod
    def receiver(cls, address: Address, host: str, backend: Backend, device: str, deadline_s: float) -> WeightChannel:
        """The end that receives.

        Args:
            address: of the offer.
            host: an IP address of this machine that the sender can reach.
            backend: as the sender has it.
            device: where the weights are to be.
            deadline_s: for the meeting, and for each transfer.

        Raises:
            SyncFailed: there is no sender, or it did not come in time.
        """
        wait = timedelta(seconds=deadline_s)
        try:
            store = dist.TCPStore(address.host, address.port, is_master=False, timeout=wait, wait_for_workers=False)
        except RuntimeError as error:
            raise SyncFailed(f"nobody sends at {address.host}:{address.port}: {_first_line(error)}") from error
        return cls(store, _RECEIVER, host, backend, device, deadline_s)

    def send(self, tensors: Mapping[str, torch.Tensor], version: int) -> None:
        """Send all weights of a version; they must not change meanwhile.

        Raises:
            SyncFailed: they did not arrive.
        """
        until = time.monotonic() + self._deadline_s
        layout = [[name, str(value.dtype).removeprefix("torch."), list(value.shape)] for name, value in tensors.items()]
        key, self._count = f"layout/{self._count}", self._count + 1
        try:
            self._store.set(key, json.dumps({"version": version, "layout": layout}))
            for names in _buckets(layout):
                flat = torch.cat([_bytes(tensors[name]) for name in names]).to(self._device)
                self._broadcast(flat, until, f"{names[0]} of version {version}")
        except RuntimeError as error:
            raise _failure(error, f"version {version} was not taken") from error

    def receive(self) -> tuple[dict[str, torch.Tensor], int]:
        """The next weights that are sent, by name, and their version.

        Raises:
            SyncFailed: none came, or not all of them.
        """
        until = time.monotonic() + self._deadline_s
        key, self._count = f"layout/{self._count}", self._count + 1
        try:
            told = json.loads(self._store.get(key))
            self._store.delete_key(key)  # the sender holds the store, and would keep one of each version
        except RuntimeError as error:
            raise _failure(error, "no version was sent") from error
        version, layout = int(told["version"]), told["layout"]
        shapes = {name: (getattr(torch, dtype), shape) for name, dtype, shape in layout}
        found: dict[str, torch.Tensor] = {}
        try:
            for names in _buckets(layout):
                sizes = [_size(*shapes[name]) for name in names]
                flat = torch.empty(sum(sizes), dtype=torch.uint8, device=self._device)
                self._broadcast(flat, until, f"{names[0]} of version {version}")
                for name, part in zip(names, flat.split(sizes), strict=True):
                    dtype, shape = shapes[name]
                    # A copy begins where its type may begin, wherever it lay among the others.
                    found[name] = part.clone().view(dtype).reshape(shape)
        except RuntimeError as error:
            raise _failure(error, f"version {version} did not arrive") from error
        return found, version

    def close(self) -> None:
        """Give up the connection; the other end finds it broken."""
        with suppress(RuntimeError):
            self._group.abort()

    def _broadcast(self, flat: torch.Tensor, until: float, what: str) -> None:
        """One transfer from the sender; looked at from here, because NCCL's own watchdog ends the whole process."""
        options = dist.distributed_c10d.BroadcastOptions()
        options.rootRank = _SENDER
        work = self._group.broadcast([flat], options)
        while not work.is_completed():
            if time.monotonic() > until:
                self.close()
                raise SyncFailed(f"{what} was not through after {self._deadline_s:g} s")
            time.sleep(POLL_S)
        work.wait()  # raises what went wrong


def _group(store: Any, rank: int, host: str, backend: Backend, wait: timedelta) -> Any:
    """A process group of two, apart from the default group."""
    if backend == "nccl":
        options = dist.distributed_c10d.ProcessGroupNCCL.Options()
        # Beyond the deadline of a transfer: what is late is given up here, before NCCL would end the process for it.
        options._timeout = 4 * wait + timedelta(minutes=1)
        return dist.distributed_c10d.ProcessGroupNCCL(store, rank, 2, options)
    gloo: Any = dist.distributed_c10d.ProcessGroupGloo
    options = gloo._Options()
    options._devices = [gloo.create_device(hostname=host)]
    options._timeout = wait
    options._threads = 1
    return gloo(store, rank, 2, options)


def _buckets(layout: Sequence[Sequence[Any]]) -> Iterator[list[str]]:
    """Names of the tensors that travel together, in order; empty tensors are among them."""
    names: list[str] = []
    held = 0
    for name, dtype, shape in layout:
        size = _size(getattr(torch, dtype), shape)
        if names and held + size > BUCKET_BYTES:
            yield names
            names, held = [], 0
        names.append(name)
        held += size
    if names:
        yield names


def _size(dtype: torch.dtype, shape: Sequence[int]) -> int:
    """Bytes of a tensor."""
    count = 1
    for length in shape:
        count *= length
    return count * dtype.itemsize


def _bytes(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor as bytes, in one row."""
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8)


def _failure(error: RuntimeError, what: str) -> SyncFailed:
    return error if isinstance(error, SyncFailed) else SyncFailed(f"{what}: {_first_line(error)}")


def _first_line(error: BaseException) -> str:
    """What went wrong, without gloo's place in its source before it and its guesses behind it."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return re.sub(r"^\[\S+\] |\. This is typically.*$", "", line)[:300]
