"""Checks of samples that are searched for while they are made: particles of a flow, their children, and its noise."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from actors.search.noise import ascend_noise
from actors.search.steering import Move, Potential, steer
from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.flows import Velocity, match
from learners.flows.sampler import Field
from learners.flows.steps import flow_mean

STEPS, ETA = 20, 3.0
"""Steps of the samplers, and their noise as a multiple of σ: it ends where the samples begin to be clean."""


def foreseen(field: Field, x: Tensor, step: int) -> Tensor:
    """x̂₀ of states after so many steps."""
    sigma = 1 - step / STEPS
    return x - sigma * field(x, sigma) if sigma else x


def noisy(field: Field, generator: torch.Generator) -> Move:
    """One noisy step of a flow's sampler."""

    def move(x: Tensor, step: int) -> Tensor:
        sigma, after = 1 - step / STEPS, 1 - (step + 1) / STEPS
        mean = flow_mean(x, field(x, sigma), sigma, after, ETA * sigma)
        found: Tensor = mean + ETA * sigma * (sigma - after) ** 0.5 * torch.randn(x.shape, generator=generator)
        return found

    return move


# --- 116: a reward that is a staircase --------------------------------------------------------------------------------

MODES, ALPHA, CHILDREN, SAMPLES = 8, 0.2, 8, 1024
"""Heaps on a circle, price of leaving the model, children of a step, and samples that are looked at."""
PATHS = 4096


def staircase(x: Tensor) -> Tensor:
    """A half for being in the first heap, and another for its outer side `[N]`; it has no gradient anywhere."""
    there = torch.atan2(x[:, 1], x[:, 0]).abs() < torch.pi / MODES
    found: Tensor = (there.float() + (there & (x.norm(dim=1) > 2)).float()) / 2
    return found


class Promise(nn.Module):
    """Of states on the way: E[r] of the end, and the logit of E[exp((r − 1) / α)]."""

    def __init__(self) -> None:
        """Random weights."""
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 2))

    def forward(self, x: Tensor, step: Tensor | int) -> Tensor:
        """Both `[N, 2]`, after so many steps."""
        time = torch.as_tensor(step, dtype=x.dtype).expand(len(x))[:, None] / STEPS
        found: Tensor = self.body(torch.cat([x, time], 1))
        return found


@cache
def taught(seed: int) -> tuple[Velocity, Promise, Tensor]:
    """A flow of heaps on a circle, what its states promise, and its samples `[PATHS, 2]`."""
    flow, generator = Velocity(seed), torch.Generator().manual_seed(seed)

    def heaps(number: int) -> tuple[Tensor, None]:
        angle = torch.randint(MODES, (number,)) * (2 * torch.pi / MODES)
        return 2 * torch.stack([angle.cos(), angle.sin()], 1) + 0.15 * torch.randn(number, 2), None

    match(flow, heaps, 500)
    move, states = noisy(flow.given(None), generator), [torch.randn(PATHS, 2, generator=generator)]
    with torch.no_grad():
        for number in range(STEPS):
            states.append(move(states[-1], number))
    paths, rewards = torch.stack(states), staircase(states[-1])
    promise = Promise()
    optimiser = torch.optim.Adam(promise.parameters(), 3e-3)
    for _ in range(500):
        step, row = (torch.randint(n, (1024,), generator=generator) for n in (STEPS + 1, PATHS))
        mean, logit = promise(paths[step, row], step).unbind(1)
        loss = (mean - rewards[row]).square().mean()
        loss = loss + binary_cross_entropy_with_logits(logit, ((rewards[row] - 1) / ALPHA).exp())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return flow, promise, paths[-1]


def distance(one: Tensor, other: Tensor, weights: Tensor | None = None) -> float:
    """Maximum mean discrepancy of samples, by 1024 random features of a Gaussian kernel of width 0.5."""
    generator = torch.Generator().manual_seed(0)
    wave = 2 * torch.randn(2, 1024, generator=generator)
    phase = 2 * torch.pi * torch.rand(1024, generator=generator)
    share = torch.full((len(other),), 1 / len(other)) if weights is None else weights / weights.sum()
    apart = (one @ wave + phase).cos().mean(0) - share @ (other @ wave + phase).cos()
    return float(apart.square().mean().mul(2).sqrt())


