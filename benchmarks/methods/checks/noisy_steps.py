"""Checks of policy gradient on the noisy steps of a flow: noise in a window, guidance, and rewards of artefacts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.flows import STEPS, Velocity, ascend, ring, taught
from benchmarks.methods.worlds.scores import grpo
from learners.flows.sampler import guided_velocity, sample
from learners.flows.steps import dual_advantage, noise_window
from rewards.columns import Column
from rewards.views.layout import Layout
from rewards.views.view import Config, RewardView

GROUPS, MEMBERS, ETA = 8, 16, 0.7


def grouped(scores: Tensor) -> Tensor:
    """Advantages within groups `[N, 1]` by the plain view."""
    layout = Layout.of([1] * (GROUPS * MEMBERS), torch.arange(GROUPS).repeat_interleave(MEMBERS).numpy())
    found = grpo().apply({"score": Column.full(scores.numpy())}, layout).advantage
    assert found is not None
    return torch.as_tensor(found.values)[:, None]


# --- 195: noise in a window ---


def towards(points: Tensor, axis: int) -> Tensor:
    """How far points of the ring lie along an axis, −1 to 1; what is off the ring has less, and far off nothing."""
    size = points.norm(dim=1)
    found: Tensor = points[:, axis] / size.clamp_min(1e-6) * torch.exp(-(size - 2).square())
    return found


TARGET = 0.6


def fast(seed: int, width: int, weights: tuple[float, float], updates: int = 60) -> Mapping[str, float]:
    """Two rewards after GRPO on a window of noisy steps.

    Args:
        seed: of everything.
        width: steps with noise.
        weights: of the two rewards.
        updates: most of them; what a target takes is counted on the way.
    """
    flow, generator = taught(seed), torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(flow.parameters(), 1e-3)
    spent, reached = 0, 0.0
    aim = [w > 0 for w in weights]
    for _ in range(updates):
        window = noise_window(STEPS, width, generator)
        path = sample(flow, torch.randn(GROUPS * MEMBERS, 2), STEPS, eta=ETA, window=window)
        points = path.states[:, -1]
        rewards = torch.stack([towards(points, 1), towards(points, 0)], 1)
        mean = float(rewards[:, aim].mean())
        if not reached and mean >= TARGET:
            reached = float(spent)
        ascend(flow, optimiser, path, grouped(rewards @ torch.tensor(weights)))
        spent += 2 * width  # passes with gradient of each sample: two epochs over the window
    made = sample(flow, torch.randn(2000, 2), STEPS).states[:, -1]
    return {
        "up": float(towards(made, 1).mean()),
        "right": float(towards(made, 0).mean()),
        "passes to the target": reached or float(spent),
    }


def _cheaper_and_both(found: Found) -> bool:
    window, whole = "both, window of 2", "both, all 10"
    return (
        found.below(window, whole, "passes to the target")
        and found.mean(window, "passes to the target") < found.mean(whole, "passes to the target") / 1.5
        and found.interval(window, "up")[0] > 0.2
        and found.interval(window, "right")[0] > 0.2
        and found.above(window, "up alone, window of 2", "right")
    )


FAST_GRPO = Check(
    row=195,
    name="fast-grpo-hybrid-ode-sde",
    claim="With noise in a window of two of ten steps, two rewards come to 0.6 after fewer passes with gradient than "
    "with noise in all steps, by more than 1.5 times; with both rewards both rise, and the second ends higher than "
    "where only the first is rewarded.",
    arms={
        "both, all 10": lambda seed: fast(seed, STEPS, (0.5, 0.5)),
        "both, window of 2": lambda seed: fast(seed, 2, (0.5, 0.5)),
        "up alone, window of 2": lambda seed: fast(seed, 2, (1.0, 0.0)),
    },
    holds=_cheaper_and_both,
    units={"passes to the target": "passes a sample"},
)


# --- 34: guidance by a process reward model ---


class Noisy(nn.Module):
    """What a noisy state is worth: a network of x and σ, fitted to the reward of the clean point."""

    def __init__(self, seed: int) -> None:
        """Random weights, from `seed`."""
        super().__init__()
        torch.manual_seed(seed)
        self.body = nn.Sequential(nn.Linear(3, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 1))

    def forward(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        """Worth `[N]`."""
        found: Tensor = self.body(torch.cat([x, torch.as_tensor(sigma, dtype=x.dtype).expand(len(x), 1)], 1))[:, 0]
        return found

    def slope(self, x: Tensor, sigma: float) -> Tensor:
        """Its gradient in x `[N, d]`."""
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            return torch.autograd.grad(self(leaf, sigma).sum(), leaf)[0]


def process_model(seed: int, reward: Callable[[Tensor], Tensor]) -> Noisy:
    """A process reward model of noisy states of the ring."""
    model = Noisy(seed)
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(600):
        clean, sigma = ring(256)[0], torch.rand(256, 1)
        noisy = (1 - sigma) * clean + sigma * torch.randn_like(clean)
        loss = (model(noisy, sigma) - reward(clean)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model


def mode(points: Tensor) -> Tensor:
    """Likes points near the top of the ring."""
    return torch.exp(-(points - torch.tensor([0.0, 2.0])).square().sum(1))


def led(seed: int, arm: Literal["plain", "guided", "distilled"], updates: int = 60) -> Mapping[str, float]:
    """Updates to a target reward, and the reward without guidance in the end.

    Args:
        seed: of everything.
        arm: without guidance and process rewards, with both, or with both and a distillation at the end.
        updates: most of them.
    """
    flow, model = taught(seed), process_model(seed, mode)
    optimiser = torch.optim.Adam(flow.parameters(), 1e-3)
    groups = torch.arange(GROUPS).repeat_interleave(MEMBERS)
    guided = arm != "plain"
    eta, strength = ETA, 0.05
    reached, rewards = float(updates), torch.zeros(1)
    guide, pull = (model.slope, strength) if guided else (None, 0.0)
    for update in range(updates):
        path = sample(flow, torch.randn(GROUPS * MEMBERS, 2), STEPS, eta=eta, guide=guide, strength=pull)
        rewards = mode(path.states[:, -1])
        if reached == updates and float(rewards.mean()) >= 0.4:
            reached = float(update)
        advantage = grouped(rewards)
        if guided:
            with torch.no_grad():
                scores = torch.stack([model(path.states[:, k + 1], 1 - (k + 1) / STEPS) for k in range(STEPS)], 1)
            advantage = dual_advantage(scores, rewards, groups)
        ascend(flow, optimiser, path, advantage)
    if arm == "distilled":
        distil(flow, model, strength)
    alone = mode(sample(flow, torch.randn(2000, 2), STEPS).states[:, -1])
    with_guide = mode(sample(flow, torch.randn(2000, 2), STEPS, guide=guide, strength=pull).states[:, -1])
    return {"updates": reached, "reward alone": float(alone.mean()), "reward as trained": float(with_guide.mean())}


def distil(flow: Velocity, model: Noisy, strength: float, steps: int = 200) -> None:
    """Teach the flow the drift that guidance gave it, in place, on its own guided paths."""
    teacher = Velocity(0)
    teacher.load_state_dict(flow.state_dict())
    optimiser = torch.optim.Adam(flow.parameters(), 5e-4)
    for _ in range(steps):
        states = sample(teacher, torch.randn(64, 2), STEPS, guide=model.slope, strength=strength).states
        loss = torch.zeros(())
        for k in range(STEPS):
            x, sigma = states[:, k], 1 - k / STEPS
            wanted = guided_velocity(teacher(x, sigma), model.slope(x, sigma), strength, STEPS)
            loss = loss + (flow(x, sigma) - wanted.detach()).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def _sooner_and_kept(found: Found) -> bool:
    faster = found.mean("undirected", "updates") >= 1.3 * found.mean("guided", "updates")
    kept = found.difference("guided, distilled", "guided", "reward as trained").low or 0.0
    lower = (found.difference("guided", "undirected", "reward as trained").high or 0.0) < 0
    return faster and found.below("guided", "undirected", "updates") and not lower and kept > -0.1


EUPHONIUM = Check(
    row=34,
    name="reward-gradient-guided-flow-sde",
    claim="With guidance by a process reward model and process advantages beside those of the outcome, a reward of 0.4 "
    "is reached in at most 1/1.3 of the updates that the undirected equation takes, and after 60 the reward is no "
    "lower; distilled, the flow alone is within 0.1 of what it had with guidance.",
    arms={
        "undirected": lambda seed: led(seed, "plain"),
        "guided": lambda seed: led(seed, "guided"),
        "guided, distilled": lambda seed: led(seed, "distilled"),
    },
    holds=_sooner_and_kept,
)


# --- 61: a reward of being free of artefacts ---

LABELS, PRICE = 200, 1.0


def first_proxy(points: Tensor) -> Tensor:
    """Likes the top of the ring, and even better a place far above it, where there is no data."""
    return points[:, 1] / 2 + 2 * torch.exp(-(points - torch.tensor([0.0, 4.0])).square().sum(1))


def second_proxy(points: Tensor) -> Tensor:
    """Likes the top of the ring, and another place without data."""
    return points[:, 1] / 2 + 2 * torch.exp(-(points - torch.tensor([2.5, 3.0])).square().sum(1))


def valid(points: Tensor) -> Tensor:
    """Whether points are on the ring, bool `[N]`."""
    found: Tensor = (points.norm(dim=1) - 2).abs() < 0.4
    return found


def artefact_model(seed: int) -> tuple[nn.Module, float]:
    """A classifier of 200 labelled points, half of them off the ring, and its AUC on others."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(2, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 1))
    optimiser = torch.optim.Adam(model.parameters(), 3e-3, weight_decay=1e-4)

    def labelled(number: int) -> tuple[Tensor, Tensor]:
        points = torch.cat([ring(number // 2)[0], 10 * torch.rand(number // 2, 2) - 5])
        return points, valid(points).float()

    points, label = labelled(LABELS)
    for _ in range(400):
        loss = nn.functional.binary_cross_entropy_with_logits(model(points)[:, 0], label)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        others, truth = labelled(1000)
        score = model(others)[:, 0]
        pairs = score[truth == 1][:, None] - score[truth == 0][None]
    return model, float((pairs > 0).float().mean())


def hacked(seed: int, names: tuple[str, ...], updates: int = 80) -> Mapping[str, float]:
    """What a flow makes after GRPO on proxies, with or without the classifier.

    Args:
        seed: of everything.
        names: columns that are summed: `first`, `second`, and `clean`, the classifier's probability.
        updates: of GRPO.
    """
    flow, (model, auc) = taught(seed), artefact_model(seed)
    optimiser = torch.optim.Adam(flow.parameters(), 1e-3)
    share = 1 / max(1, len([name for name in names if name != "clean"]))
    coefficients = {name: PRICE if name == "clean" else share for name in names}
    parts = [
        {"part": "weighted_sum", "coefficients": coefficients},
        {"part": "group_relative", "preset": "grpo", "of": "reward"},
    ]
    view = RewardView(
        Config.model_validate({"name": "artefacts", "components": dict.fromkeys(names, "episode"), "parts": parts})
    )
    layout = Layout.of([1] * (GROUPS * MEMBERS), torch.arange(GROUPS).repeat_interleave(MEMBERS).numpy())
    for _ in range(updates):
        path = sample(flow, torch.randn(GROUPS * MEMBERS, 2), STEPS, eta=ETA)
        points = path.states[:, -1]
        with torch.no_grad():
            clean = model(points)[:, 0].sigmoid()
        shown = {"first": first_proxy(points), "second": second_proxy(points), "clean": clean}
        found = view.apply({name: Column.full(shown[name].numpy()) for name in names}, layout).advantage
        assert found is not None
        ascend(flow, optimiser, path, torch.as_tensor(found.values)[:, None])
    made = sample(flow, torch.randn(2000, 2), STEPS).states[:, -1]
    good = valid(made)
    return {
        "artefacts": float((~good).float().mean()),
        "first proxy": float(first_proxy(made).mean()),
        "wanted": float((made[:, 1] / 2 * good).mean()),
        "AUC": auc,
    }


def _fewer_artefacts(found: Found) -> bool:
    one, two, mended = "one proxy", "two proxies", "one proxy and artefact reward"
    return (
        found.below(two, one, "artefacts")
        and found.below(mended, two, "artefacts")
        and found.above(mended, "as taught", "wanted")
        and found.interval(mended, "AUC")[0] > 0.95
    )


ARTIFACT = Check(
    row=61,
    name="artifact-regularised-reward",
    claim="With a proxy that likes a place without data, a flow makes more artefacts than with the mean of two, and "
    "with the mean of two more than with one proxy and a classifier of 200 labelled points (AUC above 0.95); with "
    "this it still makes more of what is wanted than it was taught.",
    arms={
        "as taught": lambda seed: hacked(seed, ("first",), updates=0),
        "one proxy": lambda seed: hacked(seed, ("first",)),
        "two proxies": lambda seed: hacked(seed, ("first", "second")),
        "one proxy and artefact reward": lambda seed: hacked(seed, ("first", "clean")),
    },
    holds=_fewer_artefacts,
    units={"artefacts": "share of points"},
)
