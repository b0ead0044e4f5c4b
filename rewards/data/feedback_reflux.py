"""Feedback reflux: two reward models judge an agent's steps, and what they mend teaches the agent and one of them.

A small model of the domain gives the chance p that an action is correct, and proposes another one. A general-purpose
model, large and slow, is asked about both, g(a) and g(a′), where the small one does not surely accept, p < c:

    agent         a, where nobody was asked; else argmax g of a and a′, if that is above 1/2; else nothing
    reward model  a with g(a) > 1/2, and a′ with g(a′) > 1/2, where the general model was asked

So a correction is learnt from only once it is approved, and a step that both have wrong still teaches the small model
what is wrong.

Source: MagicGUI-RMS, A Multi-Agent Reward Model System for Self-Evolving GUI Agents (Li et al. 2026), where the final
action is the better of the two in the general model's view. Whom to ask when, by c, and that neither action is learnt
from where both are judged wrong, are chosen here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Reflux(NamedTuple):
    """What flows back of each step `[S]`.

    Attributes:
        action: the number of the action that the agent is to learn.
        learnt: whether there is one; elsewhere `action` is what was done, and not to be learnt.
        verdict: 1 where the general model has what was done for correct, 0 where not, NaN where it was not asked.
        proposal_verdict: the same of the proposal.
    """

    action: Ints
    learnt: Mask
    verdict: Floats
    proposal_verdict: Floats


def to_be_asked(chances: ArrayLike, sure: float = 0.9) -> Mask:
    """Which steps the general-purpose model has to see: all that the domain's model does not surely accept.

    Args:
        chances: p that each step is correct, by the domain's model `[S]`; where it is NaN, NULL, the other is asked.
        sure: c, above 1/2 and at most 1; at 1 only what has a chance of 1 is not asked about.

    Raises:
        ValueError: what is no probability, or c out of its range.
    """
    p = _chances(chances)
    if not 0.5 < sure <= 1:
        raise ValueError(f"got sure={sure}; expected above 1/2 and at most 1")
    return ~(p >= sure)


def reflux(
    actions: ArrayLike, proposals: ArrayLike, asked: ArrayLike, general: ArrayLike, general_of_proposals: ArrayLike
) -> Reflux:
    """What the agent and the domain's reward model are to learn of steps that were judged.

    Args:
        actions: what was done `[S]`.
        proposals: what the domain's model would do instead `[S]`.
        asked: as from `to_be_asked` `[S]`; scores of the others are not read.
        general: g of what was done, chances `[S]`; where it is NaN, there was no answer, and no verdict either.
        general_of_proposals: g of the proposals `[S]`.

    Raises:
        ValueError: shapes that differ, or what is no probability.
    """
    done, other = np.asarray(actions, np.int64), np.asarray(proposals, np.int64)
    seen = np.asarray(asked, np.bool_)
    first, second = _chances(general), _chances(general_of_proposals)
    if done.ndim != 1 or not done.shape == other.shape == seen.shape == first.shape == second.shape:
        raise ValueError(
            f"got shapes {done.shape}, {other.shape}, {seen.shape}, {first.shape} and {second.shape}; "
            "expected one action, proposal, mark and two chances a step, [S]"
        )
    first, second = np.where(seen, first, np.nan), np.where(seen, second, np.nan)
    replaced = second > np.where(np.isnan(first), -np.inf, first)  # a tie leaves what was done
    approved = np.where(replaced, second, first) > 0.5
    return Reflux(np.where(replaced, other, done), ~seen | approved, _verdict(first), _verdict(second))


def balanced(kinds: ArrayLike, random: np.random.Generator) -> Ints:
    """Numbers of as many examples of each kind as there are of the rarest, in order.

    A reward model's first data are actions that are correct, perturbed by rules and made by a model; were one kind the
    most, what it is would be told from its kind.

    Args:
        kinds: of each example `[N]`.
        random: draws them.

    Raises:
        ValueError: no example.
    """
    found = np.asarray(kinds)
    if found.ndim != 1 or not len(found):
        raise ValueError(f"got kinds of shape {found.shape}; expected one of each example, [N], and some example")
    names, counts = np.unique(found, return_counts=True)
    drawn = [random.choice(np.flatnonzero(found == name), counts.min(), replace=False) for name in names]
    return np.sort(np.concatenate(drawn))


def _verdict(chances: Floats) -> Floats:
    """1 above 1/2, 0 elsewhere, NaN where it is NULL."""
    return np.where(np.isnan(chances), np.nan, chances > 0.5)


def _chances(values: ArrayLike) -> Floats:
    """Probabilities, some of which may be NULL."""
    found = np.asarray(values, np.float64)
    if ((found < 0) | (found > 1)).any():
        raise ValueError("got what is no probability; expected chances that an action is correct, not scores")
    return found
