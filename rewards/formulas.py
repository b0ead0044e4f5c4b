"""`Formula`: arithmetic over columns, written by a model or a person, and read, never run.

Numbers, the names that are allowed, + − * / and parentheses; nothing else becomes a formula, so that none can do any
harm. The calculators of judges and tools (`rewards.judges.kinds.arithmetic`, `envs.language.expressions`) know no names
and give one number; this one gives a number for each row, and says which rows have none.
"""

from __future__ import annotations

import ast
import keyword
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LONGEST = 1000
"""Characters of a formula."""
DEEPEST = 100
_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_UNARY: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}
_ALLOWED = re.compile(r"[\w\s.+\-*/()]*", re.ASCII)


class BadFormula(ValueError):
    """It is no formula; the message says why, to whoever wrote it."""


@dataclass(frozen=True)
class Formula:
    """What was read.

    Attributes:
        text: as it was written.
        names: that it may use.
        used: those that it uses, in the order of `names`; at least one.
        tree: what it says.
    """

    text: str
    names: tuple[str, ...]
    used: tuple[str, ...]
    tree: ast.expr

    def __call__(self, columns: Mapping[str, Floats]) -> Floats:
        """Its value in each row `[N]`; NaN where there is none: where it divides by 0, or is too large for a number.

        Args:
            columns: of all names that it uses `[N]`.
        """
        with np.errstate(all="ignore"):
            found: Floats = np.asarray(_value(self.tree, columns), np.float64)
        return np.where(np.isfinite(found), found, np.nan)


def read(text: str, names: Sequence[str]) -> Formula:
    """The formula that a text is.

    Args:
        text: such as `g1 * (0.5 + g2) - g3 / 2`.
        names: that it may use.

    Raises:
        BadFormula: it is none, uses no name or others, or is too long or too deep.
        ValueError: a name that cannot stand in a formula.
    """
    if unfit := [name for name in names if not name.isidentifier() or keyword.iskeyword(name)]:
        raise ValueError(f"got the names {unfit}; expected words of letters, digits and _: they stand in a formula")
    if len(text) > LONGEST:
        raise BadFormula(f"got {len(text)} characters; expected at most {LONGEST}")
    try:
        if not _ALLOWED.fullmatch(text):
            raise SyntaxError
        tree = ast.parse(text := text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise BadFormula(_expected(text, names)) from None
    found = set[str]()
    _inspect(tree, text, names, found, DEEPEST)
    if not found:
        raise BadFormula(f"got {text[:60]!r}; expected one of {', '.join(names)} in it: a constant prefers nothing")
    return Formula(text, tuple(names), tuple(name for name in names if name in found), tree)


def _expected(got: str, names: Sequence[str]) -> str:
    return f"cannot read {got[:60]!r}; expected numbers, {', '.join(names)}, + - * / and ( )"


def _inspect(node: ast.expr, text: str, names: Sequence[str], found: set[str], depth: int) -> None:
    """Refuse what is not allowed in a formula, and note which names are used."""
    if depth == 0:
        raise BadFormula(f"got a formula nested deeper than {DEEPEST}")
    match node:
        case ast.Constant(value=int() | float() as value) if type(value) is not bool and _is_finite(value):
            return
        case ast.Name(id=name) if name in names:
            found.add(name)
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
            _inspect(operand, text, names, found, depth - 1)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            _inspect(left, text, names, found, depth - 1)
            _inspect(right, text, names, found, depth - 1)
        case _:
            raise BadFormula(_expected(ast.get_source_segment(text, node) or text, names))


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(float(value))
    except OverflowError:  # a whole number that no float can hold
        return False


def _value(node: ast.expr, columns: Mapping[str, Floats]) -> Any:
    match node:
        case ast.Constant(value=int() | float() as value):
            return np.float64(value)
        case ast.Name(id=name):
            return columns[name]
        case ast.UnaryOp(op=op, operand=operand):
            return _UNARY[type(op)](_value(operand, columns))
        case ast.BinOp(left=left, op=op, right=right):
            return _BINARY[type(op)](_value(left, columns), _value(right, columns))
    raise TypeError(f"got {type(node).__name__}; expected what `read` lets through")
