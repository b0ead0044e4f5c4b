"""Regular expressions against text that wants them to fail: matching that gives up.

A pattern such as `(a|aa)+$` takes exponential time on a text made for it, and `re` cannot be interrupted. The engine of
the `regex` library
can: it is given a deadline, and whoever used the time up is told apart by the clock of this thread.
"""

from __future__ import annotations

import time

import regex

from rewards.functions import PolicyFault, reward

DEADLINE_S = 0.5


def search(pattern: str, text: str, deadline_s: float = DEADLINE_S, whole: bool = False) -> bool:
    """Whether a pattern is found in a text.

    Args:
        pattern: ours.
        text: the policy's.
        deadline_s: for this search.
        whole: whether it must match all of the text.

    Raises:
        ValueError: the pattern is none.
        PolicyFault: the text made the search use up its time.
        TimeoutError: the machine had other things to do.
    """
    try:
        compiled = regex.compile(pattern)
    except regex.error as error:
        raise ValueError(f"got the pattern {pattern!r}: {error}") from None
    start = time.thread_time()
    try:
        found = (compiled.fullmatch if whole else compiled.search)(text, timeout=deadline_s)
    except TimeoutError:
        if time.thread_time() - start < deadline_s / 2:
            raise TimeoutError(f"searched for {pattern!r} in {deadline_s:g} s of a busy machine; ask again") from None
        raise PolicyFault(f"the text cannot be searched for {pattern!r} in {deadline_s:g} s") from None
    return found is not None


@reward(subject="episode")
def pattern_match(completion: str, pattern: str, whole: bool = False, deadline_s: float = DEADLINE_S) -> float:
    """1 if the completion has (or, with `whole`, is) what a regular expression describes, else 0.

    Raises:
        PolicyFault: the text made the search use up its time.
        TimeoutError: the machine had other things to do.
    """
    return float(search(pattern, completion, deadline_s, whole))
