"""`free_port`: one for a server that must be told its port, and that nobody takes before it listens."""

from __future__ import annotations

import random
import socket
from contextlib import suppress

# Below those that systems give out by themselves, and above those that Ray gives to its workers.
PORTS = range(20_000, 32_000)


def free_port() -> int:
    """A port that nobody listens at now, and that nobody is given by chance.

    Raises:
        RuntimeError: all of many that were tried are taken.
    """
    draw = random.SystemRandom()  # others that ask at the same time are given others
    for _ in range(100):
        with suppress(OSError), socket.create_server(("127.0.0.1", port := draw.choice(PORTS))):
            return port
    raise RuntimeError(f"100 ports of {PORTS.start} to {PORTS.stop} are taken")
