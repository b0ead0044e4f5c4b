"""Attention over a row of roots and branches (`shared_prompts`), as one of the attention functions of transformers.

A model that takes its attention function from the registry of transformers is given ours by name. Called without
segments it does what `sdpa` does. The only file here that imports transformers.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import scaled_dot_product_attention

from learners.language.shared_prompts import Block, Segments, lay_out_shared

NAME = "shared_prompts"
_UNKNOWN = ("dropout", "softcap", "s_aux", "sliding_window", "position_bias")
"""What some models ask of an attention function, and this one does not do."""


class _Rectangle(torch.autograd.Function):
    """Tokens `[n, …]` to a rectangle `[S, W, …]`; whatever stands where it is filled up has no gradient."""

    @staticmethod
    def forward(ctx: Any, tokens: Tensor, at: Tensor, back: Tensor) -> Tensor:
        ctx.save_for_backward(back)
        return cast(Tensor, tokens.index_select(0, at.flatten()).unflatten(0, at.shape))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (back,) = ctx.saved_tensors
        return gradient.flatten(0, 1).index_select(0, back), None, None


class _Tokens(torch.autograd.Function):
    """The way back: a rectangle `[S, W, …]` to its tokens `[n, …]`."""

    @staticmethod
    def forward(ctx: Any, rectangle: Tensor, back: Tensor) -> Tensor:
        ctx.save_for_backward(back)
        ctx.shape = rectangle.shape
        return rectangle.flatten(0, 1).index_select(0, back)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (back,) = ctx.saved_tensors
        whole = gradient.new_zeros(ctx.shape[0] * ctx.shape[1], *ctx.shape[2:])
        return whole.index_copy_(0, back, gradient).view(ctx.shape), None


def _rectangle(tokens: Tensor, block: Block) -> Tensor:
    if block.full:
        return cast(Tensor, tokens.unflatten(0, block.at.shape))
    return cast(Tensor, cast(Any, _Rectangle).apply(tokens, block.at, block.back))


def _tokens(rectangle: Tensor, block: Block) -> Tensor:
    return rectangle.flatten(0, 1) if block.full else cast(Tensor, cast(Any, _Tokens).apply(rectangle, block.back))


def attend(query: Tensor, key: Tensor, value: Tensor, segments: Segments, scale: float | None) -> Tensor:
    """Attention of the tokens of one row.

    Args:
        query: `[M, H, D]`.
        key: `[M, H, D]`.
        value: `[M, H, D]`.
        segments: who sees whom.
        scale: of the scores; None: one over the root of D.

    Returns:
        `[M, H, D]`.
    """
    roots, branches = segments.roots, segments.branches
    n = len(roots.back)
    stems = [_rectangle(one[:n], roots) for one in (query, key, value)]
    q, k, v = (one.transpose(1, 2) for one in stems)
    read = scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale)
    found = _tokens(read.transpose(1, 2), roots)
    if branches is None:
        return found
    q, k, v = (_rectangle(one[n:], branches) for one in (query, key, value))
    k, v = (
        torch.cat([stem.index_select(0, segments.parent), own], 1) for stem, own in zip(stems[1:], (k, v), strict=True)
    )
    q, k, v = (one.transpose(1, 2) for one in (q, k, v))
    read = scaled_dot_product_attention(q, k, v, attn_mask=segments.mask, scale=scale)
    return torch.cat([found, _tokens(read.transpose(1, 2), branches)])


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    segments: Segments | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """As transformers calls it: `[1, H, M, D]` each; returns `[1, M, H, D]`."""
    if segments is None:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        found: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **options
        )
        return found
    asked = [name for name in _UNKNOWN if isinstance(options.get(name), Tensor) or options.get(name)]
    if asked:
        raise ValueError(f"got a model whose attention has {', '.join(asked)}; expected style='padded' for it")
    queries, keys, values = (one[0].transpose(0, 1) for one in (query, key, value))
    if (repeats := query.shape[1] // key.shape[1]) > 1:
        keys, values = (one.repeat_interleave(repeats, 1) for one in (keys, values))
    return attend(queries, keys, values, segments, scaling)[None], None


def share_prompts(model: nn.Module) -> bool:
    """Give a model this attention, if it can have it; gives whether it now has.

    Args:
        model: a causal language model of transformers.
    """
    body, config = cast(Any, model).base_model, cast(Any, model).config
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    if getattr(config, "_attn_implementation", None) == NAME:
        return True
    known = getattr(config, "_attn_implementation", None) == "sdpa" and text is config
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    if not known or kinds != {"full_attention"} or not getattr(body, "_supports_attention_backend", False):
        return False
    device = next(model.parameters()).device
    if device.type == "meta":
        return False
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(NAME, _attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    expected = _probe(body, device, shared=False)
    config._attn_implementation = NAME
    try:
        apart = (_probe(body, device, shared=True) - expected).abs().max()
        agrees = bool(apart <= (1e-3 if expected.dtype == torch.float32 else 0.1) * (1 + expected.abs().max()))
    except (TypeError, ValueError):  # it does not hand on what it does not know
        agrees = False
    if not agrees:
        config._attn_implementation = "sdpa"
    return agrees


def seen_by(segments: Segments | None, device: torch.device) -> dict[str, Any]:
    """Arguments of a model that say who sees whom; none where each token sees what stands before it."""
    if segments is None:
        return {}
    # A mask of four dimensions is one that transformers takes as made already, and hands on to the attention.
    return {"segments": segments, "attention_mask": torch.zeros((1, 1, 1, 1), device=device)}


@torch.no_grad()
def _probe(body: Any, device: torch.device, shared: bool) -> Tensor:
    """Hidden states of three short sequences, two of which begin alike, `[n, D]`."""
    size = int(body.get_input_embeddings().weight.shape[0])
    rows = [[2, 1, 3, 2, 0], [2, 1, 1, 3], [1, 3, 2]]
    ids = torch.tensor([token % size for row in rows for token in row], device=device)
    lengths = torch.tensor([len(row) for row in rows], device=device)
    own = torch.tensor([place >= 2 for row in rows for place in range(len(row))], device=device)
    if not shared:
        hidden = [
            body(input_ids=one[None], position_ids=torch.arange(len(one), device=device)[None], use_cache=False)
            for one in ids.split(lengths.tolist())
        ]
        return torch.cat([one.last_hidden_state[0] for one in hidden])
    input_ids, position_ids, place, segments = lay_out_shared(ids, lengths, own)
    found = body(input_ids=input_ids, position_ids=position_ids, use_cache=False, **seen_by(segments, device))
    states: Tensor = found.last_hidden_state[0][place]
    return states