def decoded(seed: int, by: str) -> Mapping[str, float]:
    """Samples of one way to heed a reward, with 8 · 20 evaluations of the flow or of what it promises each.

    Args:
        seed: of everything.
        by: a way.
    """
    flow, promise, plain = taught(seed)
    field, generator = flow.given(None), torch.Generator().manual_seed(1000 + seed)
    move, start = noisy(field, generator), torch.randn(SAMPLES, 1, 2, generator=generator)

    def score(x: Tensor, step: int) -> Tensor:
        if by == "SVDD, posterior mean" or step == STEPS:
            return staircase(foreseen(field, x, step))
        mean, logit = promise(x, step).unbind(1)
        return 1 + ALPHA * logsigmoid(logit) if by == "SVDD, soft value" else mean

    def told(x: Tensor) -> dict[str, float]:
        weights = (staircase(plain) / ALPHA).exp()
        return {
            "reward": float(staircase(x).mean()),
            "distance to the model": distance(x, plain),
            "distance to the tilted model": distance(x, plain, weights),
        }

    def guided(scale: float) -> Tensor:
        """Each step is moved by the gradient of a differentiable proxy of the reward at what is foreseen."""
        x = start[:, 0]
        for step in range(STEPS):
            leaf = x.clone().requires_grad_()
            proxy = promise(foreseen(field, leaf, step), STEPS)[:, 0].sum()
            slope = torch.autograd.grad(proxy, leaf)[0]
            sigma = 1 - step / STEPS
            with torch.no_grad():
                x = move(x, step) + scale * (ETA * sigma) ** 2 / STEPS * slope / ALPHA
        return x

    if by == "gradient guidance":  # at its best strength
        return min((told(guided(s)) for s in (1, 2, 4, 8, 16)), key=lambda t: t["distance to the tilted model"])
    if by.startswith("SVDD"):
        found = steer(move, score, start, STEPS, 1 / ALPHA, children=CHILDREN, generator=generator)
        return told(found.states[:, 0])
    start = torch.randn(SAMPLES, CHILDREN, 2, generator=generator)
    found = steer(move, score, start, STEPS, 1 / ALPHA, threshold=0.0, generator=generator)
    if by == "best of 8":
        index = found.scores.argmax(1)
    elif by == "one of 8 by weight":
        index = torch.multinomial(found.log_weights.exp(), 1, generator=generator)[:, 0]
    else:
        index = torch.zeros(SAMPLES, dtype=torch.long)
    return told(found.states[torch.arange(SAMPLES), index])


WAYS = (
    "model",
    "best of 8",
    "one of 8 by weight",
    "gradient guidance",
    "SVDD, posterior mean",
    "SVDD, mean reward",
    "SVDD, soft value",
)


def _more_and_nearer(found: Found) -> bool:
    """More reward than best-of-8, and nearer to the tilted law than all that is no soft decoding."""
    others = ("best of 8", "one of 8 by weight", "gradient guidance")
    return all(
        found.above(mine, "best of 8", "reward")
        and all(found.below(mine, other, "distance to the tilted model") for other in others)
        for mine in ("SVDD, posterior mean", "SVDD, soft value")
    )


SVDD = Check(
    row=116,
    name="soft-value-decoding",
    claim="Of a reward without a gradient, 8 proposals a step, weighed by the reward of what is foreseen or by a soft "
    "value that was learnt, win more than the best of 8 samples with as many evaluations, and come nearer to the "
    "tilted law than a choice among 8 samples, and than gradients of a proxy at their best strength.",
    arms={by: partial(decoded, by=by) for by in WAYS},
    holds=_more_and_nearer,
    units={"distance to the model": "MMD", "distance to the tilted model": "MMD"},
)


