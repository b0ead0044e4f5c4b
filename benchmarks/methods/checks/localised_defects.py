"""Check of a reward model that is taught when trajectories break, against a classifier of whole ones with saliency."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.glitches import FEATURES, KINDS, STEPS, Flights, fly, lessons
from benchmarks.methods.worlds.stages import fitted, numbers
from pipelines.results import figure
from rewards.columns import Column
from rewards.evaluation.localisation import localisation, span_iou
from rewards.groups import group_advantages
from rewards.models.localised_defect import Findings, LocalisedDefect

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SHOWN, HELD_OUT, GRADIENTS, BATCH = 2000, 1000, 800, 64
"""Flights that teach models, flights that they are tried on, and steps of gradient and samples of each."""
CUTS = (0.5, 1.0, 1.5, 2.0, 3.0)
"""Multiples of a flight's mean saliency above which a step may count; which one, the lessons' own spans decide."""
UPDATES, MEMBERS, RATE, DISCOUNT = 150, 64, 0.05, 0.8
"""Updates of the generator, flights of each, its rate of learning, and γ of what steps are paid."""
OBEYS = 3.5
"""Logit of the generator to obey at first, beside habits drawn anew for each step; so nearly all flights break."""
Model = Literal["localised", "whole", "annotations"]
Pay = Literal["span", "score"]
Tell = Callable[[Flights], Findings]
"""From flights to what a model finds in what is seen of them."""


def saliency(model: LocalisedDefect, seen: Floats) -> Findings:
    """Findings of a classifier: steps by how much the log-odds of a defect change with them, over the flight's mean."""
    given = numbers(seen).requires_grad_()
    kinds = model(given).kinds
    (slopes,) = torch.autograd.grad((kinds[:, 1:].logsumexp(-1) - kinds[:, 0]).sum(), given)
    size = slopes.norm(dim=-1)
    return Findings(kinds.detach(), size / size.mean(1, keepdim=True).clamp(min=1e-12))


def annotated(flights: Flights) -> Findings:
    """What a model would find that errs in nothing: how much is up to the model, and how much to the pay."""
    at, (onset, offset) = np.arange(STEPS), flights.spans.T[..., None]
    inside = (onset <= at) & (at <= offset)
    return Findings(numbers(200.0 * np.eye(1 + KINDS)[flights.kind]), numbers(np.where(inside, 10.0, -10.0)))


@cache
def model_of(seed: int, kind: Model) -> Tell:
    """A model that is taught by the annotations of flights, all of them or the kinds alone; or what is annotated."""
    if kind == "annotations":
        return annotated
    shown = lessons(np.random.default_rng(seed), SHOWN)
    model = LocalisedDefect(FEATURES, KINDS, seed=seed)
    seen, true, spans = numbers(shown.seen), torch.as_tensor(shown.kind), torch.as_tensor(shown.spans)
    when = 1.0 if kind == "localised" else 0.0
    fitted(
        model, lambda rows: model(seen[rows]).loss(true[rows], spans[rows], when).mean(), SHOWN, seed, GRADIENTS, BATCH
    )
    if kind == "localised":

        @torch.no_grad()
        def told(flights: Flights) -> Findings:
            found: Findings = model(numbers(flights.seen))
            return found

        return told

    raw = saliency(model, shown.seen)
    overlaps = [float(np.nanmean(span_iou(cut(raw, above).spans().numpy(), shown.spans))) for above in CUTS]
    above = CUTS[int(np.argmax(overlaps))]
    return lambda flights: cut(saliency(model, flights.seen), above)


def cut(found: Findings, above: float) -> Findings:
    """Findings of which a step counts for a span where it is above so many times the mean."""
    return found._replace(steps=found.steps - above)


