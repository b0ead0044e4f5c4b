"""Check of influence functions: a small reward model, some of whose pairs are labelled wrongly, taught anew without."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, reduce
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.preferences import Floats, Models, World
from rewards.comparison.correlation import spearman
from rewards.evaluation.influence import Layer, curvature, influences, recorded

PAIRS, WRONG, QUERIES, HIDDEN = 200, 20, 200, 16
SUBSETS, LEFT_OUT, STEPS, DECAY = 32, 20, 400, 0.01


class Taught(NamedTuple):
    """A model taught with all pairs, and what became of the queries where some were left out.

    Attributes:
        model: with all of them.
        pairs: what was read of the chosen and of the rejected answers `[PAIRS, D]`.
        queries: of new pairs, with their true labels `[QUERIES, D]`.
        wrong: which labels are wrong `[PAIRS]`.
        kept: which pairs were used, by subset `[SUBSETS, PAIRS]`.
        moved: losses of the queries without the others, less those with all `[SUBSETS, QUERIES]`.
    """

    model: nn.Sequential
    pairs: tuple[Tensor, Tensor]
    queries: tuple[Tensor, Tensor]
    wrong: Floats
    kept: Floats
    moved: Floats


@cache
def taught(seed: int) -> Taught:
    """Teach one model with all pairs, and one for each subset, from the same weights and without chance."""
    random, world = np.random.default_rng(seed), World(500 + seed)
    pairs, asked = world.pairs(random, PAIRS), world.pairs(random, QUERIES)
    wrong = np.zeros(PAIRS)
    wrong[random.permutation(PAIRS)[:WRONG]] = 1.0
    given, queries = pairs.inputs((pairs.gap > 0) ^ (wrong > 0)), asked.inputs(asked.gap > 0)
    kept = np.ones((1 + SUBSETS, PAIRS))
    for row in kept[1:]:
        row[random.permutation(PAIRS)[:LEFT_OUT]] = 0.0
    models = Models(1 + SUBSETS, seed, HIDDEN)
    with torch.no_grad():
        for parameter in models.parameters():
            parameter.copy_(parameter[:1].expand_as(parameter).clone())
    weights = torch.as_tensor(kept, dtype=torch.float32)
    optimiser = torch.optim.Adam(models.parameters(), 1e-2)
    for step in range(STEPS):
        for group in optimiser.param_groups:
            group["lr"] = 1e-2 * (1 - step / STEPS)
        losses = (weights * -logsigmoid(models(given[0]) - models(given[1]))).sum(1) / weights.sum(1)
        decay = sum(parameter.square().sum() for parameter in models.parameters())
        optimiser.zero_grad()
        (losses.sum() + DECAY * decay).backward()
        optimiser.step()
    model = nn.Sequential(nn.Linear(models.first.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1))
    with torch.no_grad():
        losses = -logsigmoid(models(queries[0]) - models(queries[1])).double()
        own = (models.first[0].T, models.bias[0, 0], models.second[0].T, models.offset[0, 0])
        for parameter, value in zip(model.parameters(), own, strict=True):
            parameter.copy_(value)
    return Taught(model, given, queries, wrong, kept[1:], (losses[1:] - losses[0]).numpy())


def traced(seed: int, ekfac: bool) -> Mapping[str, float]:
    """How well influences foretell what leaving pairs out does, and whether they find the wrong labels.

    Args:
        seed: of everything.
        ekfac: whether curvature counts; else influence is the dot product of gradients.
    """
    of = taught(seed)

    def apart(pair: tuple[Tensor, Tensor]) -> Tensor:
        found: Tensor = of.model(pair[0]) - of.model(pair[1])
        return found[:, 0]

    def gradients(layers: Mapping[str, Layer]) -> dict[str, Tensor]:
        return {name: layer.weight_gradients for name, layer in layers.items()}

    asked = gradients(recorded(of.model, lambda: -logsigmoid(apart(of.queries))))
    own = gradients(recorded(of.model, lambda: -logsigmoid(apart(of.pairs))))
    if ekfac:
        with torch.no_grad():
            chance = apart(of.pairs).sigmoid()
        drawn = 2.0 * torch.bernoulli(chance, generator=torch.Generator().manual_seed(seed)) - 1
        layers = recorded(of.model, lambda: -logsigmoid(drawn * apart(of.pairs)))
        curvatures = {name: curvature(layer) for name, layer in layers.items()}
        influence = influences(asked, own, curvatures, decay=2 * DECAY).double().numpy()
    else:
        products = (torch.einsum("qoi,noi->qn", asked[name], own[name]) for name in own)
        influence = -reduce(torch.add, products).double().numpy()
    foretold = -(1 - of.kept) @ influence.T  # what is left out pulls the other way
    known = [spearman(foretold[:, q], of.moved[:, q]) or 0.0 for q in range(QUERIES)]
    harm = influence.mean(0)  # above 0: it raises the loss of what is right
    return {
        "correlation with training anew": float(np.mean(known)),
        "wrong labels found": float((harm[of.wrong > 0][:, None] > harm[of.wrong == 0]).mean()),
        "wrong among the worst": float(of.wrong[np.argsort(-harm)[:WRONG]].mean()),
    }


def _foretells(found: Found) -> bool:
    """Nearer to the truth than a dot product, and the wrong labels are at the harmful end."""
    better = found.above("EK-FAC", "dot product of gradients", "correlation with training anew")
    return better and found.interval("EK-FAC", "wrong labels found")[0] > 0.7


EK_FAC = Check(
    row=168,
    name="ekfac-influence",
    claim="Influence by EK-FAC foretells how a reward model that is taught without some of its pairs judges new ones "
    "better than dot products of gradients do, and finds a pair with a wrong label more harmful than one with a right "
    "label more than seven times in ten.",
    arms={
        "EK-FAC": lambda seed: traced(seed, True),
        "dot product of gradients": lambda seed: traced(seed, False),
    },
    holds=_foretells,
    units={
        "correlation with training anew": "Spearman's ρ over subsets",
        "wrong labels found": "share of pairs of pairs",
        "wrong among the worst": "share",
    },
)
