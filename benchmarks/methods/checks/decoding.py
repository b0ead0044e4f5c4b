"""Check of decoding by values: brief answers on a topic, from a policy that stays as long-winded as it was taught."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, partial
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from actors.search.tilting import augmented_logits
from benchmarks.methods.checks.lengths import long_winded
from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds import attributes
from benchmarks.methods.worlds.language import END, TinyPolicy, Writing, mask_of, reinforce, write
from learners.returns import lambda_returns
from rewards.columns import Column
from rewards.views.view import Config, RewardView

SAMPLES, STRENGTH, BEST_OF = 4096, 10.0, 64
"""Answers that are learnt from, β of the check, and N of best-of-N."""
GRPO = [
    {"part": "weighted_sum", "coefficients": {"gold": 1.0}},
    {"part": "group_relative", "preset": "grpo", "of": "reward"},
]

base = cache(long_winded)


def judged(writing: Writing) -> NDArray[np.float32]:
    """The three rewards `[B, 3]`: what is truly wanted, coverage, and brevity."""
    brevity = -writing.length / attributes.LENGTH
    return np.stack([attributes.gold(writing), attributes.coverage(writing), brevity], -1).astype(np.float32)


class TinyValue(nn.Module):
    """What each reward will be, from a prompt and the tokens so far: a network of half the policy's width."""

    def __init__(self, seed: int, hidden: int = 24) -> None:
        """Random weights, from `seed`."""
        super().__init__()
        torch.manual_seed(seed)
        self.embed = nn.Embedding(attributes.VOCABULARY, hidden)
        self.cell = nn.GRU(hidden, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 3)

    def forward(self, prompts: Tensor, completions: Tensor) -> Tensor:
        """Values before the first token, and behind each `[B, T + 1, 3]`."""
        found, _ = self.cell(self.embed(torch.cat([prompts, completions], 1)))
        values: Tensor = self.head(found[:, prompts.shape[1] - 1 :])
        return values

    def read(self, tokens: Tensor, memory: Tensor | None = None) -> Tensor:
        """Memory after tokens `[B, T]`."""
        found: Tensor = self.cell(self.embed(tokens), memory)[1]
        return found

    def ahead(self, memory: Tensor, tokens: Tensor) -> Tensor:
        """Values with each of some next tokens `[B, k, 3]`."""
        rows, width = tokens.shape
        after = self.read(tokens.reshape(-1, 1), memory.repeat_interleave(width, 1))
        values: Tensor = self.head(after[0]).view(rows, width, 3)
        return values


@cache
def valued(seed: int, steps: int = 150, batch: int = 256) -> TinyValue:
    """Values of the base policy by TD(0.95), from its own answers alone."""
    generator, random = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    writing = write(base(seed), attributes.prompts(random, SAMPLES), 1, attributes.LENGTH, generator)
    asked, made = torch.as_tensor(writing.prompts), torch.as_tensor(writing.completions)
    rewards = torch.as_tensor(judged(writing))
    length = torch.as_tensor(writing.mask).sum(-1)
    place = torch.arange(attributes.LENGTH + 1)[:, None]
    values = TinyValue(seed)
    optimiser = torch.optim.Adam(values.parameters(), 5e-3)
    for _ in range(steps):
        rows = torch.randint(SAMPLES, (batch,), generator=generator)
        found = values(asked[rows], made[rows]).transpose(0, 1)  # [T + 1, B, 3]; a text is paid for behind its end
        mask, end = place <= length[rows], place == length[rows]
        ahead = torch.cat([found.detach(), torch.zeros(1, batch, 3)])
        targets = [
            lambda_returns(end * rewards[rows, k], (~end).float(), ahead[..., k], mask, lambda_=0.95) for k in range(3)
        ]
        loss = ((found - torch.stack(targets, -1)).square().sum(-1) * mask).sum() / mask.sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return values


@torch.no_grad()
def tilted(
    policy: TinyPolicy,
    values: TinyValue,
    prompts: NDArray[np.int64],
    members: int,
    strengths: Sequence[float],
    generator: torch.Generator,
) -> tuple[Writing, float]:
    """Answers by value augmented sampling, and their KL to the base policy."""
    asked = np.repeat(prompts, members, axis=0)
    tokens, divergence = torch.as_tensor(asked), torch.zeros(len(asked))
    found, state = policy.cell(policy.embed(tokens))
    memory, ended, made = values.read(tokens), torch.zeros(len(asked), dtype=torch.bool), []
    for _ in range(attributes.LENGTH):
        logits = policy.head(found[:, -1])
        own = augmented_logits(logits, partial(values.ahead, memory), strengths).log_softmax(-1)
        divergence += torch.where(ended, 0.0, (own.exp() * (own - logits.log_softmax(-1))).sum(-1))
        token = torch.where(ended, END, torch.multinomial(own.exp(), 1, generator=generator)[:, 0])
        ended |= token == END
        made.append(token)
        found, state = policy.cell(policy.embed(token[:, None]), state)
        memory = values.read(token[:, None], memory)
    completions = torch.stack(made, 1)
    group = np.repeat(np.arange(len(prompts)), members)
    mask = mask_of(completions).numpy()
    unknown = np.full(mask.shape, np.nan, np.float32)  # log-probabilities, which nobody asks for
    return Writing(asked, completions.numpy(), mask, group, unknown, policy), float(divergence.mean())


