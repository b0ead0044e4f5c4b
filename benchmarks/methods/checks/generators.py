"""Checks of generators of points in a plane: a denoising policy under a regression, and rewards without data."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from benchmarks.methods.experiment import Check, Found
from learners.objectives.reward_difference import reward_difference
from learners.objectives.reward_maximisation import blended_gradient, renoise, weight_distance

# --- 131: points by denoising, for many conditions ---------------------------------------------------------------

STEPS, NOISE, CONDITIONS = 5, 0.3, 64


class Denoiser(nn.Module):
    """Moves of a point, given where it is, its condition and the time."""

    def __init__(self, seed: int) -> None:
        """Random weights, from `seed`."""
        super().__init__()
        torch.manual_seed(seed)
        self.embed = nn.Embedding(CONDITIONS, 8)
        self.body = nn.Sequential(nn.Linear(11, 64), nn.Tanh(), nn.Linear(64, 2))
        nn.init.zeros_(self.body[-1].get_parameter("weight"))

    def forward(self, point: Tensor, condition: Tensor, time: int) -> Tensor:
        """Mean of the next point `[…, 2]`."""
        clock = torch.full((*point.shape[:-1], 1), time / STEPS)
        found: Tensor = point + self.body(torch.cat([point, self.embed(condition), clock], -1))
        return found

    def log_probs(self, path: Tensor, condition: Tensor) -> Tensor:
        """Log-probability of each path `[n, STEPS + 1, 2]`, up to what does not depend on the weights."""
        found = [self(path[:, t], condition, t) - path[:, t + 1] for t in range(STEPS)]
        return -torch.stack(found).square().sum((0, -1)) / (2 * NOISE**2)


def denoised(seed: int, method: str, updates: int = 120, inner: int = 5, rate: float = 3e-3) -> Mapping[str, float]:
    """Reward after training on pairs of paths, several steps a batch.

    Args:
        seed: of everything.
        method: `prdp`, `unclipped` (its regression without the bound), or `ddpo` (PPO on whole paths).
        updates: batches.
        inner: steps a batch.
        rate: of Adam.
    """
    policy = Denoiser(seed)
    targets = torch.randn(CONDITIONS, 2, generator=torch.Generator().manual_seed(1000 + seed)) * 2
    optimiser = torch.optim.Adam(policy.parameters(), rate)
    curve = []
    for _ in range(updates):
        condition = torch.randint(CONDITIONS, (64,)).repeat_interleave(2)
        path = [torch.randn(128, 2)]
        with torch.no_grad():
            for t in range(STEPS):
                path.append(policy(path[-1], condition, t) + NOISE * torch.randn(128, 2))
            paths = torch.stack(path, 1)
            rewards = -(path[-1] - targets[condition]).norm(dim=-1)
            old = policy.log_probs(paths, condition)
        curve.append(float(rewards.mean()))
        for _ in range(inner):
            # The reference is the policy that sampled: each batch is one step of mirror descent.
            moved = policy.log_probs(paths, condition) - old
            if method == "ddpo":
                advantage = (rewards - rewards.mean()) / rewards.std()
                ratio = moved.clamp(-20, 20).exp()
                loss = -torch.minimum(ratio * advantage, ratio.clamp(0.9, 1.1) * advantage).mean()
            else:
                pairs = moved.view(-1, 2)
                clip = 0.5 if method == "prdp" else None
                loss = reward_difference(pairs, rewards.view(-1, 2), 1.0, torch.zeros_like(pairs), clip).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    values = torch.tensor(curve)
    return {
        "reward at the end": float(values[-20:].mean()),
        "deepest fall": float((values.cummax(0).values - values)[20:].max()),
    }


def _as_good_and_steadier(found: Found) -> bool:
    return found.above("PRDP", "DDPO", "reward at the end") and not found.above("PRDP", "DDPO", "deepest fall")


PRDP = Check(
    row=131,
    name="reward-difference-prediction",
    claim="With 64 conditions and equally many samples, PRDP ends with more reward than PPO on whole denoising paths, "
    "and its deepest fall on the way is no deeper.",
    arms={
        "DDPO": lambda seed: denoised(seed, "ddpo"),
        "PRDP without its bound": lambda seed: denoised(seed, "unclipped"),
        "PRDP": lambda seed: denoised(seed, "prdp"),
    },
    holds=_as_good_and_steadier,
    units={"reward at the end": "minus distance", "deepest fall": "distance"},
)


# --- 162: rewards alone ------------------------------------------------------------------------------------------


SLOPE = 0.9
"""Of the reward far outside: just steeper than what is wanted ever falls, so that nothing holds an ascent back."""
PRICES = (0.1, 1.0, 10.0)
"""Of leaving the pretrained weights, or what the pretrained generator makes."""


class Generator(nn.Module):
    """A point from noise and a condition, in four steps."""

    def __init__(self, seed: int) -> None:
        """Random weights, from `seed`."""
        super().__init__()
        torch.manual_seed(seed)
        self.body = nn.Sequential(nn.Linear(5, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 2))

    def predict(self, noisy: Tensor, angle: Tensor, level: float) -> Tensor:
        """The clean point `[B, 2]`."""
        given = [noisy, angle.cos()[:, None], angle.sin()[:, None], torch.full((len(noisy), 1), level)]
        found: Tensor = self.body(torch.cat(given, 1))
        return found

    def forward(self, angle: Tensor, noise: Tensor, eta: Tensor) -> Tensor:
        """Points `[B, 2]`, noised again between steps by η `[B]`."""
        kept, point, level = noise, noise, 1.0
        for step in range(4):
            clean = self.predict(point, angle, level)
            level = 1.0 - (step + 1) / 4
            point = renoise(kept, level, eta, torch.randn_like(noise), clean)
        return point


def centre(angle: Tensor) -> Tensor:
    """Where the points of a condition belong: on a circle of radius 2."""
    return 2 * torch.stack([angle.cos(), angle.sin()], -1)


def truth(points: Tensor, angle: Tensor) -> Tensor:
    """What is wanted: to be near the centre `[B]`."""
    return torch.exp(-(points - centre(angle)).square().sum(-1))


def hackable(points: Tensor, angle: Tensor) -> Tensor:
    """A reward that likes the centre, and likes points far outside even better `[B]`."""
    return truth(points, angle) + SLOPE * (points * centre(angle)).sum(-1) / 2


def classifier(points: Tensor, angle: Tensor) -> Tensor:
    """Log-probability of the condition given the point, the condition one of 16 directions on the circle `[B]`."""
    around = torch.arange(16) * (2 * torch.pi / 16)
    scores = -(points[:, None] - centre(around)).square().sum(-1) / 0.5
    chosen = (angle / (2 * torch.pi / 16)).round().long() % 16
    return scores.log_softmax(-1).gather(1, chosen[:, None])[:, 0]


def rewarded(seed: int, weights: float, distil: float, both: bool, random_eta: bool) -> Mapping[str, float]:
    """True reward after 200 steps of learning from rewards, by a generator that was taught data first.

    Args:
        seed: of everything.
        weights: price of |θ − θ₀|².
        distil: price of leaving what the pretrained generator makes.
        both: whether the classifier is a second reward.
        random_eta: whether noise is drawn anew by a random share between steps.
    """
    generator, first = Generator(seed), Generator(seed)
    optimiser = torch.optim.Adam(generator.parameters(), 3e-3)
    for _ in range(300):  # data: points around the centre, somewhat too near the origin
        angle, level = torch.randint(16, (256,)) * (2 * torch.pi / 16), float(torch.rand(()))
        data = 0.7 * centre(angle) + 0.2 * torch.randn(256, 2)
        noisy = (1 - level) * data + level * torch.randn(256, 2)
        loss = (generator.predict(noisy, angle, level) - data).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    first.load_state_dict(generator.state_dict())
    optimiser = torch.optim.Adam(generator.parameters(), 1e-3)
    for _ in range(200):
        angle, noise = torch.randint(16, (256,)) * (2 * torch.pi / 16), torch.randn(256, 2)
        eta = torch.rand(256) if random_eta else torch.zeros(256)
        points = generator(angle, noise, eta)
        leaf = points.detach().requires_grad_()
        rewards = {"hackable": hackable(leaf, angle).sum()}
        if both:
            rewards["classifier"] = classifier(leaf, angle).sum()
        slopes = {name: torch.autograd.grad(reward, leaf)[0] for name, reward in rewards.items()}
        slope = blended_gradient(slopes, dict.fromkeys(slopes, 1.0 / len(slopes)))
        loss = -(slope * points).sum(-1).mean()
        if weights:
            loss = loss + weights * weight_distance(list(generator.parameters()), list(first.parameters()))
        if distil:
            with torch.no_grad():
                anchor = first(angle, noise, torch.zeros(256))
            loss = loss + distil * (points - anchor).square().sum(-1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    angle, noise = torch.randint(16, (2048,)) * (2 * torch.pi / 16), torch.randn(2048, 2)
    with torch.no_grad():
        points = generator(angle, noise, torch.zeros(2048))
    return {"true reward": float(truth(points, angle).mean()), "reward": float(hackable(points, angle).mean())}


def _as_good_as_anchored(found: Found) -> bool:
    """Within 5 % of the anchored generator, and above pure ascent."""
    anchored = found.mean("reward and distillation", "true reward")
    apart = found.difference("R0", "reward and distillation", "true reward")
    return (apart.low or 0.0) > -0.05 * anchored and found.above("R0", "reward alone", "true reward")


def at_its_best(seed: int, anchored: bool) -> Mapping[str, float]:
    """The most true reward over the prices: of a distillation, or of R0's regularisers."""
    if anchored:
        tried = [rewarded(seed, 0.0, price, both=False, random_eta=False) for price in PRICES]
    else:
        tried = [rewarded(seed, price, 0.0, both=True, random_eta=True) for price in PRICES]
    return max(tried, key=lambda found: found["true reward"])


R0 = Check(
    row=162,
    name="regularized-reward-maximization",
    claim="Near its pretrained weights, with noise drawn anew and a second reward, a generator that learns from "
    "rewards alone keeps a true reward within 5 % of one that is anchored by distillation, each at its best price; "
    "plain ascent gets less.",
    arms={
        "reward alone": lambda seed: rewarded(seed, 0.0, 0.0, both=False, random_eta=False),
        "reward and distillation": lambda seed: at_its_best(seed, anchored=True),
        "R0": lambda seed: at_its_best(seed, anchored=False),
    },
    holds=_as_good_as_anchored,
    seeds=3,
)
