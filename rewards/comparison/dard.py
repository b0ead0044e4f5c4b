"""DARD: EPIC's distance, of rewards that are shaped and compared by what the world's transitions make possible.

    D(R1, R2) = √((1 − ρ(C(R1)(S,A,S'), C(R2)(S,A,S'))) / 2)   over transitions S ~ D_S, A ~ D_A, S' ~ τ(S,A)

Source: Wulfe et al., "Dynamics-aware comparison of learned reward functions", ICLR 2022, section 4. Only its third term
still asks for transitions that may be impossible.
"""

from __future__ import annotations

import numpy as np

from rewards.comparison.canonicalisation import dard
from rewards.comparison.epic import distance_of_shaped
from rewards.comparison.tabular import Floats, TabularMDP


def dard_distance(
    world: TabularMDP, a: Floats, b: Floats, states: Floats | None = None, actions: Floats | None = None
) -> float | None:
    """The distance of two tabular rewards, exactly; None where one of them is nothing but shaping.

    Args:
        world: whose transitions count; all actions are allowed in all states.
        a: a reward `[S, A, S]`.
        b: another.
        states: D_S `[S]`; None: uniform.
        actions: D_A `[A]`; None: uniform.

    Raises:
        ValueError: an action is not allowed in some state.
    """
    n, m = world.mask.shape
    of_states = np.full(n, 1 / n) if states is None else states
    of_actions = np.full(m, 1 / m) if actions is None else actions
    covered = of_states[:, None, None] * of_actions[None, :, None] * world.transition
    return distance_of_shaped(a, b, dard(world, a, of_actions), dard(world, b, of_actions), covered)
