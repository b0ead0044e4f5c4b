"""What all chats begin with is tokenised once; nobody can tell by the ids."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from actors.engines.chat_tokenizer import ChatTokenizer

SPECIAL = ["<unk>", "<|system|>", "<|user|>", "<|end|>", "<|assistant|>"]
TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
CORPUS = [
    "you see a door and a key",
    "the wall is a wall",
    "it opens; ünïcode too!",
    "  spaces   matter ",
] * 5


def tokenizer_of(kind: str) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    alphabet: list[str] = []
    if kind == "byte-level":
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    elif kind == "first word marked":  # as Llama and T5 do it
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    else:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet)
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="<|end|>")
    fast.add_special_tokens({"additional_special_tokens": SPECIAL[1:]})
    fast.chat_template = TEMPLATE
    return fast


KINDS = {kind: tokenizer_of(kind) for kind in ("byte-level", "first word marked", "every part marked")}


def chat(system: str, text: str) -> list[dict[str, str]]:
    return [{"role": "system", "content": system}, {"role": "user", "content": text}]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30, deadline=None)
@given(
    system=st.sampled_from(["", "you see a door", "you see a key <|end|>", " "]),
    texts=st.lists(st.text(alphabet="a door<|user|>end ü ", max_size=20), min_size=1, max_size=5),
    shared=st.booleans(),
)
def test_many_chats_have_the_ids_that_each_has_alone(kind, system, texts, shared):
    chats = [chat(system if shared else f"{system}{k}", text) for k, text in enumerate(texts)]
    tokenizer = ChatTokenizer(KINDS[kind], kind)
    alone = [ids for one in chats for ids in ChatTokenizer(KINDS[kind], kind).ids([one])]
    assert tokenizer.ids(chats) == alone
    assert tokenizer.ids(chats[::-1]) == alone[::-1], "also when the beginning is known"


def test_what_is_shared_is_tokenised_once(monkeypatch):
    tokenizer = ChatTokenizer(KINDS["byte-level"], "byte-level")
    chats = [chat("you see a door and a key" * 5, text) for text in ("a wall", "the door", "a key")]
    tokenizer.ids(chats)
    seen: list[str] = []
    tokenise = tokenizer._tokenise
    monkeypatch.setattr(tokenizer, "_tokenise", lambda texts: seen.extend(texts) or tokenise(texts))
    tokenizer.ids(chats)
    assert len(seen) == 3 and all(text.startswith("<|user|>") for text in seen)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("set_to", ["nothing", "padding", "truncation"])
def test_ids_are_those_of_the_public_call_whatever_the_tokenizer_was_used_for_before(kind, set_to):
    tokenizer = tokenizer_of(kind)
    chats = [chat("you see a door", text) for text in ("a key", "the wall is a wall; ünïcode", "", "  <|end|> it")]
    texts = [tokenizer.apply_chat_template(one, tokenize=False, add_generation_prompt=True) for one in chats]
    expected = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    found = ChatTokenizer(tokenizer, kind)
    if set_to == "padding":
        tokenizer.backend_tokenizer.enable_padding(length=60)
    elif set_to == "truncation":
        tokenizer.backend_tokenizer.enable_truncation(max_length=3)
    assert found.ids(chats) == expected


def test_a_tokenizer_with_a_way_of_its_own_is_called_by_it():
    class Shouting(PreTrainedTokenizerFast):
        def _encode_plus(self, text, **more):
            return super()._encode_plus([one.replace("key", "door") for one in text], **more)

    tokenizer = tokenizer_of("byte-level")
    own = Shouting(tokenizer_object=tokenizer.backend_tokenizer, unk_token="<unk>", eos_token="<|end|>")
    own.chat_template = TEMPLATE
    asked, meant = (chat("you see", text) for text in ("a key", "a door"))
    assert ChatTokenizer(own, "own").ids([asked]) == ChatTokenizer(tokenizer, "plain").ids([meant])


def test_nothing_asked_is_nothing_answered():
    assert ChatTokenizer(KINDS["byte-level"], "byte-level").ids([]) == []
