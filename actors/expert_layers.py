"""Two mixtures of experts side by side: one chooses experts for each token, the other for each task.

Of E experts the k with the highest gate logits are heard, weighed by the softmax of these k logits:

    y = Σ_e w_e(z) FFN_e(x),    w = softmax over the k largest of U z + ε (softplus(V z) + 0.01)

ε is normal in training, and else 0. Tokens are routed by themselves, z = x_t; tasks by what has been seen so far, z_t =
mean of x_1 … x_t. Each gives half of the output. The task's router has a copy that follows it slowly, and gives the
keys of a contrast.

Sources: Outrageously Large Neural Networks (Shazeer et al. 2017) for the noisy gate and the load; T2MIR,
Mixture-of-Experts Meets In-Context Reinforcement Learning (Wu et al. 2025). That tasks are routed by the mean so far,
so that nothing is read of what is still to come, and that gates are linear is chosen here.
"""

from __future__ import annotations

import copy
import math
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Routing(NamedTuple):
    """How inputs are routed, `[…, E]` each.

    Attributes:
        weights: of each expert; 0 of all but k of them, 1 in sum.
        load: the chance that an expert is among the k, were the noise drawn again; without noise whether it is.
        logits: of the gate, without noise.
    """

    weights: Tensor
    load: Tensor
    logits: Tensor


class NoisyTopK(nn.Module):
    """A gate that hears the k best of E experts."""

    def __init__(self, inputs: int, experts: int, heard: int) -> None:
        """Random weights of the gate, from torch's global generator, and noise of the same size for all.

        Raises:
            ValueError: fewer than one expert heard, or more than there are.
        """
        super().__init__()
        if not 1 <= heard <= experts:
            raise ValueError(f"got {heard} of {experts} experts to be heard; expected at least one, at most all")
        self.heard = heard
        self.gate = nn.Linear(inputs, experts, bias=False)
        self.noise = nn.Linear(inputs, experts, bias=False)
        nn.init.zeros_(self.noise.weight)

    def forward(self, inputs: Tensor) -> Routing:
        """Route inputs `[…, D]`; with noise in training alone, from torch's global generator."""
        logits = self.gate(inputs)
        experts = logits.shape[-1]
        spread = nn.functional.softplus(self.noise(inputs)) + 1e-2
        noisy = logits + spread * torch.randn_like(logits) if self.training else logits
        best, chosen = noisy.topk(min(self.heard + 1, experts), -1)
        kept = chosen[..., : self.heard]
        weights = torch.zeros_like(logits).scatter(-1, kept, best[..., : self.heard].softmax(-1))
        among = torch.zeros_like(logits).scatter(-1, kept, 1.0)
        if not self.training or self.heard == experts:
            return Routing(weights, among, logits)
        # What an expert has to beat: the best one not heard, or the last one heard where it is not heard itself.
        bar = torch.where(among > 0, best[..., self.heard :], best[..., self.heard - 1 : self.heard])
        return Routing(weights, torch.special.ndtr((logits - bar) / spread), logits)


class Experts(nn.Module):
    """E networks of one hidden layer of the same shape."""

    def __init__(self, inputs: int, hidden: int, outputs: int, experts: int) -> None:
        """Random weights as those of `nn.Linear`, from torch's global generator."""
        super().__init__()
        self.inner, self.inner_bias = _uniform(inputs, experts, inputs, hidden), _uniform(inputs, experts, 1, hidden)
        self.outer, self.outer_bias = _uniform(hidden, experts, hidden, outputs), _uniform(hidden, experts, 1, outputs)

    def forward(self, inputs: Tensor, weights: Tensor) -> Tensor:
        """Σ w_e FFN_e(x) `[…, O]`, of x `[…, D]` and w `[…, E]`; where w is 0 nothing is computed."""
        flat, of_flat = inputs.reshape(-1, inputs.shape[-1]), weights.reshape(-1, len(self.inner))
        found = flat.new_zeros(len(flat), self.outer.shape[-1])
        for expert, weight in enumerate(of_flat.unbind(-1)):
            rows = weight.nonzero()[:, 0]
            hidden = torch.addmm(self.inner_bias[expert], flat.index_select(0, rows), self.inner[expert])
            made = torch.addmm(self.outer_bias[expert], nn.functional.leaky_relu(hidden), self.outer[expert])
            found = found.index_add(0, rows, weight.index_select(0, rows)[:, None] * made)
        return found.reshape(*inputs.shape[:-1], -1)


class Branches(NamedTuple):
    """What two mixtures give.

    Attributes:
        outputs: of both, one behind the other `[B, T, O]`.
        token: routing of tokens `[B, T, E]`.
        task: routing of tasks, by what stands up to each token `[B, T, E']`.
        key: gate logits of the task's router's slow copy `[B, T, E']`, through which no gradient flows.
    """

    outputs: Tensor
    token: Routing
    task: Routing
    key: Tensor


class TokenAndTask(nn.Module):
    """The layer; see the module."""

    def __init__(self, size: int, hidden: int, token: int = 6, task: int = 12, heard: int = 2) -> None:
        """Layer of `token` and `task` experts, from torch's global generator.

        Args:
            size: of inputs and outputs; even.
            hidden: of each expert.
            token: how many experts there are for tokens.
            task: and for tasks.
            heard: k, of both.

        Raises:
            ValueError: an odd size, or a number of experts that cannot be heard.
        """
        super().__init__()
        if size % 2:
            raise ValueError(f"got size={size}; expected an even one, as each mixture gives half of it")
        self.token_router, self.task_router = NoisyTopK(size, token, heard), NoisyTopK(size, task, heard)
        self.key_router = copy.deepcopy(self.task_router).requires_grad_(False)
        self.token_experts = Experts(size, hidden, size // 2, token)
        self.task_experts = Experts(size, hidden, size // 2, task)

    def forward(self, inputs: Tensor) -> Branches:
        """Both mixtures of inputs `[B, T, size]`."""
        steps = torch.arange(1, inputs.shape[1] + 1, device=inputs.device)
        so_far = inputs.cumsum(1) / steps[:, None]
        token, task = self.token_router(inputs), self.task_router(so_far)
        halves = self.token_experts(inputs, token.weights), self.task_experts(inputs, task.weights)
        return Branches(torch.cat(halves, -1), token, task, self.key_router.gate(so_far.detach()))


def _uniform(fan_in: int, *shape: int) -> nn.Parameter:
    """Numbers between ± 1 / √fan_in."""
    return nn.Parameter((2 * torch.rand(shape) - 1) / math.sqrt(fan_in))
