"""Inside, on the side of the code under test: answers what is asked of it, and knows no test.

Two verbs are enough for functions, classes and iterators: get an attribute of something, call something. Whatever the
code does to this file's functions, streams or memory, all it can do is to give other answers, and the answers are
compared elsewhere.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

from rewards.sandbox.inside.values import decode, encode

ECHO = 16
"""Bytes at the start of each question that its answer repeats, so that none can be given before it was asked for."""


def main(receive: Callable[[], bytes], send: Callable[..., None]) -> None:
    """Load the code that comes first, say how that went, and answer until nobody asks."""
    output, quiet = os.dup(1), os.open(os.devnull, os.O_RDWR)
    os.dup2(quiet, 1)  # what the code prints is of no interest
    first = receive()
    solution = ModuleType("solution")
    objects: list[Any] = [solution]

    def keep(value: Any) -> int:
        objects.append(value)
        return len(objects) - 1

    def carry_out(question: dict[str, Any]) -> dict[str, Any]:
        about = objects[question["object"]]
        if question["verb"] == "get":
            return {"value": encode(getattr(about, question["name"]), keep)}
        arguments = [decode(item, objects.__getitem__) for item in question["arguments"]]
        named = {name: decode(item, objects.__getitem__) for name, item in question["named"].items()}
        value = encode(about(*arguments, **named), keep)
        # Tests may look at what became of the lists they handed over.
        return {"value": value, "arguments": [encode(argument, keep) for argument in arguments]}

    def answer(echo: bytes, work: Callable[[], dict[str, Any]]) -> None:
        try:
            reply = json.dumps(work()).encode()
        except MemoryError:
            raise
        except Exception as error:
            reply = json.dumps({"raised": [type(error).__name__, str(error)[:1000]]}).encode()
        send(echo + reply, output)

    def load() -> dict[str, Any]:
        exec(compile(first[ECHO:], "solution.py", "exec"), solution.__dict__)
        return {"value": None}

    answer(first[:ECHO], load)
    while True:
        asked = receive()
        answer(asked[:ECHO], lambda: carry_out(json.loads(asked[ECHO:])))  # noqa: B023 - called before the next round
