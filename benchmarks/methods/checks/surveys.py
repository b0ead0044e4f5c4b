"""Checks of surveys: what of each is covered, counted on its page; and shaping that keeps the best policy, or not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds import tabular
from benchmarks.methods.worlds.stages import in_order, with_potential
from pipelines.methods import Method, read_index
from pipelines.taxonomy import MODULE, PAGE, ROW, coverage, dead_links, leaves_of
from rewards.comparison.policy_invariance import choices_kept
from rewards.comparison.tabular import TabularMDP

Floats = NDArray[np.float64]
BROKEN = 5
"""Links that are turned into dead ones, to see whether they are found."""


@cache
def index() -> list[Method]:
    """All methods."""
    return read_index()


def section(page: str, survey: int) -> str:
    """The part of a page that is about one survey."""
    found = re.search(rf"^## [^\n]*\(row {survey}\)$.*?(?=^## |\Z)", page, re.M | re.S)
    return found[0] if found else ""


def broken(text: str, random: np.random.Generator) -> str:
    """A section in which some of the links in its tables lead to modules and rows that there are not."""
    tables = [place.start() for place in re.finditer(r"^\|.*$", text, re.M)]
    links = [link for kind in (MODULE, ROW) for link in kind.finditer(text) if link.start() > tables[0]]
    for number in sorted(random.choice(len(links), BROKEN, replace=False), key=lambda n: -links[n].start()):
        link = links[number]
        dead = f"`{link[1]}_that_is_gone`" if link.re is MODULE else f"[{link[1]}](methods.md#gone)"
        text = text[: link.start()] + dead + text[link.end() :]
    return text


def counted(seed: int, survey: int, planted: bool = False) -> Mapping[str, float]:
    """What of a survey is covered.

    Args:
        seed: of which links are broken.
        survey: its row.
        planted: whether some are.
    """
    text = section(PAGE.read_text(encoding="utf-8"), survey)
    leaves = leaves_of(broken(text, np.random.default_rng(seed)) if planted else text)
    failures = [
        any(module.startswith("rewards.evaluation.") for module in leaf.modules)
        for leaf in leaves
        if leaf.branch == "failure"
    ]
    return {
        "leaves": len(leaves),
        "covered": coverage(leaves),
        "dead links": len(dead_links(leaves, index())),
        **({"failures with a measure": float(np.mean(failures))} if failures else {}),
    }


PAGES = ("the page", f"the page with {BROKEN} links broken")


def _alive(found: Found) -> bool:
    """No link is dead, and the count is one that finds dead links."""
    dead = [found.values[page]["dead links"] for page in PAGES]
    return max(dead[0]) == 0 and min(dead[1]) == max(dead[1]) == BROKEN


COVERED = {"leaves": "leaves", "covered": "share of leaves", "dead links": "links"}

DEEP_RESEARCH = Check(
    row=217,
    name="deep-research-rl-taxonomy",
    claim="Each leaf of the survey on the page of surveys leads to modules and rows that are there or says that it is "
    "not covered, and of links that are broken on purpose every one is found.",
    arms={name: partial(counted, survey=217, planted=name != PAGES[0]) for name in PAGES},
    holds=_alive,
    units=COVERED,
)


# --- 125: a key, then a door, by Q-learning that is paid on the way ---------------------------------------------------

SIZE, EPISODES, LONGEST, PAID = 4, 1500, 60, 0.1


def shaped(seed: int, how: str) -> Mapping[str, float]:
    """In how many states the argmax of Q-learning is best by the sparse reward, and its worth; beside the page's count.

    Args:
        seed: of the places and of learning.
        how: `nothing`, `potential`, `random potential` or `bonus`: what is paid beside the sparse reward.
    """
    random = np.random.default_rng(seed)
    mdp = in_order(random.permutation(SIZE * SIZE - 1)[:2] + 1, SIZE)
    alive = ~mdp.terminal
    world = TabularMDP(mdp.transition, mdp.start, mdp.gamma)
    meant = world.best_action_values(mdp.expected)
    left = np.where(alive, 1 + np.log(np.where(alive, meant.max(1), 1.0)) / np.log(mdp.gamma), 0.0)  # steps to the end
    near = (1 - left / left.max()) * alive
    wrong = random.uniform(0, 1, len(near)) * alive
    rewards = {
        "nothing": mdp.reward,
        "potential": with_potential(mdp, near, alpha=1.0),
        "random potential": with_potential(mdp, wrong, alpha=1.0),
        # Paid for coming nearer, and going back costs nothing: the bicycle of Randløv and Alstrøm (1998).
        "bonus": mdp.reward + PAID * (left[None, :] < left[:, None])[:, None, :],
    }
    anywhere = replace(mdp, start=alive / alive.sum())  # each state is met often enough for its values to be learnt
    paid = rewards[how]
    table, _ = tabular.q_learning(
        anywhere,
        seed,
        episodes=EPISODES,
        longest=LONGEST,
        rate=1.0,  # nothing is left to chance here
        epsilon=0.5,
        shaped=lambda state, action, after, reward, ended: float(paid[state, action, after]),
    )
    policy = np.eye(table.shape[1])[table.argmax(1)]
    return {
        "best choices": choices_kept(meant, table, alive, tie=1e-4),
        "worth of the policy": mdp.worth(policy) / mdp.worth(world.best_policy(mdp.expected)),
        **counted(seed, survey=125),
    }


def _potentials_keep(found: Found) -> bool:
    """With every seed: potentials keep all, a bonus does not."""
    return (
        max(found.values["nothing"]["dead links"]) == 0
        and all(min(found.values[how]["best choices"]) == 1 for how in ("potential", "random potential"))
        and max(found.values["bonus"]["best choices"]) < 1
    )


REWARD_ENGINEERING = Check(
    row=125,
    name="survey-reward-engineering",
    claim="Each leaf of the survey leads to what is there or says that it is not covered; and the argmax of Q-learning "
    "is a best action in every state with any potential, and is not with a bonus for coming nearer.",
    arms={how: partial(shaped, how=how) for how in ("nothing", "potential", "random potential", "bonus")},
    holds=_potentials_keep,
    units={**COVERED, "best choices": "share of states", "worth of the policy": "share of the best"},
)
