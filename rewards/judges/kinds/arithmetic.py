"""Arithmetic that cannot do anything else: numbers, + - * / // % **, brackets, and a few functions.

The expression is parsed, never run as code; its length, its depth, exponents and results are bounded, so that no
expression can hang or fill the memory.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

MAX_CHARS = 300
MAX_DEPTH = 40
MAX_EXPONENT = 1_000
MAX_MAGNITUDE = 10.0**300

Number = int | float


def _rounded(number: Number, digits: Number = 0) -> Number:
    """`round`, with digits that are bounded: of a whole number it makes a power of ten with as many."""
    if isinstance(digits, float) or abs(digits) > MAX_EXPONENT:
        raise ArithmeticRefused(f"got {digits} digits to round to; expected a whole number, at most {MAX_EXPONENT}")
    return round(number, digits) if digits else round(number)


_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_UNARY: Mapping[type[ast.unaryop], Callable[[Any], Number]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}
_FUNCTIONS: Mapping[str, Callable[..., Number]] = {
    "abs": abs,
    "min": min,
    "max": max,
    "round": _rounded,
    "sqrt": math.sqrt,
    "log": math.log,
    "exp": math.exp,
}
_CONSTANTS: Mapping[str, float] = {"pi": math.pi, "e": math.e}


class ArithmeticRefused(ValueError):
    """An expression that is no arithmetic, or has no value that fits."""


def evaluate(expression: str) -> Number:
    """The value of an arithmetic expression.

    Args:
        expression: such as "2 * (3 + 4) ** 2"; `^` is read as a power.

    Raises:
        ArithmeticRefused: it holds anything but arithmetic, is too long, or has no finite value.
    """
    if len(expression) > MAX_CHARS:
        raise ArithmeticRefused(f"got {len(expression)} characters; expected at most {MAX_CHARS}")
    try:
        tree = ast.parse(expression.strip().replace("^", "**"), mode="eval")
        return _bounded(_value(tree.body, 0))
    except ArithmeticRefused:
        raise
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ArithmeticRefused(f"got {expression[:60]!r}; expected arithmetic, such as 2 * (3 + 4)") from error
    except (ArithmeticError, ValueError, TypeError) as error:
        raise ArithmeticRefused(f"{expression[:60]!r} has no value: {error}") from error


def _value(node: ast.AST, depth: int) -> Number:
    if depth > MAX_DEPTH:
        raise ArithmeticRefused(f"got brackets deeper than {MAX_DEPTH}")
    match node:
        case ast.Constant(value=value):
            return _bounded(value)
        case ast.Name(id=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
            return _UNARY[type(op)](_value(operand, depth + 1))
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(_value(left, depth + 1), _value(right, depth + 1))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _bounded(_BINARY[type(op)](_value(left, depth + 1), _value(right, depth + 1)))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _FUNCTIONS:
            return _bounded(_FUNCTIONS[name](*(_value(argument, depth + 1) for argument in arguments)))
    raise ArithmeticRefused(
        f"got {ast.unparse(node)[:60]!r}; expected numbers, + - * / // % ** and {sorted(_FUNCTIONS)}"
    )


def _power(base: Number, exponent: Number) -> Number:
    if abs(exponent) > MAX_EXPONENT:
        raise ArithmeticRefused(f"got the exponent {exponent}; expected at most {MAX_EXPONENT}")
    if base and exponent > 0 and math.log10(abs(base)) * exponent > math.log10(MAX_MAGNITUDE):
        raise ArithmeticRefused(f"got a power beyond {MAX_MAGNITUDE:g}")
    return _bounded(base**exponent)


def _bounded(number: Any) -> Number:
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise ArithmeticRefused(f"got {type(number).__name__}; expected a real number")
    if not abs(number) <= MAX_MAGNITUDE:  # NaN too
        raise ArithmeticRefused(f"got a number beyond {MAX_MAGNITUDE:g}")
    return number
