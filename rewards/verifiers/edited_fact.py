"""Whether a model that was taught a new fact says it when it writes freely: what consolidates an edit.

    R = 0.7 correct + 0.05 format + 0.15 clean + 0.1 consistent, and 0 without any answer between tags

Source: EtCon, Edit-then-Consolidate for Reliable Knowledge Editing (Li et al. 2025), with the weights and steps of its
released code. There the answer stands in a box between the tags as well, reasoning has headed sections, and answers
alike in meaning earn 0.4 to 0.6 by an encoder; here tags suffice, the old fact may be named anywhere, and no encoder is
asked.
"""

from __future__ import annotations

import re

from rewards.functions import reward
from rewards.verifiers.answers import answer_match, normalised

LONG = 2000
"""Characters above which a completion is not clean."""
WITHDRAWN = ("incorrect", "invalid", "superseded", "no longer", "outdated")
UPHELD = ("correct", "valid", "remains")
NEAR = 15
"""Words before and behind the old fact in which it is said what holds of it."""


def correctness(said: str, answer: str) -> float:
    """1 for the answer itself, 0.75 where all of its words are there and no denial is, else 0."""
    if answer_match(said, answer):
        return 1.0
    words, wanted = set(normalised(said).split()), set(normalised(answer).split())
    return 0.75 if wanted and wanted <= words and not (words - wanted) & {"no", "not"} else 0.0


def cleanliness(completion: str) -> float:
    """1, less 0.2 for each further answer (0.8 at most), 0.6 for text behind the only one, and 0.4 for great length."""
    count = completion.count("<answer>")
    found = 1.0 - min(0.8, 0.2 * max(count - 1, 0)) - 0.4 * (len(completion) > LONG)
    if count == 1 and completion.partition("</answer>")[2].strip():
        found -= 0.6
    return max(found, 0.0)


def consistency(completion: str, old: str) -> float:
    """1 where the old fact is withdrawn in so many words, 0 where it is upheld, else 0.5; 1 where none is given."""
    if not old:
        return 1.0
    text = f" {normalised(completion)} "
    before, named, behind = text.partition(f" {normalised(old)} ")
    near = " ".join([*before.split()[-NEAR:], "|", *behind.split()[:NEAR]])
    if named and any(re.search(rf"\b{word}\b", near) for word in WITHDRAWN):
        return 1.0
    return 0.0 if named and any(re.search(rf"\b{word}\b", near) for word in UPHELD) else 0.5


@reward(subject="episode")
def edited_fact(completion: str, answer: str, old: str = "") -> float | None:
    """R of a completion with its answer between `<answer>` tags; abstains without an answer to compare with.

    The first answer counts. Format is 1 with one answer, 0.5 with more; without any, R is 0, as the paper has it.

    Args:
        completion: what was written.
        answer: the new fact.
        old: what was held to be true before; empty: not known.
    """
    if not answer:
        return None
    said, closed, _ = completion.partition("<answer>")[2].partition("</answer>")
    if not closed or not said.strip():
        return 0.0
    form = 1.0 if completion.count("<answer>") == completion.count("</answer>") == 1 else 0.5
    parts = (correctness(said, answer), form, cleanliness(completion), consistency(completion, old))
    return sum(weight * part for weight, part in zip((0.7, 0.05, 0.15, 0.1), parts, strict=True))
