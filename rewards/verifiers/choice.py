r"""Multiple choice: which letter was chosen?

Only an answer that says what it is counts: `\boxed{C}`, `<answer>C</answer>`, "the answer is C", or nothing but the
letter. A letter somewhere in a sentence is no choice ("A dog …"), and several different final choices are none either:
whoever hedges has not answered.
"""

from __future__ import annotations

import re

from rewards.functions import PolicyFault, reward

_TAIL = 4_000
"""Characters of the end in which a choice is looked for; each pattern below is linear in them."""

# What offers a second letter beside the first is a hedge. In a sentence a comma may begin what is said of another.
_NO_OTHER = r"(?![)*\s]{0,4}(?:[,;/&]|or\b|and\b)\s{0,3}(?:(?:or|and)\s{1,3})?\(?\**[A-Z](?![A-Za-z0-9']))"
_NOR_ANOTHER = r"(?![)*]{0,3}\s{1,3}or\s{1,3}\(?\**[A-Z](?![A-Za-z0-9']))"
_LETTER = r"\(?\**([A-Za-z])\**\)?(?![A-Za-z0-9])" + _NO_OTHER
# In a sentence a small letter alone may be the article: it counts in brackets, or at the end of what is said.
_LETTER_SAID = r"\(?\**([A-Z]|[a-z](?=\**(?:\)|\s{0,9}(?:[.,;:]|$))))\**\)?(?![A-Za-z0-9'])" + _NOR_ANOTHER
_MARKED = (
    re.compile(r"<answer>\s{0,9}" + _LETTER + r"[.:]?\s{0,9}</answer>"),
    re.compile(r"\\boxed\{\s{0,9}(?:\\text\{)?\s{0,9}" + _LETTER),
    re.compile(
        r"(?i:\b(?:answer|option|choice)\*{0,2}(?: is:?|:| =)\*{0,2}\s{0,9}(?:option |choice )?)" + _LETTER_SAID
    ),
)
_ALONE = re.compile(r"\s*" + _LETTER + r"\s*[.:)]?\s*")


def chosen(completion: str, options: int) -> str:
    """The letter that was chosen, in upper case.

    Args:
        completion: what the policy wrote.
        options: how many letters there are to choose from, from A.

    Raises:
        PolicyFault: none, several at once, or one that is not among the options.
    """
    letters = [chr(ord("A") + number) for number in range(options)]
    end = completion[-_TAIL:]
    alone = _ALONE.fullmatch(end) if len(end) < 20 else None
    if alone:
        found = {alone[1].upper()}
    else:
        found = next(
            ({letter.upper() for letter in hits} for pattern in _MARKED if (hits := pattern.findall(end))), set()
        )
    if len(found) != 1:
        what = f"several choices: {', '.join(sorted(found))}" if found else "no choice"
        raise PolicyFault(f"got {what}; expected one, such as \\boxed{{A}}")
    (letter,) = found
    if letter not in letters:
        raise PolicyFault(f"got choice {letter}; expected one of {', '.join(letters)}")
    return letter


@reward(subject="episode")
def choice_match(completion: str, answer: str, options: int = 4) -> float | None:
    """1 if the letter that the completion chooses is the answer's, else 0; a policy fault where it chooses none."""
    if not answer:
        return None
    if len(answer) != 1 or not 0 <= ord(answer.upper()) - ord("A") < options:
        raise ValueError(f"got answer {answer!r}; expected one letter of the first {options}")
    return float(chosen(completion, options) == answer.upper())
