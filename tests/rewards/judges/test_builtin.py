import asyncio
import json
import threading

import pytest
import torch

from actors.engines import transformers_engine
from rewards.judges import prompts
from rewards.judges.builtin import build
from rewards.judges.builtin.build import ensure_model, model_directory
from rewards.judges.builtin.corpus import ALL_GOALS, Corpus
from rewards.judges.builtin.train import (
    Config,
    Lessons,
    build_model,
    build_tokenizer,
    measure,
    read,
    without_bars,
)
from rewards.judges.judge import Question
from rewards.judges.language_model import Config as JudgeConfig
from rewards.judges.language_model import LanguageModelJudge
from rewards.judges.rules import prefer, tier, topics_of
from rewards.verdicts import Status

TINY = Config(
    hidden=16, layers=2, heads=2, reading_steps=2, steps=2, batch=16, goals=2, captions=300, held_out=130, threads=1
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GUERDON_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


def test_the_same_seed_gives_the_same_captions_and_another_seed_others():
    assert Corpus(1).captions(50) == Corpus(1).captions(50) != Corpus(2).captions(50)


def test_captions_fill_every_slot_and_hold_no_digits():
    for caption in Corpus(0).captions(3000):
        assert caption and not set(caption) & set("{}|0123456789"), caption


def test_labels_are_those_of_the_rule_book_in_the_words_of_the_prompts():
    corpus = Corpus(0)
    for goal in ALL_GOALS:
        one, two = corpus.example(goal, "caption"), corpus.example(goal, "pair")
        assert one.answer == ("yes" if tier(one.texts[0], topics_of(goal)) > 0 else "no")
        expected = prefer(*(tier(text, topics_of(goal)) for text in two.texts))
        assert {"first": 1.0, "second": 0.0, "same": 0.5}[two.answer] == expected


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["caption", "pair"])
def test_lessons_are_token_for_token_what_the_engine_will_ask(tokenizer, kind):
    captions = Corpus(3).captions(40)
    batch = Lessons(tokenizer, captions, seed=0).draw([("collect gold", kind)], 20)
    asked = {tuple(batch.prefixes[0] + rest) for rest in batch.rests}
    texts = [(c,) for c in captions] if kind == "caption" else [(a, b) for a in captions for b in captions]
    possible = {
        tuple(
            tokenizer(
                tokenizer.apply_chat_template(
                    prompts.messages("collect gold", kind, t), tokenize=False, add_generation_prompt=True
                ),
                add_special_tokens=False,
            )["input_ids"]
        )
        for t in texts
    }
    assert asked <= possible


@pytest.mark.parametrize(("kind", "texts", "around"), [("caption", ("a key",), 3), ("pair", ("a key", "it"), 4)])
def test_what_stands_around_goal_and_captions_is_one_token_each(tokenizer, kind, texts, around):
    chat = prompts.messages("collect gold", kind, texts)
    ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True)["input_ids"]
    words = " ".join(("collect gold", *texts)).split()
    assert len(ids) == len(words) + around
    assert [token for token in tokenizer.convert_ids_to_tokens(ids) if "<" not in token] == words


def test_other_chats_are_read_word_by_word(tokenizer):
    chat = [{"role": "user", "content": "You see a key."}]
    ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True)["input_ids"]
    expected = ["<|user|>", "you", "see", "a", "key", ".", "<|end|>", "<|assistant|>"]
    assert tokenizer.convert_ids_to_tokens(ids) == expected


