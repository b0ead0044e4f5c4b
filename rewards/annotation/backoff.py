"""How long to wait before asking again: decorrelated jitter.

Each pause is drawn from between the shortest one and three times the one before. Pauses grow as they do when they are
doubled, and those who failed together come back apart (M. Brooker, "Exponential Backoff and Jitter", 2015).
"""

from __future__ import annotations

from random import Random


def next_pause(previous_s: float, shortest_s: float, longest_s: float, random: Random) -> float:
    """The next pause.

    Args:
        previous_s: the pause before; 0 before the first.
        shortest_s: lower bound of each pause.
        longest_s: upper bound, also where it is below `shortest_s`.
        random: source of the jitter.

    Returns:
        Seconds.
    """
    return min(longest_s, random.uniform(shortest_s, 3 * max(previous_s, shortest_s)))
