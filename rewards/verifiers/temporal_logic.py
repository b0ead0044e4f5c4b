"""Signal temporal logic: formulas bounded in time, as text and as trees.

    x > c, x < c    !φ    φ & ψ, φ | ψ    G[a,b] φ always    F[a,b] φ at some time    φ U[a,b] ψ until

Operators between two formulas bind alike, from left to right: put what is meant otherwise into parentheses. What a
formula means on signals is in `robustness`.

Source: Maler and Ničković 2004; steps for times, and how it is written, are chosen here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rewards.functions import PolicyFault

Operator = Literal[">", "<", "!", "&", "|", "G", "F", "U"]
LONGEST, DEEPEST = 2_000, 50
"""Characters of a formula that are read, and how deep its parts may lie in each other."""
_TOKEN = re.compile(
    r"\s*([GFU]\s*\[\s*\d{1,6}\s*,\s*\d{1,6}\s*\]|[A-Za-z_]\w*|-?\d{1,9}(?:\.\d{1,9})?|[><!&|()])", re.ASCII
)


@dataclass(frozen=True)
class Formula:
    """A formula.

    Attributes:
        operator: what joins its parts.
        of: the parts; none of a comparison.
        interval: first and last step of G, F and U.
        name: of the signal that is compared.
        bound: with what.
    """

    operator: Operator
    of: tuple[Formula, ...] = ()
    interval: tuple[int, int] = (0, 0)
    name: str = ""
    bound: float = 0.0

    def __str__(self) -> str:
        """As text that `read` reads again."""
        if not self.of:
            return f"{self.name} {self.operator} {self.bound:g}"
        timed = f"{self.operator}[{self.interval[0]},{self.interval[1]}]" if self.operator in "GFU" else self.operator
        parts = [f"({part})" for part in self.of]
        return f"{timed}{parts[0]}" if len(parts) == 1 else f"{parts[0]} {timed} {parts[1]}"

    def nodes(self) -> Iterator[Formula]:
        """The formula, and all its parts."""
        yield self
        for part in self.of:
            yield from part.nodes()

    @property
    def horizon(self) -> int:
        """How many steps ahead it looks."""
        return self.interval[1] + max((part.horizon for part in self.of), default=0)


def read(text: str) -> Formula:
    """A formula from text.

    Raises:
        PolicyFault: it is none, it is too long or too deep, or an interval ends before it begins.
    """
    if len(text) > LONGEST:
        raise PolicyFault(f"got {len(text)} characters; expected a formula of at most {LONGEST}")
    tokens, at = [], 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if found is None:
            raise PolicyFault(f"got {text[at : at + 30]!r}; expected a formula such as G[0,3](x > 1)")
        tokens.append(found[1])
        at = found.end()
    rest = tokens[::-1]
    formula = _joined(rest, 0)
    if rest:
        raise PolicyFault(f"got {rest[-1]!r} after the formula; expected its end")
    return formula


def _joined(rest: list[str], depth: int) -> Formula:
    formula = _single(rest, depth)
    while rest and (rest[-1] in "&|" or (rest[-1][0] == "U" and rest[-1][-1] == "]")):
        operator, interval = _operator(rest.pop())
        formula = Formula(operator, (formula, _single(rest, depth)), interval)
    return formula


def _single(rest: list[str], depth: int) -> Formula:
    if not rest or depth > DEEPEST:
        raise PolicyFault(f"got the end, or parts deeper than {DEEPEST}; expected a whole formula")
    token = rest.pop()
    if token == "(":
        formula = _joined(rest, depth + 1)
        if not rest or rest.pop() != ")":
            raise PolicyFault("got an open parenthesis; expected one that closes")
        return formula
    if token == "!" or (token[0] in "GF" and token[-1] == "]"):
        operator, interval = _operator(token)
        return Formula(operator, (_single(rest, depth + 1),), interval)
    if len(rest) < 2 or not token[0].isidentifier() or token[-1] == "]" or rest[-1] not in "><":
        raise PolicyFault(f"got {token!r}; expected a comparison such as x > 1")
    comparison, bound = rest.pop(), rest.pop()
    if not bound[-1].isdigit() or bound[0].isidentifier():
        raise PolicyFault(f"got {bound!r}; expected a number to compare with")
    return Formula(">" if comparison == ">" else "<", name=token, bound=float(bound))


def _operator(token: str) -> tuple[Operator, tuple[int, int]]:
    found: Operator = token[0]  # type: ignore[assignment]
    if token[-1] != "]":
        return found, (0, 0)
    first, last = (int(number) for number in re.findall(r"\d+", token))
    if first > last:
        raise PolicyFault(f"got {token!r}; expected an interval that begins before it ends")
    return found, (first, last)
