"""`Seat`: one learner's place among those that share each batch, and how it meets the others."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from typing import NamedTuple

import torch
import torch.distributed
from torch._C._distributed_c10d import PrefixStore, TCPStore

from learners.language.world import ALONE, World


class Seat(NamedTuple):
    """One learner's place among those that share a batch.

    Attributes:
        rank: its number, from 0.
        size: how many there are.
        host: where the learners of a run find each other.
        port: of that host.
        group: a name for each beginning, so that the dead and the living do not meet.
    """

    rank: int = 0
    size: int = 1
    host: str = ""
    port: int = 0
    group: str = ""


ONLY = Seat()  # of a learner that shares batches with nobody


def join(seat: Seat, device: torch.device, timeout_s: float) -> World:
    """Meet the other learners.

    Args:
        seat: this learner's.
        device: where it learns; decides how gradients travel.
        timeout_s: how long one waits for the others, here and in each step.

    Raises:
        torch.distributed.DistError: they did not all come.
    """
    if seat.size == 1:
        return ALONE
    if seat.host == "127.0.0.1":  # as the meeting place, so the gradients: on loopback alone
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
    timeout = timedelta(seconds=timeout_s)
    store = TCPStore(seat.host, seat.port, is_master=False, timeout=timeout)
    torch.distributed.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        store=PrefixStore(seat.group, store),
        rank=seat.rank,
        world_size=seat.size,
        timeout=timeout,
    )
    return World.joined()
