"""The first words inside a sandbox: bound yourself, say hello, and run what comes.

Sent as the argument of `python -c`, so nothing of the host needs to be visible. Only after the hello does the asker
send the code under test: whatever went wrong before is no fault of that code.
"""

import os
import resource
import sys
import types
from collections.abc import Callable


def read(count: int) -> bytes:
    """Exactly `count` bytes of standard input.

    Raises:
        EOFError: it ended before.
    """
    parts = []
    while count:
        part = os.read(0, min(count, 1 << 20))
        if not part:
            raise EOFError("the asker is gone")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def receive() -> bytes:
    """The next frame: four bytes that say how long it is, and that many bytes."""
    return read(int.from_bytes(read(4), "big"))


def send(content: bytes, output: int = 1) -> None:
    """Write a frame."""
    left = memoryview(len(content).to_bytes(4, "big") + content)
    while left:
        left = left[os.write(output, left) :]


def boot(limits: dict[str, int]) -> None:
    """Set limits (they cannot be raised again), say hello, load the modules that come, call `main` of the last."""
    for name, most in limits.items():
        resource.setrlimit(getattr(resource, name), (most, most))
    send(b"hello")
    for _ in range(int.from_bytes(read(1), "big")):
        name, source = receive().decode(), receive()
        parts = name.split(".")
        for depth in range(1, len(parts)):
            sys.modules.setdefault(".".join(parts[:depth]), types.ModuleType(parts[depth - 1]))
        module = sys.modules[name] = types.ModuleType(name)
        exec(compile(source, name, "exec"), module.__dict__)
    main: Callable[[Callable[[], bytes], Callable[..., None]], None] = module.main
    main(receive, send)
