"""What a policy that writes text can be asked for: `Sampling`, `Generated`, and the `GenerationEngine` that does it.

An engine takes requests at any time and works on all of them together, one token step after another, so that nobody
waits for the longest. Between two steps it may be given new weights: what is under way goes on with them, and every
token keeps the version that sampled it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import torch

Finish = Literal["stop", "length", "aborted"]

Poll = Callable[[], "tuple[Mapping[str, torch.Tensor], int] | None"]
"""Called between token steps: new weights and their version, or None."""

_VOCABULARY = ("embed_tokens.weight", "wte.weight", "embed_in.weight", "lm_head.weight", "embed_out.weight")
"""How weights end whose first axis is the vocabulary."""


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen.

    Attributes:
        max_tokens: the most tokens of one reply.
        temperature: of the softmax; 0 takes the most likely token.
        top_p: the smallest set of tokens with at least this mass is kept (nucleus sampling, Holtzman et al. 2020).
        top_k: so many of the most likely tokens are kept; 0 keeps all.
        stop: texts that end a reply; they stay in it.
    """

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be sampled.

        Raises:
            ValueError: a value is out of its range.
        """
        if self.max_tokens < 1 or self.temperature < 0 or not 0 < self.top_p <= 1 or self.top_k < 0:
            raise ValueError(f"got {self}; expected max_tokens >= 1, temperature >= 0, 0 < top_p <= 1 and top_k >= 0")
        if "" in self.stop:
            raise ValueError("got an empty text in stop, which would end every reply: leave it out")


class Generated(NamedTuple):
    """One reply.

    Attributes:
        token_ids: what was sampled, with the token that ended it.
        log_probs: of each token under the distribution that it was sampled from, after temperature, top-k and top-p;
            0 for a greedy choice, which is certain.
        versions: of the weights that sampled each token.
        finish: "stop" by an end token or a stop text, "length" where budget or context is spent, "aborted" by request.
    """

    token_ids: list[int]
    log_probs: list[float]
    versions: list[int]
    finish: Finish


class GenerationEngine(Protocol):
    """A language model that writes."""

    @property
    def version(self) -> int:
        """Of the weights; 0 at first."""
        ...

    @property
    def vocabulary(self) -> int:
        """Rows of the model's output."""
        ...

    @property
    def max_tokens(self) -> int:
        """The most tokens of a prompt with its reply."""
        ...

    def submit(self, prompt: Sequence[int], sampling: Sampling, seed: int, conversation: Hashable | None = None) -> int:
        """Take in a request; returns its ticket.

        Args:
            prompt: one that leaves no room for a reply finishes with "length".
            sampling: how its reply is sampled.
            seed: a reply depends on its prompt and this, not on what else is under way.
            conversation: its name where it goes on after the reply: the engine may keep what it has read for the next
                request of that name, whose prompt goes on from prompt and reply.
        """
        ...

    def step(self) -> list[tuple[int, Generated]]:
        """Advance all requests by a token or a few; returns those that finished, by ticket."""
        ...

    def abort(self, tickets: Iterable[int]) -> list[tuple[int, Generated]]:
        """Give up requests; returns what they have so far."""
        ...

    def load_weights(self, tensors: Mapping[str, torch.Tensor], version: int) -> None:
        """Go on with other weights, named as in the model's Hugging Face files; also while requests are under way.

        Raises:
            ValueError: they are not weights of this model.
        """
        ...

    def generate(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, seeds: Sequence[int], poll: Poll | None = None
    ) -> list[Generated]:
        """A reply to each prompt, in order."""
        ...


def generate(
    engine: GenerationEngine,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    seeds: Sequence[int],
    poll: Poll | None = None,
) -> list[Generated]:
    """Submit `prompts` and step until all have their reply: what an engine's `generate` does.

    Args:
        engine: that has nothing else to do.
        prompts: N lists of token ids.
        sampling: of all of them.
        seeds: one a prompt. A reply depends on its prompt and its seed, not on what else is in the batch.
        poll: asked between token steps for new weights.

    Raises:
        ValueError: there is not one seed a prompt.
    """
    if len(seeds) != len(prompts):
        raise ValueError(f"got {len(seeds)} seeds for {len(prompts)} prompts; expected one each")
    tickets = [engine.submit(prompt, sampling, seed) for prompt, seed in zip(prompts, seeds, strict=True)]
    done: dict[int, Generated] = {}
    try:
        while len(done) < len(tickets):
            if poll is not None and (fresh := poll()) is not None:
                engine.load_weights(*fresh)
            done.update(engine.step())
    except BaseException:  # whoever asked is gone: nobody would collect the rest
        engine.abort(tickets)
        raise
    return [done[ticket] for ticket in tickets]


def check_vocabulary(tensors: Mapping[str, torch.Tensor], vocabulary: int) -> None:
    """Refuse weights of a model with another vocabulary: its token ids would mean something else.

    Raises:
        ValueError: an embedding has another number of rows.
    """
    for name, tensor in tensors.items():
        if name.endswith(_VOCABULARY) and tensor.shape[0] != vocabulary:
            raise ValueError(
                f"got weights whose {name} knows {tensor.shape[0]} tokens; expected {vocabulary}, the vocabulary of "
                "the engine: start engine and learner from the same model directory"
            )
