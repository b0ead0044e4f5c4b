"""Influence of training examples on what a model says, by EK-FAC: which examples made it so, without training anew.

    I_f(z) = −∇f(θ)ᵀ (G + λ)⁻¹ ∇L(z, θ)

is how f would move if z counted for more; leaving one of N examples out moves f by about −I / N. G, the Gauss-Newton
matrix, is taken apart by linear layers, with a the input of a layer and s the gradient at its output:

    A = E[a aᵀ] = Q_A Λ_A Q_Aᵀ     S = E[s sᵀ] = Q_S Λ_S Q_Sᵀ     Λ_ij = E[(Q_Sᵀ ∇_W Q_A)²_ij]
    (G + λ)⁻¹ V ≈ Q_S [(Q_Sᵀ V Q_A) / (Λ + λ)] Q_Aᵀ               λ = damping · mean Λ + decay

The expectations are over labels that are drawn from what the model itself predicts, not over those it was taught.

Source: Studying Large Language Model Generalization with Influence Functions (Grosse, Bae, Anil et al. 2023); EK-FAC is
of George et al. 2018. Gradients are held in full: low rank and filters of candidates, for large models, are not here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Layer(NamedTuple):
    """What a linear layer read, and how the loss of each example depends on what it gave.

    Attributes:
        inputs: a `[N, T, I]`, of T positions (tokens, or the answers of a pair); ends in ones where there is a bias.
        gradients: s `[N, T, O]`.
    """

    inputs: Tensor
    gradients: Tensor

    @property
    def weight_gradients(self) -> Tensor:
        """Gradient of each example's loss `[N, O, I]`; that of a bias is the last column."""
        return torch.einsum("nto,nti->noi", self.gradients, self.inputs)


class Curvature(NamedTuple):
    """G of a layer: eigenvectors in columns `[O, O]` and `[I, I]`, and Λ `[O, I]`."""

    outputs: Tensor
    inputs: Tensor
    values: Tensor

    def solve(self, gradients: Tensor, damping: float, decay: float = 0.0) -> Tensor:
        """(G + λ)⁻¹ of gradients `[Q, O, I]`; as of `influences`."""
        price = damping * self.values.mean() + decay
        turned = self.outputs.T @ gradients @ self.inputs / (self.values + price)
        return self.outputs @ turned @ self.inputs.T


def recorded(model: nn.Module, losses: Callable[[], Tensor]) -> dict[str, Layer]:
    """What each linear layer of a model read and is asked for, by the layer's name.

    Args:
        model: as it stands; its gradients are left alone.
        losses: calls the model, once or more, each time with the examples first `[N, …]`; gives their losses `[N]`.

    Raises:
        ValueError: no linear layer was called.
    """
    calls: dict[str, list[tuple[Tensor, Tensor]]] = {}

    def keep(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        return lambda _, given, made: calls.setdefault(name, []).append((given[0].detach(), made))

    linear = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    hooks = [module.register_forward_hook(keep(name)) for name, module in linear.items()]
    try:
        each = losses()
    finally:
        for hook in hooks:
            hook.remove()
    if not calls:
        raise ValueError(f"got {len(linear)} linear layers, none of which was called; expected one at least")
    made = [output for of in calls.values() for _, output in of]
    slopes = iter(torch.autograd.grad(each.sum(), made))
    found = {}
    for name, of in calls.items():
        count = len(each)
        read = torch.cat([given.reshape(count, -1, given.shape[-1]) for given, _ in of], 1)
        asked = torch.cat([next(slopes).reshape(count, -1, output.shape[-1]) for _, output in of], 1)
        if linear[name].bias is not None:
            read = torch.cat([read, read.new_ones(*read.shape[:-1], 1)], -1)
        found[name] = Layer(read, asked)
    return found


def curvature(layer: Layer) -> Curvature:
    """G of a layer, from examples whose labels the model drew itself.

    Raises:
        ValueError: shapes that do not fit, or no example.
    """
    a, s = layer
    if a.ndim != 3 or s.ndim != 3 or a.shape[:2] != s.shape[:2] or not a.numel():
        raise ValueError(f"got inputs {tuple(a.shape)} and gradients {tuple(s.shape)}; expected [N, T, I], [N, T, O]")
    outputs, inputs = (torch.linalg.eigh(torch.einsum("nti,ntj->ij", x, x) / x.shape[0])[1] for x in (s, a))
    values = (outputs.T @ layer.weight_gradients @ inputs).square().mean(0)
    return Curvature(outputs, inputs, values)


def influences(
    queries: Mapping[str, Tensor],
    training: Mapping[str, Tensor],
    curvatures: Mapping[str, Curvature],
    damping: float = 0.1,
    decay: float = 0.0,
) -> Tensor:
    """I of each training example on each query `[Q, N]`.

    Args:
        queries: by layer, gradients of what is asked about `[Q, O, I]`.
        training: by layer, gradients of the losses of the examples `[N, O, I]`.
        curvatures: by layer.
        damping: of λ, as a share of the mean of Λ, above 0; the larger, the more like a dot product of gradients.
        decay: what a penalty on the weights adds to λ: c where the loss has c/2 ‖θ‖² in it.

    Raises:
        ValueError: layers that differ, a damping that is not above 0, or a decay below 0.
    """
    if not queries.keys() == training.keys() == curvatures.keys() or not damping > 0 or not decay >= 0:
        raise ValueError(
            f"got layers {sorted(queries)}, {sorted(training)} and {sorted(curvatures)}, damping={damping} and "
            f"decay={decay}; expected the same layers, a damping above 0, and a decay of at least 0"
        )
    each = [
        torch.einsum("qoi,noi->qn", curvatures[name].solve(queries[name], damping, decay), training[name])
        for name in queries
    ]
    return -torch.stack(each).sum(0)