# --- 156: a mode that is rare -----------------------------------------------------------------------------------------

SHARES, SPREAD, LAMBDA, PARTICLES = torch.tensor([0.05, 0.35, 0.6]), 0.3, 1.5, 8192
"""Of the modes, deviation within each, λ, and particles of all searches together."""
CENTRES = 2 * torch.tensor([[0.0, 1.0], [-(3**0.5) / 2, -0.5], [3**0.5 / 2, -0.5]])


def mixture(x: Tensor, sigma: float) -> Tensor:
    """The exact velocity of a mixture of three Gaussians."""
    clean = 1 - sigma
    variance = (clean * SPREAD) ** 2 + sigma**2
    apart = x[:, None] - clean * CENTRES
    owner = (SHARES.log() - apart.square().sum(-1) / (2 * variance)).softmax(-1)
    ends = CENTRES + clean * SPREAD**2 / variance * apart
    return (x - (owner[..., None] * ends).sum(1)) / sigma


def upwards(x: Tensor) -> Tensor:
    """The reward: how far towards the rare mode `[N]`; it tilts the shares by exp(λ r) at the centres."""
    return x[:, 1]


def searched(seed: int, width: int, potential: Potential = "difference", threshold: float = 1.0) -> Mapping[str, float]:
    """Particles in searches of some width, weighed at every second step.

    Args:
        seed: of everything.
        width: particles of a search.
        potential: how scores become weights.
        threshold: 0: independent samples, weighed at their end.
    """
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(PARTICLES // width, width, 2, generator=generator)
    found = steer(
        noisy(mixture, generator),
        lambda x, step: upwards(foreseen(mixture, x, step)),
        start,
        STEPS,
        LAMBDA,
        potential,
        every=2,
        threshold=threshold,
        generator=generator,
    )
    weights = found.log_weights.exp()
    mode = torch.cdist(found.states, CENTRES).argmin(-1)
    shares = torch.stack([(weights * (mode == k)).sum(1).mean() for k in range(3)])
    wanted = SHARES * (LAMBDA * upwards(CENTRES)).exp()
    return {
        "reward of the best": float(found.scores.amax(1).mean()),
        "mean reward": float((weights * found.scores).sum(1).mean()),
        "error of the modes' shares": float((shares - wanted / wanted.sum()).abs().sum()),
    }


WIDTHS = (2, 8, 32, 128)


def _better_and_consistent(found: Found) -> bool:
    """The best of 8 is better with each potential, and shares come nearer as particles grow."""
    name = "error of the modes' shares"
    growing = [f"difference, {width} particles" for width in WIDTHS]
    potentials = [f"{potential}, 8 particles" for potential in ("difference", "max", "sum")]
    return (
        all(found.above(arm, "independent, 8 particles", "reward of the best") for arm in potentials)
        and all(found.below(more, less, name) for less, more in pairwise(growing))
        and found.mean(growing[-1], name) < 0.1
    )


FK_STEERING = Check(
    row=156,
    name="feynman-kac-steering",
    claim="With 8 particles and as many evaluations, the best that FK steering finds has more reward than the best of "
    "independent samples, with each of three potentials; as particles grow from 2 to 128 the shares of the modes come "
    "nearer to those of the tilted mixture each time, and within 0.1.",
    arms={
        "independent, 8 particles": lambda seed: searched(seed, 8, threshold=0.0),
        "max, 8 particles": lambda seed: searched(seed, 8, "max"),
        "sum, 8 particles": lambda seed: searched(seed, 8, "sum"),
        **{f"difference, {width} particles": partial(searched, width=width) for width in WIDTHS},
    },
    holds=_better_and_consistent,
    units={"error of the modes' shares": "sum of absolute differences"},
)


# --- 160: noise for a generator of one step ---------------------------------------------------------------------------

SIZE, TASTES, NOISES, CALLS = 16, 6, 128, 50
"""Numbers of noise and sample, wanted directions, searches side by side, and calls of the generator of each."""


class OneStep(nn.Module):
    """A frozen generator, and two rewards of what it makes: the true one, and what was learnt of it."""

    def __init__(self, seed: int) -> None:
        """Random weights, from `seed`; the reward model learns from noisy labels of typical samples."""
        super().__init__()
        torch.manual_seed(seed)
        self.straight, self.bent = torch.randn(2, SIZE, SIZE) / SIZE**0.5
        self.back = torch.randn(SIZE, SIZE) / SIZE**0.5
        self.tastes = torch.randn(SIZE, TASTES) / SIZE**0.5
        samples = self.make(torch.randn(2048, SIZE))
        self.usual = float(samples.norm(dim=1).quantile(0.95))
        labels = self.truth(samples) + 0.2 * torch.randn(len(samples))
        self.model = nn.Sequential(nn.Linear(SIZE, 64), nn.SiLU(), nn.Linear(64, 1))
        optimiser = torch.optim.Adam(self.model.parameters(), 3e-3)
        for _ in range(300):
            rows = torch.randint(len(samples), (256,))
            loss = (self.learnt(samples[rows]) - labels[rows]).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    def make(self, noise: Tensor) -> Tensor:
        """Samples `[N, SIZE]`."""
        found: Tensor = noise @ self.straight + (noise @ self.bent).tanh() @ self.back
        return found

    def truth(self, samples: Tensor) -> Tensor:
        """How well all tastes are met, less what is broken in samples beyond the usual `[N]`."""
        met = (1.5 * samples @ self.tastes).tanh().mean(1)
        found: Tensor = met - 2 * (samples.norm(dim=1) / self.usual - 1).clamp_min(0)
        return found

    def learnt(self, samples: Tensor) -> Tensor:
        """The reward model `[N]`."""
        found: Tensor = self.model(samples)[:, 0]
        return found


generator_of = cache(OneStep)


def noise_found(seed: int, by: str, regulariser: float = 0.0) -> Mapping[str, float]:
    """Both rewards of the samples that a search ends with.

    Args:
        seed: of everything.
        by: "one", "best of 50" by the reward model, or "ascent" on it.
        regulariser: ρ of the ascent.
    """
    world, generator = generator_of(seed), torch.Generator().manual_seed(1000 + seed)
    noise = torch.randn(NOISES, SIZE, generator=generator)
    if by == "best of 50":
        many = torch.randn(NOISES, CALLS, SIZE, generator=generator)
        with torch.no_grad():
            best = world.learnt(world.make(many.flatten(0, 1))).view(NOISES, CALLS).argmax(1)
        noise = many[torch.arange(NOISES), best]
    elif by == "ascent":
        noise = ascend_noise(noise, world.make, [(1.0, world.learnt)], CALLS, 0.5, 0.1, regulariser).noise
    with torch.no_grad():
        samples = world.make(noise)
        return {
            "learnt reward": float(world.learnt(samples).mean()),
            "true reward": float(world.truth(samples).mean()),
            "norm of the noise": float(noise.norm(dim=1).mean() / (SIZE - 1) ** 0.5),
        }


RENO = Check(
    row=160,
    name="reward-noise-optimization",
    claim="50 steps of ascent on the noise of a one-step generator win more of the learnt and of the true reward than "
    "the best of 50 samples, which calls the generator as often; without the regulariser of the norm the true reward "
    "is lower.",
    arms={
        "one sample": lambda seed: noise_found(seed, "one"),
        "best of 50": lambda seed: noise_found(seed, "best of 50"),
        "ReNO without its regulariser": lambda seed: noise_found(seed, "ascent"),
        "ReNO": lambda seed: noise_found(seed, "ascent", 1.0),
    },
    holds=lambda found: (
        all(found.above("ReNO", "best of 50", name) for name in ("learnt reward", "true reward"))
        and found.below("ReNO without its regulariser", "ReNO", "true reward")
    ),
    units={"norm of the noise": "of √(d − 1)"},
)
