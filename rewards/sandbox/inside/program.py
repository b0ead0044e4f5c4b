"""Inside: a whole program, its standard input and its standard output."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable


def main(receive: Callable[[], bytes], send: Callable[..., None]) -> None:
    """Run the program of the first frame with the second one as standard input; what it writes goes out bare."""
    source, given = receive(), receive()
    with open("/tmp/.input", "w+b") as file:
        os.unlink("/tmp/.input")
        file.write(given)
        file.seek(0)
        os.dup2(file.fileno(), 0)
    sys.stdin = open(0, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115 - the program's own
    program = type(sys)("__main__")
    sys.modules["__main__"] = program
    exec(compile(source, "program.py", "exec"), program.__dict__)
