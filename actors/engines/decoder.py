"""Decoders: a causal language model with keys and values in buffers that are written in place.

Rows of the buffers are conversations, each as long as it is: a token is written at its own position, and sees what
stands up to it in its row, or so much of it as the model's window holds. So rows of any lengths run together, without
padding on either side, and rows come and go.

`LlamaDecoder` runs the layers of the Llama family itself, with a dozen tensor operations a layer: for small models the
Python around them takes most of the time. `ModelDecoder` runs any other model that attends to all that came before.

Shapes: N rows of the batch, Q new tokens each, T positions that are seen, H heads of keys, G queries a key, D of a
head. In the buffers the keys of a head stand beside its values, so that rows and heads are one axis of either.
"""

from __future__ import annotations

import copy
from functools import cache
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from actors.linear import LEAST_ROWS, Linear, linear, quicker, whole_rows

_GROW = 64
"""Positions are added in multiples of this, so that buffers are seldom moved."""
_LANES = 16
"""On a CPU, attention over a multiple of so many positions takes two thirds of the time of attention over two fewer."""


Own = TypeVar("Own", bound="Decoder")


class Decoder:
    """Keys and values of conversations, and the model that extends them."""

    def __init__(self, model: Any) -> None:
        """Take a causal language model of transformers, on its device, in evaluation mode.

        Raises:
            ValueError: its memory is not that of full attention.
        """
        config = model.config.get_text_config()
        self.model, self.config = model, config
        weight = next(model.parameters())
        self.device, self.dtype = weight.device, weight.dtype
        self.queries = config.num_attention_heads
        self.heads = getattr(config, "num_key_value_heads", None) or self.queries
        self.width = getattr(config, "head_dim", None) or config.hidden_size // self.queries
        # Where layers differ, their types say who has a window; where all are alike, as in Mistral, they have this one.
        self.window = None if getattr(config, "layer_types", None) else getattr(config, "sliding_window", None)
        self.memory = self._room(0, 0)

    def apart(self: Own) -> Own:
        """The same weights with buffers of their own."""
        other = copy.copy(self)
        other.memory = other._room(0, 0)
        return other

    def _room(self, rows: int, positions: int) -> Tensor:
        shape = (self.config.num_hidden_layers, rows, 2 * self.heads, positions, self.width)
        return torch.zeros(shape, device=self.device, dtype=self.dtype)

    def enlarged(self, memory: Tensor, rows: int, positions: int) -> Tensor:
        """A buffer with room for so many rows and positions, and what was in `memory`; itself where it has the room."""
        _, had, _, length, _ = memory.shape
        if rows <= had and positions <= length:
            return memory
        # Doubling: what is copied in all stays below what is written in all.
        positions = length if positions <= length else max(-(-positions // _GROW) * _GROW, 2 * length)
        grown = self._room(max(rows, 2 * had) if rows > had else had, positions)
        grown[:, :had, :, :length] = memory
        return grown

    def reserve(self, rows: int, positions: int) -> None:
        """Make room for so many rows and positions; what is there stays."""
        self.memory = self.enlarged(self.memory, rows, positions)

    def copy_rows(self, sources: list[int], targets: list[int], positions: int) -> None:
        """Copy the first positions of some rows to others."""
        if sources:
            self.memory[:, targets, :, :positions] = self.memory[:, sources, :, :positions]

    def extend(self, ids: Tensor, positions: Tensor, rows: Tensor | None, seen: int, logits: bool = True) -> Tensor:
        """Run new tokens, and keep their keys and values.

        Args:
            ids: `[N, Q]`.
            positions: of each in its row, `[N, Q]`. What a row holds beyond them is not seen.
            rows: which rows `[N]`; None: the first N.
            seen: the largest position plus one.
            logits: whether they are wanted.

        Returns:
            Logits after the last new token of each row `[N, V]`, in float32; nothing of use where they are not wanted.
        """
        raise NotImplementedError

    def _mask(self, positions: Tensor, seen: int, repeats: int) -> Tensor:
        """What each query may see, to be added to its scores: `[N, 1, Q * repeats, T]`."""
        at = torch.arange(seen, device=self.device)
        hidden = at > positions[:, :, None]
        if self.window is not None and seen > self.window:
            hidden |= at <= positions[:, :, None] - self.window
        mask = torch.zeros(hidden.shape, device=self.device, dtype=self.dtype).masked_fill_(hidden, -torch.inf)
        if repeats > 1 and positions.shape[1] > 1:  # one query each is broadcast instead
            mask = mask.repeat_interleave(repeats, dim=1)
        return mask[:, None]


class ModelDecoder(Decoder):
    """Any model whose layers attend to all that came before, called as it is, with a cache of ours."""

    def __init__(self, model: Any) -> None:
        """Take the model.

        Raises:
            ValueError: some layers remember in another way.
        """
        super().__init__(model)
        kinds = set(getattr(self.config, "layer_types", None) or ["full_attention"])
        if kinds != {"full_attention"}:
            raise ValueError(
                f"got a {self.config.model_type} model with layers {sorted(kinds)}; expected full_attention in all of "
                "them: use the vllm engine for this model"
            )

    def extend(self, ids: Tensor, positions: Tensor, rows: Tensor | None, seen: int, logits: bool = True) -> Tensor:
        """See `Decoder.extend`."""
        out: Tensor = self.model(
            input_ids=ids,
            attention_mask=self._mask(positions, seen, 1),
            position_ids=positions,
            past_key_values=_Cache(self, positions, rows, seen),
            use_cache=True,
            logits_to_keep=1,
        ).logits
        return out[:, -1].float() if logits else out


class _Cache:
    """What a model of transformers asks of its cache, on our buffers."""

    is_compileable = False

    def __init__(self, decoder: Decoder, positions: Tensor, rows: Tensor | None, seen: int) -> None:
        n = len(positions)
        self._memory, self._seen = decoder.memory, seen
        self._rows = slice(0, n) if rows is None else rows
        self._at = torch.arange(n, device=positions.device) if rows is None else rows
        self._positions, self._start = positions, seen - positions.shape[1]

    def update(self, keys: Tensor, values: Tensor, layer: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Keep `[N, H, Q, D]`; returns all that is seen, `[N, H, T, D]`."""
        memory = self._memory[layer]
        memory[self._at[:, None], :, self._positions] = torch.stack([keys, values], 2).flatten(1, 2).transpose(1, 2)
        held = memory[self._rows, :, : self._seen]
        return held[:, ::2], held[:, 1::2]

    def get_seq_length(self, *_: Any) -> int:
        """Tokens before the new ones."""
        return self._start


class LlamaDecoder(Decoder):
    """Llama, Qwen2, Qwen3, Mistral: RMS norms, rotary positions, grouped queries, a gated feed-forward layer.

    Weights of projections that read the same input are laid side by side, and the model's parameters become views of
    them, so that there is one copy, and weights that are loaded into the model are at once the decoder's.
    """

    FAMILY = ("llama", "qwen2", "qwen3", "mistral")

    def __init__(self, model: Any) -> None:
        """Take a model of the family.

        Raises:
            ValueError: it is built in another way.
        """
        super().__init__(model)
        config, inner = self.config, model.model
        projections = [m for layer in inner.layers for m in (layer.self_attn.q_proj, layer.mlp.gate_proj)]
        kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
        known = config.model_type in self.FAMILY and config.hidden_act in ("silu", "swish")
        plain = all(type(one) in (nn.Linear, Linear) for one in projections)
        if not known or kinds != {"full_attention"} or not plain:
            raise ValueError(f"got a {config.model_type} model that is not laid out as expected: use ModelDecoder")
        self._layers = [_Layer(layer) for layer in inner.layers]
        self._eps = config.rms_norm_eps
        self._rope = self._rope_table(256)

    def _rope_table(self, positions: int) -> tuple[Tensor, Tensor]:
        """Cosine, and sine with the sign of the rotation, `[positions, 1, D]`."""
        at = torch.arange(positions, device=self.device)[None]
        cos, sin = self.model.model.rotary_emb(torch.zeros(1, device=self.device, dtype=self.dtype), at)
        half = self.width // 2
        signed = torch.cat([-sin[0, :, :half], sin[0, :, half:]], -1)
        return cos[0].unsqueeze(1), signed.unsqueeze(1)

    def extend(
        self,
        ids: Tensor,
        positions: Tensor | int,
        rows: Tensor | None,
        seen: int,
        logits: bool = True,
        ends: Tensor | None = None,
    ) -> Tensor:
        """See `Decoder.extend`.

        Args:
            ids: as there.
            positions: as there; or the one at which the new tokens of all rows begin.
            rows: as there.
            seen: as there.
            logits: as there.
            ends: after which of the new tokens of each row logits are wanted `[N]`; None: the last.
        """
        if seen > len(self._rope[0]):
            self._rope = self._rope_table(2 * seen)
        seen = -(-seen // _LANES) * _LANES  # there is room for it, and nobody sees what is there
        (n, q), (h, g, d) = ids.shape, (self.heads, self.queries // self.heads, self.width)
        take = slice(0, n) if rows is None else rows
        if isinstance(positions, int):
            span = slice(positions, positions + q)
            cos, sin = (table[span].repeat(n, 1, 1) for table in self._rope)
            seen_by = torch.arange(positions, positions + q, device=self.device)[None]
        else:
            flat, seen_by = positions.flatten(), positions
            cos, sin = self._rope[0][flat], self._rope[1][flat]
            at = (torch.arange(n, device=self.device) if rows is None else rows)[:, None, None]
            heads = torch.arange(2 * h, device=self.device)
            slots = ((at * (2 * h) + heads) * self.memory.shape[3] + positions[:, :, None]).flatten()
        mask, scale = self._mask(seen_by, seen, g), d**-0.5
        # The kernels for many queries take longer to begin than one query takes.
        few = q == 1 and rows is None and self.device.type == "cpu"
        if few:
            mask = mask.expand(n, h, g, seen).reshape(n * h, g, seen)
        inner, tokens = self.model.model, n * q
        # Rows beyond the tokens are nobody's: a round number of them goes through a product at once (actors/linear.py).
        rounded = self.device.type == "cpu" and self.dtype == torch.float32 and q > 1
        room = whole_rows(tokens) if rounded else tokens
        x = F.embedding(F.pad(ids.flatten(), (0, room - tokens)), inner.embed_tokens.weight)
        for layer, memory in zip(self._layers, self.memory, strict=True):
            joint = linear(_norm(x, layer.norm, self._eps), layer.qkv, layer.qkv_bias).view(room, -1, d)[:tokens]
            turned = joint[:, : self.queries + h]
            if layer.q_norm is not None and layer.k_norm is not None:
                turned = _norm(turned, None, self._eps)
                turned[:, : self.queries].mul_(layer.q_norm)
                turned[:, self.queries :].mul_(layer.k_norm)
            turned = torch.addcmul(turned * cos, turned.roll(d // 2, -1), sin)
            fresh = turned[:, self.queries :], joint[:, self.queries + h :]
            if isinstance(positions, int):
                for which, one in enumerate(fresh):
                    memory[take, which::2, span] = one.view(n, q, h, d).transpose(1, 2)
            else:
                memory.view(-1, d).index_copy_(0, slots, torch.stack(fresh, 2).view(-1, d))
            if layer is self._layers[-1]:  # of what is not asked for, only keys and values are wanted any more
                if not logits:
                    break
                if q > 1:
                    rows_of = torch.arange(n, device=self.device)
                    last = torch.full_like(rows_of, q - 1) if ends is None else ends
                    picked = rows_of * q + last
                    x, turned, tokens, room, q = x[picked], turned[picked], n, n, 1
                    mask = self._mask(seen_by.expand(n, -1).gather(1, last[:, None]), seen, g)
            held = memory[take, :, :seen]
            keys, values = held[:, ::2], held[:, 1::2]
            if few:
                query = turned[:, : self.queries].reshape(n * h, g, d)
                scores = torch.baddbmm(mask, query, keys.flatten(0, 1).transpose(1, 2), alpha=scale)
                read = torch.bmm(scores.softmax(-1), values.flatten(0, 1)).view(tokens, -1)
            else:
                query = turned[:, : self.queries].view(n, q, h, g, d).transpose(1, 2).reshape(n, h, q * g, d)
                read = F.scaled_dot_product_attention(query, keys, values, mask, scale=scale)
                whole = read.new_zeros(room, self.queries * d)
                whole[:tokens].view(n, q, h, g, d).copy_(read.view(n, h, q, g, d).transpose(1, 2))
                read = whole
            x = _plus(x, read, layer.out, layer.out_bias)
            gate, up = linear(_norm(x, layer.mlp_norm, self._eps), layer.gate_up, layer.gate_up_bias).chunk(2, -1)
            x = _plus(x, F.silu(gate) * up, layer.down, layer.down_bias)
        if not logits:
            return x
        return linear(_norm(x, inner.norm.weight, self._eps), self.model.lm_head.weight).float()


class _Layer:
    """Weights of one layer, joined."""

    def __init__(self, layer: Any) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.norm, self.mlp_norm = layer.input_layernorm.weight, layer.post_attention_layernorm.weight
        self.qkv, self.qkv_bias = _join(attention.q_proj, attention.k_proj, attention.v_proj)
        self.gate_up, self.gate_up_bias = _join(mlp.gate_proj, mlp.up_proj)
        self.out, self.out_bias = attention.o_proj.weight, attention.o_proj.bias
        self.down, self.down_bias = mlp.down_proj.weight, mlp.down_proj.bias
        self.q_norm: Tensor | None = getattr(getattr(attention, "q_norm", None), "weight", None)
        self.k_norm: Tensor | None = getattr(getattr(attention, "k_norm", None), "weight", None)


def _join(*linears: nn.Linear) -> tuple[Tensor, Tensor | None]:
    """Weights and biases of layers one above another; the layers' own become views of them."""
    sizes = [one.out_features for one in linears]
    joined: list[Tensor | None] = []
    for name in ("weight", "bias"):
        parts = [getattr(one, name) for one in linears]
        if any(part is None for part in parts):
            joined.append(None)
            continue
        whole = torch.cat([part.detach() for part in parts])
        for part, view in zip(parts, whole.split(sizes), strict=True):
            part.data = view
        joined.append(whole)
    weight, bias = joined
    assert weight is not None
    return weight, bias


def _plus(x: Tensor, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """What a projection makes of its inputs, added to `x`."""
    if bias is None and (len(x) < LEAST_ROWS or not quicker()):
        return torch.addmm(x, inputs, weight.t())
    return x + linear(inputs, weight, bias)


def _norm(x: Tensor, weight: Tensor | None, eps: float) -> Tensor:
    """Root-mean-square norm (Zhang and Sennrich 2019), in float32 inside; without a weight, what it is to scale."""
    if x.dtype == torch.float32 and x.device.type == "cpu":
        # What `rms_norm` does there in nine small steps; of few rows each step takes longer to begin than to do.
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        scaled: Tensor = x * torch.addcmul(_number(eps), length, length, value=1 / x.shape[-1]).rsqrt_()
        return scaled if weight is None else scaled.mul_(weight)
    if x.dtype == torch.float32:
        return F.rms_norm(x, x.shape[-1:], weight, eps)
    y = x.float()
    y = (y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + eps)).to(x.dtype)
    return y if weight is None else weight * y


@cache
def _number(value: float) -> Tensor:
    with torch.inference_mode(False):  # whoever asks first, it serves others too
        return torch.tensor(value)


def decoder_of(model: Any) -> Decoder:
    """The fastest decoder that does what the model does.

    Raises:
        ValueError: there is none.
    """
    try:
        fast = LlamaDecoder(model)
    except (AttributeError, ValueError):
        return ModelDecoder(model)
    return fast if _agrees(fast) else ModelDecoder(model)


@torch.inference_mode()
def _agrees(decoder: Decoder) -> bool:
    """Whether a decoder gives the logits of a whole forward pass, on a few tokens, in two pieces."""
    ids = torch.arange(6, device=decoder.device)[None] * 7 % decoder.config.vocab_size
    positions = torch.arange(6, device=decoder.device)[None]
    expected = decoder.model(input_ids=ids, use_cache=False).logits[:, -1].float()
    decoder.reserve(1, 6)
    decoder.extend(ids[:, :4], positions[:, :4], None, 4, logits=False)
    found = decoder.extend(ids[:, 4:], positions[:, 4:], None, 6)
    close = 1e-3 if decoder.dtype == torch.float32 else 0.05
    return bool((found - expected).abs().max() <= close * (1 + expected.abs().max()))
