"""`TokenScorer`: a causal language model, and what a learner asks of it: numbers at the policy's own tokens.

The model is any Hugging Face one, handed in: its body gives hidden states, its output embedding makes logits of those
that are needed and of no others. Everything happens in one `forward`, so that DDP and FSDP can wrap it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from learners.language.layout import Layout
from learners.language.log_probs import Comparison, chosen
from learners.language.shared_attention import seen_by
from learners.language.shared_prompts import Segments


class TokenScores(NamedTuple):
    """What a model says of tokens, `[n]` each.

    Attributes:
        log_probs: of each token.
        entropy: of the distribution that it was chosen from.
        values: of the state that it was chosen in; None without a value head.
        divergence: from a reference, over the whole vocabulary; None without one.
    """

    log_probs: Tensor
    entropy: Tensor
    values: Tensor | None
    divergence: Tensor | None


class ValueHead(nn.Module):
    """V of a hidden state: one linear layer that starts at 0."""

    def __init__(self, size: int) -> None:
        """Start at 0.

        Args:
            size: of the hidden state.
        """
        super().__init__()
        self.linear = nn.Linear(size, 1)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """Values `[n]` of hidden states `[n, D]`."""
        return cast(Tensor, self.linear(hidden.to(self.linear.weight.dtype))).squeeze(-1)


class TokenScorer(nn.Module):
    """A causal language model and, where there is one, its value head."""

    def __init__(
        self,
        model: nn.Module,
        value_head: nn.Module | None = None,
        *,
        temperature: float = 1.0,
        max_logits_mb: int = 512,
        autocast: torch.dtype | None = None,
        gradient_checkpointing: bool = False,
    ) -> None:
        """Look at the model.

        Args:
            model: a causal model of Hugging Face's, trained in place.
            value_head: hidden states `[n, D]` to values `[n]`.
            temperature: logits are divided by it, as they were in sampling.
            max_logits_mb: memory of the logits that are there at one time, in float32.
            autocast: the number format of forward passes; None: that of the weights.
            gradient_checkpointing: whether activations are computed a second time instead of kept.

        Raises:
            ValueError: the model makes its logits in a way that is not known here.
        """
        super().__init__()
        self.model, self.value_head = model, value_head
        self.temperature, self.autocast = temperature, autocast
        self._model = cast(Any, model)
        embedding = self._model.get_output_embeddings()
        if embedding is None:
            raise ValueError(
                f"got {type(model).__name__}, which has no output embedding; expected a causal language model"
            )
        self.vocabulary = int(embedding.weight.shape[0])
        self._chunk = max(1, max_logits_mb * 2**20 // (4 * self.vocabulary))
        set_training_mode(self, gradient_checkpointing)
        self._expect_known_head()

    def forward(
        self,
        input_ids: Tensor,
        position_ids: Tensor,
        states: Tensor,
        targets: Tensor,
        entropy_gradient: bool = False,
        comparison: Comparison | None = None,
        segments: Segments | None = None,
    ) -> TokenScores:
        """Score n tokens.

        Args:
            input_ids: `[R, L]`.
            position_ids: `[R, L]`.
            states: where in the flattened rectangle the state lies that each token was chosen in: one before it, `[n]`.
            targets: the tokens, `[n]`.
            entropy_gradient: whether the entropy is learnt from.
            comparison: another policy to compare whole distributions with.
            segments: of a row in which equal prompts stand once.
        """
        hidden = self.hidden(input_ids, position_ids, states, segments)
        with self._numbers(hidden.device):
            found = chosen(
                hidden,
                self.logits,
                targets,
                temperature=self.temperature,
                chunk=self._chunk,
                entropy_gradient=entropy_gradient,
                comparison=comparison,
            )
        values = None if self.value_head is None else cast(Tensor, self.value_head(hidden)).float()
        return TokenScores(found.log_probs, found.entropy, values, found.divergence)

    def hidden(
        self, input_ids: Tensor, position_ids: Tensor, states: Tensor, segments: Segments | None = None
    ) -> Tensor:
        """Hidden states `[n, D]` at the given places of the flattened rectangle."""
        with self._numbers(input_ids.device):
            # Without a mask transformers finds packed sequences by their positions, and rows without any need none.
            body = self._model.base_model(
                input_ids=input_ids, position_ids=position_ids, use_cache=False, **seen_by(segments, input_ids.device)
            )
        hidden: Tensor = body.last_hidden_state
        return hidden.flatten(0, 1)[states]

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits `[n, V]` of hidden states, scaled and capped as the model's own config says."""
        logits: Tensor = self._model.get_output_embeddings()(hidden)
        config = self._model.config
        if (scale := getattr(config, "logit_scale", None)) is not None:  # Cohere
            logits = logits * scale
        if (scaling := getattr(config, "logits_scaling", None)) is not None:  # Granite
            logits = logits / scaling
        if (cap := getattr(config, "final_logit_softcapping", None)) is not None:  # Gemma
            logits = torch.tanh(logits / cap) * cap
        return logits

    def score(
        self, layout: Layout, token_ids: Tensor, loss_mask: Tensor, run: nn.Module | None = None, **options: Any
    ) -> TokenScores:
        """Score the policy's own tokens of a flat batch; 0 at all other tokens, `[N]` each.

        Args:
            layout: how the batch lies.
            token_ids: `[N]`.
            loss_mask: which tokens to score, `[N]`.
            run: what to call instead of this module: the DDP around it.
            options: of `forward`.
        """
        if layout.segments is not None:
            options["segments"] = layout.segments
        found = (run or self)(
            layout.input_ids, layout.position_ids, layout.states(loss_mask), token_ids[loss_mask], **options
        )

        def spread(values: Tensor | None) -> Tensor | None:
            return None if values is None else values.new_zeros(len(token_ids)).masked_scatter(loss_mask, values)

        return TokenScores(*(spread(part) for part in found))  # type: ignore[arg-type]

    @contextmanager
    def _numbers(self, device: torch.device) -> Iterator[None]:
        with torch.autocast(device.type, self.autocast, enabled=self.autocast is not None):
            yield

    @torch.no_grad()
    def _expect_known_head(self) -> None:
        """Compare logits with the model's own, on three tokens.

        Raises:
            ValueError: they differ.
        """
        device = next(self.model.parameters()).device
        if device.type == "meta":
            return
        ids = torch.arange(3, device=device)[None] % self.vocabulary
        own = self._model(input_ids=ids, use_cache=False).logits[0].float()
        ours = self.logits(
            self.hidden(ids, torch.arange(3, device=device)[None], torch.arange(3, device=device))
        ).float()
        apart = (own.log_softmax(-1) - ours.log_softmax(-1)).abs().max().item()
        coarse = (
            self.autocast is not None or own.dtype != torch.float32 or next(self.model.parameters()).element_size() < 4
        )
        if not math.isfinite(apart) or apart > (0.5 if coarse else 1e-3):
            raise ValueError(
                f"got {type(self.model).__name__}, whose log-probabilities differ by {apart:g} from those made of its "
                "hidden states; expected a model whose logits are its output embedding, scaled or capped: teach "
                "TokenScorer.logits what this one does"
            )


def set_training_mode(scorer: nn.Module, gradient_checkpointing: bool) -> None:
    """Put the model of a scorer into the mode that it is trained in.

    That is without dropout, and with gradient checkpointing where asked for. Dropout would score another policy at each
    pass, and the ratio of equals would not be 1.
    """
    scorer.eval()
    if not gradient_checkpointing:
        return
    model = cast(Any, scorer).model
    # Newer versions of transformers have another name for it.
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": False})
    for layer in scorer.modules():
        # Layers look at this flag of theirs; that of the modules inside them, where dropout is, stays off.
        layer.training = bool(getattr(layer, "gradient_checkpointing", False))
