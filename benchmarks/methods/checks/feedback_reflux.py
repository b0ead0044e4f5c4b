"""Check of corrections that flow back: clicks on screens of apps, judged by a small reward model and a large one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.menu import softmax
from rewards.data.feedback_reflux import Floats, Ints, balanced, reflux, to_be_asked

APPS, WISHES, ICONS, SHOWN = 10, 6, 12, 6
"""Each screen of an app shows some of the icons, among them the one that does what is wished."""
SPECIAL = 0.4
"""Share of wishes for which an app has an icon of its own; the others are the same in all apps."""
DEMONSTRATIONS, STEPS, ROUNDS, TESTED = 60, 400, 3, 2000
SURE, FITTING, PRIOR = 0.9, 100, 0.2
"""c; steps of each fit, and the precision of its prior."""


class Screens(NamedTuple):
    """Wishes in apps, what is to be seen, and where the right icon is."""

    app: Ints
    wish: Ints
    icons: Ints
    right: Ints


class World:
    """Which icon does what in which app."""

    def __init__(self, random: np.random.Generator) -> None:
        """Drawn at random."""
        usual, own = random.integers(0, ICONS, WISHES), random.integers(0, ICONS, (APPS, WISHES))
        self.right = np.where(random.random((APPS, WISHES)) < SPECIAL, own, usual)

    def screens(self, random: np.random.Generator, number: int) -> Screens:
        """Screens `[n]`, with their icons `[n, SHOWN]` in any order."""
        app, wish = random.integers(0, APPS, number), random.integers(0, WISHES, number)
        first = np.arange(ICONS) == self.right[app, wish][:, None]
        icons = np.argsort(random.random((number, ICONS)) - first, axis=1)[:, :SHOWN]
        icons = random.permuted(icons, axis=1)
        return Screens(app, wish, icons, (icons == self.right[app, wish][:, None]).argmax(1))


class Scores:
    """Logits of icons: what a wish means everywhere, and what it means in one app."""

    def __init__(self) -> None:
        """Knows nothing."""
        self.everywhere, self.here = np.zeros((WISHES, ICONS)), np.zeros((APPS, WISHES, ICONS))

    def __call__(self, of: Screens) -> Floats:
        """Of each icon that is shown `[n, SHOWN]`."""
        wish, app = of.wish[:, None], of.app[:, None]
        return np.asarray(self.everywhere[wish, of.icons] + self.here[app, wish, of.icons])

    def fit(self, of: Screens, seen: Floats, gradient: Callable[[Floats], Floats]) -> Scores:
        """The most probable logits under a normal prior, by steps that are small where there is much to be seen.

        Args:
            of: screens.
            seen: which icons of theirs count `[n, SHOWN]`.
            gradient: of the log-likelihood, from the scores of the icons to the same shape.
        """
        here = ((of.app * WISHES + of.wish)[:, None] * ICONS + of.icons).ravel()

        def summed(values: Floats) -> Floats:
            found = np.zeros(self.here.size)
            np.add.at(found, here, values.ravel())
            return found.reshape(self.here.shape)

        curvature = summed(seen) / 2
        for _ in range(FITTING):
            slope = summed(gradient(self(of)))
            self.here += (slope - PRIOR * self.here) / (2 * (curvature + PRIOR))
            self.everywhere += (slope.sum(0) - PRIOR * self.everywhere) / (2 * (curvature.sum(0) + PRIOR))
        return self


def joined(*parts: Screens) -> Screens:
    """One behind another."""
    return Screens(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def taken(of: Screens, rows: NDArray[np.generic]) -> Screens:
    """Some of them."""
    return Screens(*(column[rows] for column in of))


def sigmoid(scores: Floats) -> Floats:
    """σ."""
    found: Floats = 1 / (1 + np.exp(-scores))
    return found


def imitating(of: Screens, done: Ints) -> Scores:
    """A policy taught with what was done `[n]`."""
    chosen = np.eye(SHOWN)[done]
    return Scores().fit(of, np.ones_like(chosen), lambda scores: chosen - softmax(scores))


def judging(of: Screens, done: Ints, correct: Floats) -> Scores:
    """A reward model taught by cross-entropy which actions were correct `[n]`, 0 or 1."""
    chosen = np.eye(SHOWN)[done]
    return Scores().fit(of, chosen, lambda scores: chosen * (correct[:, None] - sigmoid(scores)))


def drawn(scores: Floats, random: np.random.Generator) -> Ints:
    """A place for each row, by its chances."""
    return np.asarray((softmax(scores).cumsum(1) > random.random((len(scores), 1))).argmax(1))


def general(of: Screens, done: Ints, random: np.random.Generator) -> Floats:
    """Chances by the large model, which knows the apps; 5 % of its verdicts are wrong."""
    return sigmoid(2.0 * np.where(done == of.right, 1.0, -1.0) + 1.2 * random.standard_normal(len(done)))


def rounds(seed: int, corrected: bool = True, asking: bool = True, sure: float = SURE) -> Mapping[str, float]:
    """Three rounds in which the policy acts, is judged, and both are taught anew with all that flowed back.

    Args:
        seed: of everything.
        corrected: whether rejected steps are replaced and teach the reward model; else only accepted ones are learnt.
        asking: whether the large model is asked; else the small one is believed.
        sure: from which chance on the small one alone accepts.
    """
    random = np.random.default_rng(seed)
    world = World(random)
    shown, test = world.screens(random, DEMONSTRATIONS), world.screens(random, TESTED)
    perturbed = (test.right + random.integers(1, SHOWN, TESTED)) % SHOWN
    policy = imitating(shown, shown.right)

    # The first reward data: correct actions, wrong ones by a rule, and what the policy does, as many of each.
    by_rule = (shown.right + random.integers(1, SHOWN, DEMONSTRATIONS)) % SHOWN
    by_policy = drawn(policy(shown), random)
    rows = balanced(np.arange(3).repeat(DEMONSTRATIONS), random)
    judged, judged_done = joined(shown, shown, shown), np.concatenate([shown.right, by_rule, by_policy])
    judged, judged_done = taken(judged, rows), judged_done[rows]
    verdicts = (judged_done == judged.right).astype(np.float64)
    model = judging(judged, judged_done, verdicts)
    learnt, learnt_done = shown, shown.right

    def success() -> float:
        return float((drawn(policy(test), random) == test.right).mean())

    def accuracy() -> float:
        scores, every = model(test), np.arange(TESTED)
        return float(((scores[every, test.right] > 0).mean() + (scores[every, perturbed] <= 0).mean()) / 2)

    before, asked_shares, wrong = (success(), accuracy()), [], []
    for _ in range(ROUNDS):
        new = world.screens(random, STEPS)
        done, chances = drawn(policy(new), random), sigmoid(model(new))
        proposals = np.where(np.arange(SHOWN) == done[:, None], -1.0, chances).argmax(1)
        own, of_proposal = (chances[np.arange(STEPS), which] for which in (done, proposals))
        asked = to_be_asked(own, sure) if asking else np.ones(STEPS, np.bool_)
        first = general(new, done, random) if asking else own
        second = general(new, proposals, random) if asking else of_proposal
        found = reflux(done, proposals, asked, first, second if corrected else np.full(STEPS, np.nan))

        learnt = joined(learnt, taken(new, found.learnt))
        learnt_done = np.concatenate([learnt_done, found.action[found.learnt]])
        for actions, verdict in ((done, found.verdict), (proposals, found.proposal_verdict)):
            kept = ~np.isnan(verdict) if corrected else verdict == 1
            judged = joined(judged, taken(new, kept))
            judged_done = np.concatenate([judged_done, actions[kept]])
            verdicts = np.concatenate([verdicts, verdict[kept]])
        policy, model = imitating(learnt, learnt_done), judging(judged, judged_done, verdicts)
        asked_shares.append(float(asked.mean()) if asking else 0.0)
        wrong.append(float((found.action != new.right)[found.learnt].mean()))
    after = (success(), accuracy())
    return {
        "success": after[0],
        "success gained": after[0] - before[0],
        "accuracy of the small model": after[1],
        "accuracy gained": after[1] - before[1],
        "asked in the first round": asked_shares[0],
        "asked in the last round": asked_shares[-1],
        "no longer asked": asked_shares[0] - asked_shares[-1],
        "wrong among what is learnt last": wrong[-1],
    }


REFLUX, ACCEPTED = "corrections flow back", "only accepted steps"


def _rises(found: Found) -> bool:
    """Both rise, and above self-training; fewer steps are sent to the large model."""
    gained = ("success gained", "accuracy gained", "no longer asked")
    return all(found.interval(REFLUX, name)[0] > 0 for name in gained) and all(
        found.above(REFLUX, ACCEPTED, name) for name in ("success", "accuracy of the small model")
    )


MAGICGUI = Check(
    row=38,
    name="dual-reward-feedback-reflux",
    claim="Over three rounds of corrections that flow back both the policy's success and the small reward model's "
    "accuracy rise and end above those of learning from accepted steps alone, and fewer steps go to the large model.",
    arms={
        REFLUX: rounds,
        ACCEPTED: lambda seed: rounds(seed, corrected=False),
        "the small model alone": lambda seed: rounds(seed, asking=False),
        "every step is sent": lambda seed: rounds(seed, sure=1.0),
    },
    holds=_rises,
    units={
        "success": "share of steps",
        "accuracy of the small model": "share of verdicts",
        "asked in the first round": "share of steps",
        "asked in the last round": "share of steps",
        "wrong among what is learnt last": "share of steps",
    },
)
