"""A language small enough to learn in seconds: a recurrent policy over a few tokens, trained with a reward view.

A prompt is a number of tokens, a completion at most `length` tokens that ends with END. Everything is batched; a step
of training takes some ten milliseconds on one core. Whoever writes a check brings what is judged, and the view.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from learners.language.clipping import Clip
from rewards.columns import Column
from rewards.views.layout import Layout
from rewards.views.view import RewardView

END = 0


class TinyPolicy(nn.Module):
    """A gated recurrent network that writes tokens after a prompt."""

    def __init__(self, vocabulary: int, seed: int, hidden: int = 48) -> None:
        """Random weights, from `seed`."""
        super().__init__()
        torch.manual_seed(seed)
        self.vocabulary = vocabulary
        self.embed = nn.Embedding(vocabulary, hidden)
        self.cell = nn.GRU(hidden, hidden, batch_first=True)
        self.head = nn.Linear(hidden, vocabulary)

    def logits(self, prompts: Tensor, completions: Tensor) -> Tensor:
        """Next-token logits at each place of the completions `[B, T, V]`, after prompts `[B, P]`."""
        inputs = torch.cat([prompts, completions[:, :-1]], dim=1)
        found, _ = self.cell(self.embed(inputs))
        logits: Tensor = self.head(found[:, prompts.shape[1] - 1 :])
        return logits

    def log_probs(self, prompts: Tensor, completions: Tensor) -> Tensor:
        """Log-probability of each token of the completions `[B, T]`."""
        logits = self.logits(prompts, completions).log_softmax(-1)
        return logits.gather(-1, completions[..., None])[..., 0]

    @torch.no_grad()
    def write(self, prompts: Tensor, length: int, generator: torch.Generator, greedy: bool = False) -> Tensor:
        """Completions `[B, length]`; behind the first END all is END."""
        found, state = self.cell(self.embed(prompts))
        ended = torch.zeros(len(prompts), dtype=torch.bool)
        tokens = []
        for _ in range(length):
            logits = self.head(found[:, -1])
            if greedy:
                token = logits.argmax(-1)
            else:
                token = torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]
            token = torch.where(ended, END, token)
            ended |= token == END
            tokens.append(token)
            found, state = self.cell(self.embed(token[:, None]), state)
        return torch.stack(tokens, dim=1)


def mask_of(completions: Tensor) -> Tensor:
    """Which tokens count: all up to the first END, and that `[B, T]`, bool."""
    before = F.pad((completions == END).long().cumsum(-1), (1, 0))[:, :-1]
    return before == 0


@dataclass(frozen=True)
class Writing:
    """Completions of a batch, with what a reward may ask for.

    Attributes:
        prompts: `[B, P]`.
        completions: `[B, T]`.
        mask: `[B, T]`, tokens that count, END included.
        group: of each completion, the number of its prompt `[B]`.
        log_probs: of the policy that wrote them `[B, T]`.
        policy: that policy.
    """

    prompts: NDArray[np.int64]
    completions: NDArray[np.int64]
    mask: NDArray[np.bool_]
    group: NDArray[np.int64]
    log_probs: NDArray[np.float32]
    policy: TinyPolicy

    @property
    def length(self) -> NDArray[np.int64]:
        """Tokens before END `[B]`."""
        lengths: NDArray[np.int64] = (self.mask & (self.completions != END)).sum(-1)
        return lengths

    @property
    def layout(self) -> Layout:
        """Each completion an episode of one step."""
        return Layout.of(steps=np.ones(len(self.group)), group=self.group, tokens=self.mask.sum(-1))

    def tokens(self, values: NDArray[np.floating]) -> NDArray[np.float32]:
        """Values `[B, T]` as a flat column of tokens."""
        return values[self.mask].astype(np.float32)


Prompts = Callable[[np.random.Generator, int], NDArray[np.int64]]
"""From a random generator and a number, that many prompts `[n, P]`."""
Components = Callable[[Writing], Mapping[str, Column]]
"""What is judged: columns of tokens, steps, episodes or groups, as the view asks for them."""


def imitate(
    policy: TinyPolicy, prompts: NDArray[np.int64], completions: NDArray[np.int64], steps: int, rate: float = 5e-3
) -> None:
    """Supervised training on completions `[N, T]`, in place, on all of them at each step."""
    optimiser = torch.optim.Adam(policy.parameters(), rate)
    asked, wanted = torch.as_tensor(prompts), torch.as_tensor(completions)
    mask = mask_of(wanted).float()
    for _ in range(steps):
        loss = -(policy.log_probs(asked, wanted) * mask).sum() / mask.sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def reinforce(
    policy: TinyPolicy,
    prompts: Prompts,
    components: Components,
    view: RewardView,
    seed: int,
    updates: int = 200,
    groups: int = 16,
    members: int = 8,
    length: int = 8,
    rate: float = 3e-3,
    entropy: float = 0.0,
    on_update: Callable[[int, Writing], None] | None = None,
    steps: int = 1,
) -> TinyPolicy:
    """Policy gradient with the advantage of a view; the policy is trained in place.

    With one step a batch it is on policy; with several, PPO's clip bounds what the later ones do.

    Args:
        policy: who writes.
        prompts: what is asked.
        components: what is judged of what was written.
        view: must write a column `advantage`, of tokens or of what is coarser.
        seed: of prompts and sampling.
        updates: gradient steps.
        groups: prompts an update.
        members: completions a prompt.
        length: most tokens of a completion.
        rate: of Adam.
        entropy: coefficient of an entropy bonus.
        on_update: told of each batch.
        steps: of gradient a batch.
    """
    random, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(policy.parameters(), rate)
    for update in range(updates):
        writing = write(policy, prompts(random, groups), members, length, generator)
        if on_update is not None:
            on_update(update, writing)
        result = view.apply(components(writing), writing.layout)
        if result.advantage is None:
            raise ValueError(f"view {view.name!r} writes no advantage; let its last part have `to: advantage`")
        level, column = result.levels["advantage"], result.advantage
        index = writing.layout.owner("token", level)
        advantage = torch.as_tensor(np.where(column.valid, column.values, 0.0)[index])
        counts = torch.as_tensor(column.valid[index].astype(np.float32))
        asked, written = torch.as_tensor(writing.prompts), torch.as_tensor(writing.completions)
        mask, before = torch.as_tensor(writing.mask), torch.as_tensor(writing.log_probs)
        for _ in range(steps):
            logits = policy.logits(asked, written).log_softmax(-1)
            chosen = logits.gather(-1, written[..., None])[..., 0][mask]
            if steps == 1:
                losses = -chosen * advantage
            else:
                losses = Clip().surrogate((chosen - before[mask]).exp(), advantage, chosen).loss
            loss = (losses * counts).sum() / counts.sum().clamp(min=1)
            if entropy:
                loss = loss + entropy * (logits.exp() * logits).sum(-1)[mask].mean()
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
            optimiser.step()
    return policy


def write(
    policy: TinyPolicy,
    prompts: NDArray[np.int64],
    members: int,
    length: int,
    generator: torch.Generator,
    greedy: bool = False,
) -> Writing:
    """`members` completions of each prompt `[G, P]`."""
    asked = np.repeat(prompts, members, axis=0)
    group = np.repeat(np.arange(len(prompts)), members)
    tokens = torch.as_tensor(asked)
    completions = policy.write(tokens, length, generator, greedy)
    mask = mask_of(completions)
    with torch.no_grad():
        log_probs = policy.log_probs(tokens, completions)
    return Writing(asked, completions.numpy(), mask.numpy(), group, log_probs.numpy(), policy)
