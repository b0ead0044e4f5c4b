"""Takes weights from a channel in a process of its own: says what came, or why nothing did, a line each.

python takes_weights.py HOST PORT DEADLINE_S COUNT
"""

from __future__ import annotations

import hashlib
import json
import sys
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch

from cluster.weight_channel import Address, SyncFailed, WeightChannel

MEETING_S = 300.0  # a process imports torch, on a slow machine


def told(tensors: dict[str, torch.Tensor]) -> dict[str, list[str]]:
    """Type, shape and a hash of the bytes of each tensor."""
    return {
        name: [
            str(one.dtype),
            str(tuple(one.shape)),
            hashlib.sha256(one.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()).hexdigest(),
        ]
        for name, one in tensors.items()
    }


if __name__ == "__main__":
    host, port, deadline_s, count = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    channel = WeightChannel.receiver(Address(host, port), host, "gloo", "cpu", MEETING_S)
    channel._deadline_s = deadline_s
    channel._store.set_timeout(timedelta(seconds=deadline_s))
    print("here", flush=True)
    for _ in range(count):
        try:
            tensors, version = channel.receive()
            print(json.dumps([version, told(tensors)]), flush=True)
        except SyncFailed as error:
            print(json.dumps([None, str(error)]), flush=True)