def told(writing: Writing, divergence: float, tokens: float) -> dict[str, float]:
    """What is measured of answers; tokens are those that the base policy, or the trained one, wrote for each."""
    gold, coverage, brevity = judged(writing).mean(0).tolist()
    return {"gold": gold, "coverage": coverage, "brevity": brevity, "KL": divergence, "tokens": tokens}


def held_out(seed: int) -> NDArray[np.int64]:
    """Prompts that nothing was learnt from."""
    return attributes.prompts(np.random.default_rng(9000 + seed), 200)


@cache
def sampled(seed: int, *strengths: float) -> Mapping[str, float]:
    """Value augmented sampling with a strength for each reward."""
    generator = torch.Generator().manual_seed(seed)
    writing, divergence = tilted(base(seed), valued(seed), held_out(seed), 4, strengths, generator)
    return told(writing, divergence, float(writing.mask.sum(-1).mean()))


def covering(strength: float, seed: int) -> Mapping[str, float]:
    """The same, with so much strength for coverage and 10 for brevity."""
    return sampled(seed, 0.0, strength, 10.0)


def best_of(seed: int) -> Mapping[str, float]:
    """The best of many answers of the base policy, by the reward itself."""
    prompts, generator = held_out(seed), torch.Generator().manual_seed(seed)
    writing = write(base(seed), prompts, BEST_OF, attributes.LENGTH, generator)
    best = attributes.gold(writing).reshape(-1, BEST_OF).argmax(1) + BEST_OF * np.arange(len(prompts))
    tokens = float(writing.mask.sum(-1).mean()) * BEST_OF
    kept = Writing(
        writing.prompts[best],
        writing.completions[best],
        writing.mask[best],
        np.arange(len(best)),
        writing.log_probs[best],
        writing.policy,
    )
    return told(kept, float(np.log(BEST_OF) - (BEST_OF - 1) / BEST_OF), tokens)


def trained(seed: int, members: int = 8, groups: int = 16) -> Mapping[str, float]:
    """Policy gradient from as many answers, told where its KL to the base policy is that of the tilted one."""
    first, curve = base(seed), list[dict[str, float]]()
    policy = TinyPolicy(attributes.VOCABULARY, seed)
    policy.load_state_dict(first.state_dict())

    @torch.no_grad()
    def look() -> None:
        writing = write(policy, held_out(seed), 4, attributes.LENGTH, torch.Generator().manual_seed(seed))
        asked, made = torch.as_tensor(writing.prompts), torch.as_tensor(writing.completions)
        own, other = (model.logits(asked, made).log_softmax(-1) for model in (policy, first))
        divergence = ((own.exp() * (own - other)).sum(-1) * torch.as_tensor(writing.mask)).sum(-1)
        curve.append(told(writing, float(divergence.mean()), float(writing.mask.sum(-1).mean())))

    view = {"name": "gold", "components": {"gold": "episode"}, "parts": GRPO}
    reinforce(
        policy,
        attributes.prompts,
        lambda writing: {"gold": Column.full(attributes.gold(writing))},
        RewardView(Config.model_validate(view)),
        seed,
        updates=SAMPLES // (members * groups),
        groups=groups,
        members=members,
        length=attributes.LENGTH,
        on_update=lambda update, _: look() if update % 4 == 0 else None,
    )
    look()
    curve.sort(key=lambda point: point["KL"])
    level = min(sampled(seed, STRENGTH, 0.0, 0.0)["KL"], curve[-1]["KL"])
    places = [point["KL"] for point in curve]
    return {name: float(np.interp(level, places, [point[name] for point in curve])) for name in curve[0]}


def _more_at_equal_kl(found: Found) -> bool:
    """Above policy gradient at equal KL, near best-of-64, and each step of one strength raises its reward."""
    composed = [f"coverage by {strength}, brevity by 10" for strength in (0, 5, 10, 20)]
    return (
        found.above("VAS", "policy gradient at that KL", "gold")
        and found.mean("VAS", "gold") > 0.9 * found.mean("best of 64", "gold")
        and all(found.above(more, less, "coverage") for less, more in pairwise(composed))
    )


VAS = Check(
    row=114,
    name="value-augmented-sampling",
    claim="From 4096 answers of a frozen policy, tilting by their values brings more reward than policy gradient from "
    "as many answers at equal KL, and nine tenths of best-of-64 with one answer each; of two rewards, each step up of "
    "the strength of one raises that one.",
    arms={
        "base policy": lambda seed: sampled(seed, 0.0, 0.0, 0.0),
        "policy gradient at that KL": trained,
        "best of 64": best_of,
        "VAS": lambda seed: sampled(seed, STRENGTH, 0.0, 0.0),
        **{f"coverage by {strength}, brevity by 10": partial(covering, float(strength)) for strength in (0, 5, 10, 20)},
    },
    holds=_more_at_equal_kl,
    units={"KL": "nats an answer", "tokens": "written for an answer"},
)
