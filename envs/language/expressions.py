"""A calculator for untrusted text: numbers, + - * / // % ** and parentheses, exact, and bounded in every way."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from fractions import Fraction

LONGEST = 1000
"""Characters of an expression."""

BITS = 4096
"""Of a numerator or denominator."""

DEEPEST = 100

_ALLOWED = re.compile(r"[\d\s.+\-*/%()eE_]*", re.ASCII)

_BINARY: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: lambda a, b: Fraction(a // b),
    ast.Mod: operator.mod,
}


class BadExpression(ValueError):
    """It cannot be computed; the message says why, to whoever wrote it."""


def evaluate(text: str) -> Fraction:
    """The value of an expression, such as `2*(3+4)`; nothing in it is ever run.

    Raises:
        BadExpression: it is no expression, divides by zero, or is too large.
    """
    if len(text) > LONGEST:
        raise BadExpression(f"got {len(text)} characters; expected at most {LONGEST}")
    try:
        if not _ALLOWED.fullmatch(text):
            raise SyntaxError
        tree = ast.parse(text.strip(), mode="eval")
        return _value(tree.body, text.strip(), DEEPEST)
    except ZeroDivisionError:
        raise BadExpression("division by zero") from None
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        if isinstance(error, BadExpression):
            raise
        raise BadExpression(f"cannot read {text.strip()[:60]!r}; expected numbers, + - * / // % ** and ( )") from None


def written(value: Fraction) -> str:
    """A number as people write it: whole, or as a decimal of up to ten places, rounded."""
    if value.denominator == 1:
        return str(value.numerator)
    sign, scaled = "-" if value < 0 else "", round(abs(value) * 10**10)
    whole, rest = divmod(scaled, 10**10)
    return f"{sign}{whole}.{rest:010d}".rstrip("0").rstrip(".")


def _value(node: ast.expr, text: str, depth: int) -> Fraction:
    if depth == 0:
        raise BadExpression(f"got an expression nested deeper than {DEEPEST}")
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        literal = ast.get_source_segment(text, node) or ""
        exponent = literal.lower().partition("e")[2]
        if exponent and abs(int(exponent)) > BITS // 4:
            raise BadExpression(f"got {literal}; expected a smaller exponent")
        return _bounded(Fraction(node.value if type(node.value) is int else literal.replace("_", "")))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.UAdd, ast.USub)):
        inner = _value(node.operand, text, depth - 1)
        return -inner if isinstance(node.op, ast.USub) else inner
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left, text, depth - 1), _value(node.right, text, depth - 1)
        if isinstance(node.op, ast.Pow):
            return _power(left, right)
        if type(node.op) in _BINARY:
            return _bounded(_BINARY[type(node.op)](left, right))
    raise BadExpression(
        f"cannot read {(ast.get_source_segment(text, node) or text)[:60]!r}; expected numbers, + - * / // % ** and ( )"
    )


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1:
        raise BadExpression(f"got the exponent {written(exponent)}; expected a whole one")
    bits = max(base.numerator.bit_length(), base.denominator.bit_length())
    if bits * abs(exponent.numerator) > BITS:  # refused before it is computed
        raise BadExpression("the result is too large")
    return Fraction(base**exponent.numerator)


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > BITS:
        raise BadExpression("the result is too large")
    return value
