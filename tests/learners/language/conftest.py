"""A tiny language model, a tiny reward model, and batches to learn from."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from learners.language.token_batch import build_token_batch

VOCABULARY = 24
SETTINGS = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 32,
    "pad_token_id": 0,
}


@pytest.fixture(scope="session")
def make_model():
    """Makes a model from a seed, the same each time."""
    from transformers import LlamaConfig, LlamaForCausalLM

    def make(seed: int = 0, **settings):
        torch.manual_seed(seed)
        return LlamaForCausalLM(LlamaConfig(**{**SETTINGS, **settings}))

    return make


@pytest.fixture(scope="session")
def make_classifier():
    """Makes a sequence classifier with one output from a seed."""
    from transformers import LlamaConfig, LlamaForSequenceClassification

    def make(seed: int = 0, num_labels: int = 1):
        torch.manual_seed(seed)
        return LlamaForSequenceClassification(LlamaConfig(**SETTINGS, num_labels=num_labels))

    return make


@pytest.fixture(scope="session")
def make_batch():
    """Makes sequences of given lengths: two tokens of prompt, a token of the world in the longer ones, the rest own.

    Those of `alike` begin with the same prompt.
    """

    def make(lengths=(5, 9, 7, 12), seed: int = 0, alike: tuple[int, ...] = (), **given):
        generator = np.random.default_rng(seed)
        ids = [generator.integers(1, VOCABULARY, n) for n in lengths]
        for place in alike:
            ids[place][:2] = ids[alike[0]][:2]
        masks = [(np.arange(n) >= 2) & (np.arange(n) != 6) for n in lengths]
        sampled = [generator.normal(-3.2, 0.2, n) * mask for n, mask in zip(lengths, masks, strict=True)]
        return build_token_batch(
            ids,
            masks,
            streams={"behaviour_log_probs": sampled, "token_versions": [np.where(mask, 0, -1) for mask in masks]},
            row_ids=[f"row-{i}" for i in range(len(lengths))],
            **given,
        )

    return make
