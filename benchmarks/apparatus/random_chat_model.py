"""Small language models of random weights, in Hugging Face format: what engines are compared and tested with.

Their tokenizer knows every byte, so they can read and write anything, and mean nothing by it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

SPECIAL = ["<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


VOCABULARY, CONTEXT = 50, 48
"""Of what `small_model` makes."""


def small_model(family: str = "llama", seed: int = 0) -> Any:
    """A causal language model without a tokenizer, in memory: `llama`, `qwen3`, or `gpt2`, which is laid out otherwise.

    Weights are large, so that its logits differ much; token 1 ends a text.
    """
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(seed)
    alike = {"vocab_size": VOCABULARY, "initializer_range": 0.3, "bos_token_id": 1, "eos_token_id": 1}
    if family == "gpt2":
        return GPT2LMHeadModel(GPT2Config(**alike, n_embd=32, n_layer=2, n_head=4, n_positions=CONTEXT)).eval()
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    settings = {**alike, **sizes, "num_key_value_heads": 2, "max_position_embeddings": CONTEXT, "pad_token_id": 0}
    if family == "qwen3":
        return Qwen3ForCausalLM(Qwen3Config(**settings, head_dim=16, tie_word_embeddings=True)).eval()
    return LlamaForCausalLM(LlamaConfig(**settings, attention_bias=True)).eval()


def save_chat_model(directory: Path, width: int = 64, layers: int = 2, seed: int = 0) -> Path:
    """A causal language model (Llama), with heads of 32 or more, the least that vLLM takes on a CPU."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    LlamaForCausalLM(LlamaConfig(**_settings(save_tokenizer(directory), width, layers))).save_pretrained(directory)
    return directory


def save_reward_model(directory: Path, outputs: int = 1, template: str | None = TEMPLATE, seed: int = 0) -> Path:
    """A sequence classifier (Llama) with so many outputs."""
    import torch
    from transformers import LlamaConfig, LlamaForSequenceClassification

    torch.manual_seed(seed)
    config = LlamaConfig(**_settings(save_tokenizer(directory, template), 64, 2), num_labels=outputs)
    LlamaForSequenceClassification(config).save_pretrained(directory)
    return directory


def save_tokenizer(directory: Path, template: str | None = TEMPLATE) -> int:
    """A tokenizer of bytes and control tokens; returns how many tokens it knows."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: i for i, letter in enumerate([*SPECIAL, *letters])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIAL)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<|pad|>", eos_token="<|end|>")
    fast.chat_template = template
    fast.save_pretrained(directory)
    return len(vocabulary)


def _settings(words: int, width: int, layers: int) -> dict[str, Any]:
    return {
        "vocab_size": words,
        "hidden_size": width,
        "intermediate_size": 3 * width // 2,
        "num_hidden_layers": layers,
        "num_attention_heads": width // 32,
        "num_key_value_heads": max(1, width // 64),
        "max_position_embeddings": 2048,
        "initializer_range": 0.3 * (64 / width) ** 0.5,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 1,
    }
