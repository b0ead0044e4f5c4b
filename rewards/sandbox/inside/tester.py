"""Inside, on the side of the tests: runs them, in a sandbox where the code under test has never been.

A test is a piece of Python that raises where the code is wrong. The names that it uses and does not bind stand for
names of the code under test, and so does the module `solution`: behind them are messengers to the other sandbox, which
bring back plain data. The verdict of each test goes out behind a nonce that only this process and the asker know.
"""

from __future__ import annotations

import ast
import builtins
import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from rewards.sandbox.inside.values import decode, encode

NONCE = 16


class SolutionError(Exception):
    """The code under test raised something that is no exception of Python's own."""


class Messenger:
    """Stands for something on the other side; equal to itself alone, whatever the other side says."""

    def __init__(self, ask: Callable[[dict[str, Any]], dict[str, Any]], number: int) -> None:
        """Stand for object `number`; 0 is the module."""
        self._ask, self._number = ask, number

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ("__iter__", "__next__", "__len__", "__getitem__"):
            raise AttributeError(name)  # what the import system and others look for is not there
        return self._value(self._ask({"verb": "get", "object": self._number, "name": name}))

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call what it stands for, with plain data."""
        question = {
            "verb": "call",
            "object": self._number,
            "arguments": [encode(argument, _number) for argument in arguments],
            "named": {name: encode(argument, _number) for name, argument in named.items()},
        }
        reply = self._ask(question)
        for argument, after in zip(arguments, reply.get("arguments", ()), strict=False):
            if isinstance(argument, (list, set, dict)):
                became = decode(after, self._other)
                if type(became) is type(argument) and became != argument:
                    argument.clear()
                    (argument.extend if isinstance(argument, list) else argument.update)(became)
        return self._value(reply)

    def __iter__(self) -> Iterator[Any]:
        other = self.__getattr__("__iter__")()
        while True:
            try:
                yield other.__getattr__("__next__")()
            except StopIteration:
                return

    def __len__(self) -> int:
        try:
            return int(self.__getattr__("__len__")())
        except AttributeError as error:
            raise TypeError(str(error)) from None  # as Python says it of what has no length

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, key: Any) -> Any:
        return self.__getattr__("__getitem__")(key)

    def _other(self, number: int) -> Messenger:
        return Messenger(self._ask, number)

    def _value(self, reply: dict[str, Any]) -> Any:
        if "raised" in reply:
            name, text = map(str, reply["raised"])
            kind = getattr(builtins, name, None)
            if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, UnicodeError):
                raise kind(text)
            raise SolutionError(f"{name}: {text}")
        return decode(reply["value"], self._other)


def unbound(tree: ast.AST) -> set[str]:
    """Names that a test uses and neither it nor Python binds: those of the code under test."""
    loads: set[str] = set()
    binds = set(dir(builtins))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (loads if isinstance(node.ctx, ast.Load) else binds).add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            binds.add(node.name)
        elif isinstance(node, ast.arg):
            binds.add(node.arg)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            binds |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ExceptHandler) and node.name:
            binds.add(node.name)
    return {name for name in loads - binds if not name.startswith("__")}


def main(receive: Callable[[], bytes], send: Callable[..., None]) -> None:
    """Compile all tests, run each, and tell the verdicts; frames are nonce, one letter, content."""
    output, quiet = os.dup(1), os.open(os.devnull, os.O_RDWR)
    os.dup2(quiet, 1)
    nonce, tests = receive(), json.loads(receive())

    def tell(letter: bytes, content: Any) -> None:
        send(nonce + letter + json.dumps(content).encode(), output)

    def ask(question: dict[str, Any]) -> dict[str, Any]:
        tell(b"Q", question)
        reply = json.loads(receive())
        if not isinstance(reply, dict) or not reply.keys() & {"value", "raised"}:
            raise SolutionError("got an answer without a value")
        return reply

    try:
        trees = [ast.parse(test, f"test {number}") for number, test in enumerate(tests)]
        codes = [compile(tree, f"test {number}", "exec") for number, tree in enumerate(trees)]
    except (SyntaxError, ValueError) as error:
        tell(b"B", f"the tests are no Python: {error}")
        return
    tell(b"C", "")
    loaded = json.loads(receive())
    if "raised" in loaded:
        name, text = map(str, loaded["raised"])
        tell(b"L", f"{name}: {text}"[:300])
        return
    solution = Messenger(ask, 0)
    sys.modules["solution"] = solution  # type: ignore[assignment]  # as good as a module for `from solution import …`
    for code, tree in zip(codes, trees, strict=True):
        try:
            names = {name: getattr(solution, name) for name in sorted(unbound(tree))}
            exec(code, {"__name__": "test", **names})
        except BaseException as error:
            tell(b"F", f"{type(error).__name__}: {error}"[:300])
        else:
            tell(b"P", "")
    tell(b"E", "")


def _number(value: Any) -> int:
    if isinstance(value, Messenger):
        return value._number
    raise TypeError(f"a test handed over a {type(value).__name__}; only plain data and what the code made can cross")
