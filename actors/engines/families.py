"""`arranged`: prompts in batches, those that begin alike together, so that what they begin with is read once.

Two pairs with the same first caption, or two questions about one long answer, are mostly the same tokens. Of a family
one prompt is read whole, and in a second pass, of the others, only what differs, over the keys and values of what does
not. A pass takes time to begin, whatever it reads: where that would not pay, each is read whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

LEAST_ALIKE = 4
"""Tokens that prompts have in common where they are a family: fewer are nothing to be spared."""
MOST_MEMBERS = 16
"""Prompts in a family."""
DEAR_PASS = 16
"""Of a model whose passes take so many tokens to begin, two prompts are a family: more would cost copies of rows."""


@dataclass(frozen=True)
class Family:
    """Prompts that begin alike.

    Attributes:
        kept: tokens that all begin with; 0 where there is one prompt.
        members: their places, the longest first.
    """

    kept: int
    members: tuple[int, ...]


def arranged(prompts: Mapping[int, Sequence[int]], most_tokens: int, pass_tokens: int | None) -> list[list[Family]]:
    """Batches of families, the shortest prompts first; in each batch the largest families are first.

    Args:
        prompts: tokens of each, by its place; not empty.
        most_tokens: padded tokens in a pass; a longer prompt has one to itself.
        pass_tokens: tokens that take as long as to begin a pass; None: there are no second ones.
    """
    apart = _batches([Family(0, (place,)) for place in prompts], prompts, most_tokens)
    if pass_tokens is None:
        return [batch.families for batch in apart]
    most_members = 2 if pass_tokens >= DEAR_PASS else MOST_MEMBERS
    together = _batches(families(prompts, LEAST_ALIKE, most_members), prompts, most_tokens)

    def cost(batches: Sequence[_Batch]) -> int:
        return sum(rows * width + pass_tokens for batch in batches for rows, width in batch.passes)

    return [batch.families for batch in min(apart, together, key=cost)]


def families(prompts: Mapping[int, Sequence[int]], least: int, most: int) -> list[Family]:
    """Every prompt in one family; two families become one where more is spared together than apart.

    Args:
        prompts: tokens of each, by its place; not empty.
        least: tokens that those of a family have in common. Each has at least one more of its own.
        most: prompts in one family.
    """
    order = sorted(prompts, key=lambda place: tuple(prompts[place]))  # so those that have most in common are neighbours
    alike = [_alike(prompts[one], prompts[other]) for one, other in pairwise(order)]
    found = [_Growing(0, [place]) for place in order]
    for border in sorted(range(len(alike)), key=alike.__getitem__, reverse=True):
        kept, one, other = alike[border], found[border], found[border + 1]
        members = one.members + other.members
        if kept < least:
            break
        if len(members) <= most and kept * (len(members) - 1) > one.spared + other.spared:
            begin = border + 1 - len(one.members)
            found[begin : begin + len(members)] = [_Growing(kept, members)] * len(members)
    return [
        Family(one.kept, tuple(sorted(one.members, key=lambda place: -len(prompts[place]))))
        for one in {id(one): one for one in found}.values()
    ]


@dataclass(frozen=True)
class _Growing:
    kept: int
    members: list[int]

    @property
    def spared(self) -> int:
        return self.kept * (len(self.members) - 1)


@dataclass(frozen=True)
class _Batch:
    families: list[Family]
    passes: list[tuple[int, int]]
    """Rows and width of each."""


def _batches(found: Sequence[Family], prompts: Mapping[int, Sequence[int]], most_tokens: int) -> list[_Batch]:
    batches: list[_Batch] = []
    batch: list[Family] = []
    first, second = (0, 0), (0, 0)  # rows and width of its passes
    lengths = {one: len(prompts[one.members[0]]) for one in found}

    def close() -> None:
        largest_first = sorted(batch, key=lambda one: -len(one.members))
        batches.append(_Batch(largest_first, [first, second] if second[0] else [first]))

    for one in sorted(found, key=lengths.__getitem__):
        others = len(one.members) - 1
        width = len(prompts[one.members[1]]) - one.kept if others else 0
        now = (first[0] + 1, lengths[one]), (second[0] + others, max(second[1], width))
        if batch and any(rows * width > most_tokens for rows, width in now):
            close()
            batch, now = [], ((1, lengths[one]), (others, width))
        batch.append(one)
        first, second = now
    if batch:
        close()
    return batches


def _alike(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two prompts have in common at their beginning, each keeping one of its own."""
    most = min(len(one), len(other)) - 1
    return next((n for n in range(most) if one[n] != other[n]), most)
