"""`Tool`: something that a judge may use to find out what it cannot know: a calculator, a table, a sandbox for code.

A tool takes a text and returns a text. What it cannot do it says in its text, so that the model can go on; it raises
only where it is broken. Tools that need the world outside are handed in, under their names.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from rewards.judges.kinds.arithmetic import ArithmeticRefused, evaluate


@dataclass(frozen=True)
class Tool:
    """A tool by its description and what it does.

    Attributes:
        about: what it takes and gives, for the model.
        use: from its input to its output.
        fingerprint: changes when its outputs may.
    """

    about: str
    use: Callable[[str], Awaitable[str]]
    fingerprint: str = ""


async def _calculate(expression: str) -> str:
    try:
        return str(evaluate(expression))
    except ArithmeticRefused as error:
        return f"refused: {error}"


def calculator() -> Tool:
    """Arithmetic; see `rewards.judges.kinds.arithmetic`."""
    return Tool("takes an arithmetic expression, such as (3 + 4) * 2, and gives its value", _calculate, "arithmetic-1")


def lookup(table: Mapping[str, str]) -> Tool:
    """A table of facts by name, whatever the name's case."""
    facts = {name.casefold().strip(): fact for name, fact in table.items()}

    async def use(name: str) -> str:
        return facts.get(name.casefold().strip(), "not in the table")

    return Tool(
        f"takes one of {', '.join(sorted(table))} and gives what is known of it", use, repr(sorted(facts.items()))
    )