def paid(found: Findings, pay: Pay) -> Floats:
    """Advantages of all steps `[B, T]`: what each has still to come, or R for all, beside others at the same step."""
    if pay == "score":
        returns = np.repeat(found.score().double().numpy()[:, None], STEPS, 1)
    else:
        ahead = np.arange(STEPS)[:, None] - np.arange(STEPS)
        returns = found.step_rewards().double().numpy() @ np.where(ahead >= 0, DISCOUNT ** np.maximum(ahead, 0), 0.0)
    advantages: Floats = group_advantages(Column.full(returns.T)).values.T.astype(np.float64)
    return advantages


def tuned(seed: int, tell: Tell, pay: Pay) -> Floats:
    """Share of flights that break, at each update of a generator that is paid by a model `[UPDATES]`.

    The generator has a chance of each way to break at each step, and learns by policy gradient.
    """
    random = np.random.default_rng(10_000 + seed)
    habits = random.standard_normal((STEPS, 1 + KINDS))
    habits[:, 0] = OBEYS
    logits = torch.tensor(habits, requires_grad=True)
    optimiser = torch.optim.Adam([logits], RATE)
    rates = []
    for _ in range(UPDATES):
        drawn = logits.detach().numpy() + random.gumbel(size=(MEMBERS, STEPS, 1 + KINDS))
        asked = drawn.argmax(-1)
        flights = fly(asked, random)
        rates.append(float((flights.kind > 0).mean()))
        chosen = logits.log_softmax(-1)[torch.arange(STEPS), torch.as_tensor(asked)]
        loss = -(chosen * torch.as_tensor(paid(tell(flights), pay))).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return np.array(rates)


def looked_at(seed: int, kind: Model, pay: Pay) -> Mapping[str, float]:
    """How well a model finds defects in new flights, and how often those of a generator break that it pays."""
    tell = model_of(seed, kind)
    held = lessons(np.random.default_rng(20_000 + seed), HELD_OUT)
    found = tell(held)
    how = localisation(found.kind().numpy(), found.spans().numpy(), held.kind, held.spans, STEPS)
    rates = tuned(seed, tell, pay)
    return {
        "whether": how.detection,
        "what": how.category,
        "when": how.iou,
        "distance": how.distance,
        "broken on the way": float(rates.mean()),
        "broken at first": float(rates[:10].mean()),
        "broken at last": float(rates[-10:].mean()),
    }


def _all_of_it(found: Found) -> bool:
    """Better than the classifier, in the paper's order of difficulty, and sooner without defects than by the score."""
    own, scalar, classifier = "localised, paid by span", "localised, paid by score", "whole, paid by saliency"
    values = found.values[own]

    def easier(one: str, other: str) -> bool:
        return (figure(np.subtract(values[one], values[other]).tolist(), "difference").low or 0.0) > 0

    return (
        found.above(own, classifier, "when")
        and found.above(own, classifier, "what")
        and easier("whether", "what")
        and easier("what", "when")
        and found.below(own, scalar, "broken on the way")
    )


DEEPTRACE = Check(
    row=72,
    name="localised-defect-rm",
    claim="A reward model that is taught when flights break finds spans of higher IoU, and names the kind of more "
    "defects, than a classifier of whole flights with saliency; it is right more often on whether a flight is broken "
    "than on how, and on how than its spans overlap; and a generator that is paid at the steps of its spans breaks "
    "fewer flights on the way than one that is paid by its score of the whole.",
    arms={
        "localised, paid by span": partial(looked_at, kind="localised", pay="span"),
        "localised, paid by score": partial(looked_at, kind="localised", pay="score"),
        "whole, paid by saliency": partial(looked_at, kind="whole", pay="span"),
        "whole, paid by score": partial(looked_at, kind="whole", pay="score"),
        "annotations, paid by span": partial(looked_at, kind="annotations", pay="span"),
        "annotations, paid by score": partial(looked_at, kind="annotations", pay="score"),
    },
    holds=_all_of_it,
    units={
        "whether": "share of flights",
        "what": "share of broken flights",
        "when": "IoU of spans",
        "distance": "share of the flight",
        **dict.fromkeys(["broken on the way", "broken at first", "broken at last"], "share of flights"),
    },
)
