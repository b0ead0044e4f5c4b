import numpy as np
import pytest
import torch

from actors.engines.decoder import LlamaDecoder, ModelDecoder
from actors.engines.transformers_engine import Config, TransformersEngine

SPECIAL = ["<|pad|>", "<|unknown|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
CHOICE_WORDS = ["yes", "no", "first"]
WORDS = [*CHOICE_WORDS, "key", "door", "gold", "wall", "you", "see", "a", "the", "it", "is", "opens"]
TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|> {{ m.content }} <|end|> {% endfor %}"
    "{% if add_generation_prompt %}<|assistant|> {% endif %}"
)
CHOICES = ("yes", "no")


def save_model(directory, template=TEMPLATE, architecture="llama", seed=0, max_length=64):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = {word: i for i, word in enumerate(SPECIAL + WORDS)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<|unknown|>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(SPECIAL)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<|unknown|>", eos_token="<|end|>")
    fast.chat_template = template
    torch.manual_seed(seed)
    if architecture == "llama":
        config = LlamaConfig(
            vocab_size=len(words), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=max_length, initializer_range=0.5, eos_token_id=2,
        )  # fmt: skip
        model = LlamaForCausalLM(config)
    else:
        config = GPT2Config(
            vocab_size=len(words), n_embd=32, n_layer=2, n_head=4, n_positions=max_length, initializer_range=0.5,
            bos_token_id=2, eos_token_id=2,
        )  # fmt: skip
        model = GPT2LMHeadModel(config)
    model.save_pretrained(directory)
    fast.save_pretrained(directory)
    return directory


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("llama"))


def engine(directory, **config):
    return TransformersEngine(Config(model=str(directory), device="cpu", **config))


def chat(text):
    return [{"role": "system", "content": "you see a door"}, {"role": "user", "content": text}]


CHATS = [chat(text) for text in ("a key", "the wall is a wall", "gold", "it opens the door the door opens", "a wall")]


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
@pytest.mark.parametrize("share_prefix", [True, False])
def test_a_batch_of_many_lengths_scores_as_each_prompt_alone(tmp_path, architecture, share_prefix):
    one = engine(save_model(tmp_path, architecture=architecture), share_prefix=share_prefix)
    together = one.score_choices(CHATS, CHOICES)
    for row, prompt in enumerate(CHATS):
        alone = one.score_choices([prompt], CHOICES)
        np.testing.assert_allclose(together.log_probs[row], alone.log_probs[0], atol=1e-5)
        assert together.tokens[row] == alone.tokens[0]


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "kind"), [("llama", LlamaDecoder), ("gpt2", ModelDecoder)])
def test_models_of_the_family_are_run_by_a_decoder_of_ours(tmp_path, architecture, kind):
    assert type(engine(save_model(tmp_path, architecture=architecture))._generator.decoder) is kind


@pytest.mark.slow
@pytest.mark.parametrize("max_batch_tokens", [1, 20, 8192])
def test_the_budget_of_a_batch_does_not_change_scores_or_their_order(directory, max_batch_tokens):
    expected = engine(directory, share_prefix=False).score_choices(CHATS, CHOICES).log_probs
    found = engine(directory, max_batch_tokens=max_batch_tokens).score_choices(CHATS, CHOICES).log_probs
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("pass_tokens", [1, 20])
@pytest.mark.parametrize("max_batch_tokens", [1, 40, 8192])
def test_prompts_that_go_on_alike_score_as_each_alone_and_are_read_in_part(
    directory, monkeypatch, pass_tokens, max_batch_tokens
):
    seen = ("you see a key it is the gold", "the door opens it is a wall the wall", "it is gold")
    chats = [chat(f"{what} {end}") for what in seen for end in ("a key", "the wall is a wall", "gold", "door opens")]
    expected = engine(directory, share_prefix=False).score_choices(chats, CHOICES).log_probs
    one = engine(directory, max_batch_tokens=max_batch_tokens)
    read = []
    reader, other_logits = one._reader, one._reader.other_logits
    monkeypatch.setattr(reader, "_pass_tokens", pass_tokens)
    monkeypatch.setattr(
        reader, "other_logits", lambda like, kept, ids: read.extend(ids) or other_logits(like, kept, ids)
    )
    np.testing.assert_allclose(one.score_choices(chats, CHOICES).log_probs, expected, atol=1e-5)
    assert 4 <= len(read) <= 9  # of twelve, in three families


