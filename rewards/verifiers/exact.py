"""Is the answer the reference, letter for letter, or nearly?"""

from __future__ import annotations

from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

from rewards.functions import PolicyFault, reward

LONGEST = 20_000
"""Characters of a completion: edit distance takes time that grows with the square of the length."""


@reward(subject="episode")
def exact_match(completion: str, answer: str | Sequence[str], strip: bool = True) -> float | None:
    """1 if the completion is one of the answers, character for character, else 0.

    Args:
        completion: what the policy wrote.
        answer: the reference, or several of which one will do; without any, it abstains.
        strip: whether white space at both ends counts for nothing.
    """
    answers = [answer] if isinstance(answer, str) else list(answer)
    if not answers:
        return None
    if strip:
        completion, answers = completion.strip(), [one.strip() for one in answers]
    return float(completion in answers)


@reward(subject="episode")
def fuzzy_match(completion: str, answer: str | Sequence[str], at_least: float = 0.0) -> float | None:
    """Similarity to the nearest answer in [0, 1]: one minus edit distance (Levenshtein, 1966) over the longer length.

    Args:
        completion: what the policy wrote.
        answer: the reference, or several; without any, it abstains.
        at_least: similarities below this give 0.

    Raises:
        PolicyFault: the completion is too long.
    """
    answers = [answer] if isinstance(answer, str) else list(answer)
    if not answers:
        return None
    if len(completion) > LONGEST:
        raise PolicyFault(f"got {len(completion)} characters; expected at most {LONGEST}")
    written = completion.strip()
    nearest = max(Levenshtein.normalized_similarity(written, one.strip()) for one in answers)
    return nearest if nearest >= at_least else 0.0
