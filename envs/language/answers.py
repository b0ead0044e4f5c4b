"""Rewards that many tasks share, as plain functions; what a reply lacks is the policy's own fault and gives 0."""

from __future__ import annotations

import re
from fractions import Fraction

# A run of digits is taken whole or not at all: the time that it takes grows with the text, and not with its cube.
NUMBER = re.compile(r"-?(?<!\d)(?:\d{1,3}(?:,\d{3})+|\d+)(?!\d)(?:\.\d+)?(?!\.*\d)")
LONGEST = 20_000
"""Characters at the end of a reply that are read."""
DIGITS = 4000
"""Of a number; Python itself refuses to read one of more than 4300."""


def last_number(text: str) -> Fraction | None:
    """The last number in a text, thousands with or without commas; None where there is none.

    One of more than `DIGITS` is none. Digits that follow a minus sign which stands between two numbers, as in `5-3`,
    are taken as positive.
    """
    found = None
    for match in NUMBER.finditer(text[-LONGEST:]):
        found = match
    if found is None or len(found.group()) > DIGITS:
        return None
    digits, start = found.group(), found.start()
    if digits.startswith("-") and text[-LONGEST:][:start].rstrip()[-1:].isdigit():
        digits = digits[1:]
    return Fraction(digits.replace(",", ""))


def number_is_right(completion: str, answer: str | int) -> float | None:
    """1 if the last number of the reply equals the answer's, else 0; it abstains where the answer has no number.

    Listing many numbers does not help: the last one counts.
    """
    wanted = last_number(str(answer))
    return None if wanted is None else float(last_number(completion) == wanted)


def answer_is_exact(completion: str, answer: str) -> float:
    """1 if the reply is the answer, white space at both ends aside, else 0."""
    return float(completion.strip() == str(answer).strip())