def test_scores_are_the_models_own_next_token_probabilities(directory):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(directory), AutoModelForCausalLM.from_pretrained(directory)
    ids = tokenizer.apply_chat_template(CHATS[3], add_generation_prompt=True, return_tensors="pt", return_dict=True)
    with torch.inference_mode():
        logits = model(**ids).logits[0, -1]
    wanted = tokenizer.convert_tokens_to_ids(CHOICE_WORDS)
    expected = torch.log_softmax(logits[wanted], -1).numpy()
    found = engine(directory).score_choices(CHATS, CHOICE_WORDS).log_probs[3]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_log_probabilities_are_normalised_over_the_choices(directory):
    scores = engine(directory).score_choices(CHATS, CHOICES)
    np.testing.assert_allclose(np.exp(scores.log_probs).sum(-1), 1.0)


def test_equal_prompts_have_equal_scores(directory):
    scores = engine(directory).score_choices([CHATS[0]] * 3, CHOICES).log_probs
    np.testing.assert_allclose(scores, scores[[0, 0, 0]], atol=1e-6)


def test_a_prompt_that_is_too_long_is_named_and_leaves_the_others_alone(directory):
    one = engine(directory)
    scores = one.score_choices([CHATS[0], chat("wall " * 100), CHATS[1]], CHOICES)
    assert scores.too_long.tolist() == [False, True, False]
    assert scores.tokens[1] > 100 and np.isnan(scores.log_probs[1]).all()
    np.testing.assert_allclose(scores.log_probs[[0, 2]], one.score_choices(CHATS[:2], CHOICES).log_probs, atol=1e-5)


def test_all_too_long_or_nothing_asked_runs_no_model(directory):
    assert engine(directory).score_choices([chat("wall " * 100)], CHOICES).too_long.all()
    assert engine(directory).score_choices([], CHOICES).log_probs.shape == (0, 2)


def test_choices_that_begin_with_the_same_token_are_refused(directory):
    with pytest.raises(ValueError, match="choose other words"):
        engine(directory).score_choices(CHATS, ("yes it is", "yes"))


def test_a_tokenizer_without_chat_template_is_refused_with_a_remedy(tmp_path):
    with pytest.raises(ValueError, match=r"chat_template\.jinja"):
        engine(save_model(tmp_path, template=None))


def test_a_directory_without_a_tokenizer_is_refused_with_a_remedy(tmp_path):
    directory = save_model(tmp_path)
    for file in tmp_path.glob("tokenizer*"):
        file.unlink()
    with pytest.raises((ValueError, FileNotFoundError), match=r"tokenizer|check the name"):
        engine(directory)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused_with_a_remedy(directory):
    with pytest.raises(ValueError, match="torch finds no GPU"):
        TransformersEngine(Config(model=str(directory), device="cuda"))


def test_a_model_that_is_not_there_is_refused_with_a_remedy(tmp_path):
    with pytest.raises(FileNotFoundError, match="check the name"):
        engine(tmp_path / "nothing")


@pytest.mark.slow
def test_the_fingerprint_changes_with_weights_template_and_dtype_and_not_with_batching(directory, tmp_path):
    before = engine(directory).fingerprint
    other_weights = engine(save_model(tmp_path / "weights", seed=1)).fingerprint
    other_template = engine(save_model(tmp_path / "template", template=TEMPLATE + " ")).fingerprint
    other_dtype = engine(directory, dtype="bfloat16").fingerprint
    assert len({before, other_weights, other_template, other_dtype}) == 4
    assert before == engine(directory, max_batch_tokens=7, share_prefix=False).fingerprint


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_what_prompts_begin_with_is_kept_until_the_weights_are_others(tmp_path, architecture):
    old = engine(save_model(tmp_path / "old", architecture=architecture))
    new = engine(save_model(tmp_path / "new", architecture=architecture, seed=1))
    first = old.score_choices(CHATS, CHOICES).log_probs
    again = old.score_choices(CHATS, CHOICES).log_probs
    assert np.array_equal(first, again), "a prefix that is known gives what one that is computed gives"
    old.load_weights({name: tensor.clone() for name, tensor in new._model.state_dict().items()}, version=1)
    expected = new.score_choices(CHATS, CHOICES).log_probs
    np.testing.assert_allclose(old.score_choices(CHATS, CHOICES).log_probs, expected, rtol=1e-5)
    assert not np.allclose(first, expected)
