"""Reward programs that a language model writes: read before they are run, run behind a wall, and heard by sign alone.

A program is one function over what was seen before and after a step,

    def reward(prev_obs, obs):            # dictionaries with the fields of the observation
        return dense, sparse

    R_t = sgn(sparse_t) + scale · sgn(dense_t)

so that what its author takes for a large number does not matter. `faults` reads a program and says what is wrong with
it, for whoever has to write it again; it is no wall. What keeps a program from doing harm is the sandbox that it is run
in (`rewards.sandbox`), into which transitions go and out of which numbers come.

Source: Auto MC-Reward (Li et al. 2024). Its scale of the dense reward is not known here: 0.1 is chosen.
"""

from __future__ import annotations

import ast
import builtins
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from rewards.columns import LARGEST, Column
from rewards.sandbox.programs import run_program
from rewards.sandbox.tiers import Config

Observation = Mapping[str, Any]
PARAMETERS = ("prev_obs", "obs")
LONGEST = 20_000
"""Characters of a program that is read."""
KNOWN = frozenset(
    {"abs", "bool", "dict", "float", "int", "len", "list", "max", "min", "range", "round", "sum", "tuple"}
)
"""Builtins that a program may use."""
_BEFORE = """
import json, sys
_output, sys.stdout = sys.stdout, sys.stderr  # what the program prints is no reward
"""
_AFTER = """
_found = []
for _transition in json.load(sys.stdin):
    try:
        _dense, _sparse = reward(*_transition)
        _found.append([float(_dense), float(_sparse)])
    except Exception:
        _found.append(None)
json.dump(_found, _output)
"""


class Rewards(NamedTuple):
    """What a program says of each transition `[T]`; NULL in both where it raised or gave no two numbers."""

    dense: Column
    sparse: Column


def faults(program: str, fields: Sequence[str]) -> tuple[str, ...]:
    """What is wrong with a program, as far as it can be read; nothing is run.

    Args:
        program: Python.
        fields: of an observation.
    """
    if len(program) > LONGEST:
        return (f"it has {len(program)} characters; expected at most {LONGEST}",)
    try:
        body = ast.parse(program).body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        return (f"it is no Python: {error}",)
    match body:
        case [ast.FunctionDef(name="reward", decorator_list=[], args=args) as function] if _plain(args):
            return tuple(dict.fromkeys(_inside(function, program, fields)))
    return (f"expected one function and nothing else: def reward({', '.join(PARAMETERS)})",)


def _plain(args: ast.arguments) -> bool:
    """Whether a function takes the two observations and nothing else."""
    others = (args.posonlyargs, args.kwonlyargs, args.defaults, args.vararg, args.kwarg)
    return tuple(argument.arg for argument in args.args) == PARAMETERS and not any(others)


def _inside(function: ast.FunctionDef, program: str, fields: Sequence[str]) -> list[str]:
    """What is wrong within the function."""
    found, nodes = list[str](), list(ast.walk(function))
    given = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    known = {*PARAMETERS, *KNOWN, *given}
    returns = [node for node in nodes if isinstance(node, ast.Return)]
    if not all(isinstance(node.value, ast.Tuple) and len(node.value.elts) == 2 for node in returns) or not returns:
        found.append("expected every return to give two numbers: dense, sparse")
    for node in nodes:
        match node:
            case ast.Import() | ast.ImportFrom():
                found.append(f"it may import nothing: {_text(node, program)}")
            case ast.Attribute(attr=name) if name != "get":
                found.append(f"it may call no method but get: .{name}")
            case ast.Name(id=name, ctx=ast.Load()) if name not in known:
                found.append(f"the name {name} is not {'allowed' if hasattr(builtins, name) else 'known'}")
            case (
                ast.Subscript(value=ast.Name(id=name), slice=key)
                | ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="get"), args=[key, *_])
            ) if name in PARAMETERS and not (isinstance(key, ast.Constant) and key.value in fields):
                expected = ", ".join(fields)
                found.append(f"an observation has no field {_text(key, program)}; expected one of {expected}")
    return found


def _text(node: ast.AST, program: str) -> str:
    """What stands there; not written anew from the tree, which may be deeper than that can go."""
    return (ast.get_source_segment(program, node) or "?")[:60]


def run(program: str, transitions: Sequence[tuple[Observation, Observation]], sandbox: Config) -> Rewards:
    """What a program says of transitions, run in a sandbox; all NULL where it came to no end of its own.

    Args:
        program: untrusted, whether or not it was read.
        transitions: what was seen before and after each step `[T]`, as plain data.
        sandbox: which wall, which limits.

    Raises:
        TierAbsent: the sandbox cannot be had; nothing was run.
        TimeoutError: the machine was too busy.
    """
    values = np.full((2, len(transitions)), np.nan)
    output = run_program(sandbox, _BEFORE + program + _AFTER, json.dumps([list(pair) for pair in transitions]))
    try:
        said = json.loads(output.stdout) if output.succeeded else []
    except (ValueError, RecursionError):
        said = []
    if isinstance(said, list) and len(said) == len(transitions):
        for t, pair in enumerate(said):
            if isinstance(pair, list) and len(pair) == 2 and all(map(_is_reward, pair)):
                values[:, t] = pair
    known = np.isfinite(values[0])
    return Rewards(*(Column(row.astype(np.float32), known) for row in values))


def _is_reward(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value) and abs(value) <= LARGEST


def signed(rewards: Rewards, scale: float = 0.1) -> Column:
    """sgn(sparse) + scale · sgn(dense), `[T]`; NULL where one is.

    Args:
        rewards: of a program.
        scale: of the dense reward, at least 0 and below 1, so that it never outweighs the sparse one.

    Raises:
        ValueError: a scale out of its range.
    """
    if not 0 <= scale < 1:
        raise ValueError(f"got scale={scale}; expected at least 0 and below 1")
    dense, sparse = rewards
    return Column(np.sign(sparse.values) + np.float32(scale) * np.sign(dense.values), sparse.valid & dense.valid)