def test_a_shared_prefix_gives_the_states_of_whole_prompts(tokenizer):
    torch.manual_seed(0)
    model = build_model(TINY, tokenizer).eval()
    lessons = Lessons(tokenizer, Corpus(0).captions(30), seed=0)
    batch = lessons.draw([("collect gold", "caption"), ("explore and descend", "pair")], 4)
    with torch.inference_mode():
        answers = read(model, batch, width=3).answers
        for row, rest in enumerate(batch.rests):
            whole = torch.tensor([batch.prefixes[batch.which[row]] + rest])
            expected = model.model(input_ids=whole).last_hidden_state[0, -1]
            torch.testing.assert_close(answers[row], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.slow
def test_a_build_is_in_hugging_face_format_is_kept_and_tells_its_progress(cache):
    told = []
    directory = ensure_model(TINY, on_progress=lambda fraction, text: told.append((fraction, text)))
    written = {path.name for path in directory.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "accuracy.json"} <= written
    assert [fraction for fraction, _ in told] == sorted(fraction for fraction, _ in told)
    assert told[0][0] == 0.0 and told[-1][0] == 1.0
    assert set(json.loads((directory / "accuracy.json").read_text())) == {"caption", "pair"}
    told.clear()
    assert ensure_model(TINY, on_progress=lambda *step: told.append(step)) == directory and not told


@pytest.mark.slow
def test_a_build_draws_no_bar_of_its_own(cache, capsys, bars):
    ensure_model(TINY.model_copy(update={"seed": 7}))
    assert "shards" not in capsys.readouterr().err
    assert bars.is_progress_bar_enabled()  # those of other models are as they were
    with without_bars(), without_bars():
        assert not bars.is_progress_bar_enabled()
    assert bars.is_progress_bar_enabled()


@pytest.mark.slow
def test_two_builds_at_once_make_one_model(cache, monkeypatch):
    built, train = [], build.train.train
    monkeypatch.setattr(build.train, "train", lambda *args: built.append(1) or train(*args))
    config = TINY.model_copy(update={"seed": 5})
    found = []
    threads = [threading.Thread(target=lambda: found.append(ensure_model(config))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1 and found == [model_directory(config)] * 2


def test_a_build_that_dies_leaves_nothing_that_counts(cache, monkeypatch):
    def dies(directory, config, on_progress):
        (directory / "config.json").write_text("{}")
        raise KeyboardInterrupt

    monkeypatch.setattr(build.train, "train", dies)
    config = TINY.model_copy(update={"seed": 6})
    with pytest.raises(KeyboardInterrupt):
        ensure_model(config)
    directory = model_directory(config)
    assert not directory.exists()
    assert not list(directory.parent.glob(f".{directory.name}*"))


def test_a_cache_that_cannot_be_written_is_named_with_a_remedy(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("GUERDON_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(OSError, match="set GUERDON_CACHE"):
        ensure_model(TINY)


@pytest.mark.slow
def test_the_same_config_gives_the_same_weights(cache, tmp_path, monkeypatch):
    from safetensors.torch import load_file

    first = load_file(ensure_model(TINY) / "model.safetensors")
    monkeypatch.setenv("GUERDON_CACHE", str(tmp_path))
    second = load_file(ensure_model(TINY) / "model.safetensors")
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
def test_the_built_model_answers_through_the_engine_as_any_model_does(cache):
    engine = transformers_engine.TransformersEngine(
        transformers_engine.Config(model=str(ensure_model(TINY)), device="cpu")
    )
    judge = LanguageModelJudge(engine, JudgeConfig(goal="collect gold", soft=True))
    asyncio.run(judge.check())
    questions = [Question(t, "caption", (t,)) for t in Corpus(9).captions(5)]
    questions.append(Question("p", "pair", ("# gold pieces.", "It's a wall.")))
    answers = asyncio.run(judge.judge(questions))
    assert all(a.status is Status.OK and 0.0 <= a.value <= 1.0 and a.tokens > 6 for a in answers)


@pytest.mark.slow
def test_training_brings_the_model_closer_to_the_rules(tokenizer):
    config = TINY.model_copy(update={"reading_steps": 30, "steps": 50, "hidden": 32})
    lessons = Lessons(tokenizer, Corpus(0).captions(300), seed=0)
    torch.manual_seed(0)
    model = build_model(config, tokenizer)
    held_out = Lessons(tokenizer, Corpus(1).captions(200), seed=1)
    before = measure(model.eval(), held_out, 400)
    build.train._fit(model, lessons, config, lambda fraction, text: None)
    after = measure(model.eval(), held_out, 400)
    assert after.caption > max(before.caption, 0.62)
