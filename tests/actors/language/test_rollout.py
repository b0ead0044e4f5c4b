"""Conversations of a policy with a world, in groups."""

import threading
from functools import partial

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from actors.engines.chat_tokenizer import ChatTokenizer
from actors.engines.text_generator import TextGenerator
from actors.language.conversation import Conversations
from actors.language.generation import Generated, Sampling
from actors.language.rollout import Config, Origin, play, rollout
from actors.language.world import World
from benchmarks.apparatus.random_chat_model import save_tokenizer
from envs.language.task import Prompt, TextTask, Turn
from envs.language.trajectory import from_batch, to_batch

END = 1
SAMPLING = Sampling(16)


@pytest.fixture(scope="module")
def chats(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(directory)
    return ChatTokenizer(AutoTokenizer.from_pretrained(directory), "tiny")


class Scripted:
    """An engine that says what a function of prompt text and seed says, a character a step."""

    version, vocabulary = 3, 300

    def __init__(self, chats, say, max_tokens=400):
        self.chats, self.say, self.max_tokens = chats.tokenizer, say, max_tokens
        self.rows, self.prompts, self.most, self.next = {}, [], 0, 0

    def submit(self, prompt, sampling, seed, conversation=None):
        self.next += 1
        text = self.chats.decode(prompt)
        self.prompts.append(list(prompt))
        room = min(sampling.max_tokens, self.max_tokens - len(prompt))
        whole = [*self.chats(self.say(text, seed), add_special_tokens=False)["input_ids"], END]
        self.rows[self.next] = [whole[: max(room, 0)], 0, len(whole) <= room]
        return self.next

    def step(self):
        self.most, done = max(self.most, len(self.rows)), []
        for ticket, row in list(self.rows.items()):
            row[1] += 1
            if row[1] >= len(row[0]):
                ids = self.rows.pop(ticket)[0]
                done.append((ticket, Generated(ids, [-0.5] * len(ids), [self.version] * len(ids), self.finish(row))))
        return done

    def finish(self, row):
        return "stop" if row[2] else "length"

    def abort(self, tickets):
        return [(ticket, self.rows.pop(ticket)) for ticket in tickets if ticket in self.rows]

    def load_weights(self, tensors, version):
        self.version = version


class Counting:
    """Hears numbers; pays for each that is one more than the last, nothing for what is no number."""

    def __init__(self, prompt):
        self.last, self.goal = int(prompt.columns["start"]), int(prompt.columns["goal"])

    def step(self, reply):
        if reply == "boom":
            raise RuntimeError("the world fell over")
        if not reply.isdigit():
            return Turn(({"role": "tool", "content": "a number, please"},), done=False)
        right, self.last = int(reply) == self.last + 1, int(reply)
        return Turn(({"role": "tool", "content": f"got {reply}"},), self.last >= self.goal, float(right))


class CountTask(TextTask):
    name, max_turns = "count", 4

    def load(self, split, seed):
        return [prompt(start) for start in range(5)]

    def gold(self, one):
        return ()

    def reset(self, one):
        return Counting(one)


def prompt(start, goal=3, text="count"):
    return Prompt(f"p{start}", ({"role": "user", "content": f"{text} {start}"},), {"start": start, "goal": goal})


def counter(text, seed):
    """Counts on from the last number that was said."""
    numbers = [int(word) for word in text.replace("<|", " ").replace("|>", " ").split() if word.isdigit()]
    return str(numbers[-1] + 1)


def test_a_conversation_is_recorded_token_by_token(chats):
    engine = Scripted(chats, counter)
    (row,) = rollout(engine, chats, CountTask(), [prompt(1)], 1, SAMPLING, 0, origin=Origin(2, 1, 40))
    row.validate()
    text = "<|user|>count 1<|end|><|assistant|>2<|end|><|tool|>got 2<|end|><|assistant|>3<|end|>"
    assert chats.tokenizer.decode(row.token_ids) == text.replace("<|tool|>", "<|tool|>")
    assert chats.tokenizer.decode(row.token_ids[row.loss_mask]) == "2<|end|>3<|end|>"
    assert [chats.tokenizer.decode(row.token_ids[:end])[-8:] for end in row.turn_ends] == ["2<|end|>", "3<|end|>"]
    assert row.env_rewards == (1.0, 1.0) and row.finish == "stop" and row.completion == "3"
    assert [m["role"] for m in row.messages] == ["user", "assistant", "tool", "assistant", "tool"]
    assert (row.row_id, row.group_id, row.sequence, row.columns["goal"]) == ("2/1/40/0", "000000000", 40, 3)
    assert set(row.token_versions[row.loss_mask]) == {3} and set(row.token_versions[~row.loss_mask]) == {-1}
    assert set(row.behaviour_log_probs[row.loss_mask]) == {-0.5} and not row.behaviour_log_probs[~row.loss_mask].any()


def test_each_prompt_of_a_later_turn_is_what_was_there_and_more(chats):
    engine = Scripted(chats, counter)
    (row,) = rollout(engine, chats, CountTask(), [prompt(0)], 1, SAMPLING, 0)
    assert len(engine.prompts) == 3
    for earlier, later in zip(engine.prompts, [*engine.prompts[1:], row.token_ids.tolist()], strict=True):
        assert later[: len(earlier)] == earlier


def test_what_the_world_does_not_pay_is_null_and_the_limit_of_turns_ends_an_episode(chats):
    (row,) = rollout(Scripted(chats, lambda *_: "um"), chats, CountTask(), [prompt(0)], 1, SAMPLING, 0)
    assert row.env_rewards == (None,) * 4 and row.finish == "turns"


def test_a_reply_that_is_cut_is_the_last_and_its_world_still_pays(chats):
    engine = Scripted(chats, lambda *_: "1" * 99)
    (row,) = rollout(engine, chats, CountTask(), [prompt(0)], 1, Sampling(1), 0)
    row.validate()
    assert row.finish == "length" and row.completion == "1" and row.env_rewards == (1.0,)


def test_a_prompt_that_is_too_long_is_a_row_without_a_reply(chats):
    engine = Scripted(chats, counter, max_tokens=60)
    rows = rollout(engine, chats, CountTask(), [prompt(0, text="x" * 99), prompt(1)], 2, SAMPLING, 0)
    to_batch(rows)
    assert [row.finish for row in rows[:2]] == ["length"] * 2 and rows[0].length == 60 and not rows[0].loss_mask.any()
    assert [row.finish for row in rows[2:]] == ["stop"] * 2


def test_a_context_that_fills_up_later_ends_the_episode_with_its_last_reply(chats):
    engine = Scripted(chats, counter, max_tokens=24)
    (row,) = rollout(engine, chats, CountTask(), [prompt(0)], 1, SAMPLING, 0)
    row.validate()
    assert row.finish == "length" and row.length == row.turn_ends[-1] <= 24 and row.env_rewards[0] == 1.0


def test_a_world_that_raises_aborts_its_episode_and_no_other(chats, caplog):
    say = {"p0": "boom"}
    engine = Scripted(chats, lambda text, seed: say["p0"] if "count 0" in text else counter(text, seed))
    rows = rollout(engine, chats, CountTask(), [prompt(0), prompt(1)], 1, SAMPLING, 0)
    assert [row.finish for row in rows] == ["aborted", "stop"] and rows[0].env_rewards == (None,)
    assert "prompt p0: RuntimeError: the world fell over" in caplog.text
    to_batch(rows)


@pytest.mark.parametrize(
    "answer",
    [
        Turn(({"role": "dog", "content": "x"},), False),
        Turn(({"role": "tool", "content": "half of an emoji: \ud83d"},), True),
        Turn((), True, float("nan")),
        Turn((), True, -1e39),
        None,
    ],
)
def test_a_world_that_answers_nonsense_aborts_its_episode(chats, answer):
    class Odd(CountTask):
        def reset(self, one):
            return self

        def step(self, reply):
            return answer

    rows = rollout(Scripted(chats, counter), chats, Odd(), [prompt(0)], 1, SAMPLING, 0)
    assert rows[0].finish == "aborted"
    to_batch(rows)


def test_a_world_that_hangs_is_given_up_while_others_go_on(chats, monkeypatch):
    gate, begun = threading.Event(), threading.Event()
    timed = partial(World, clock=lambda: float(begun.is_set()))  # no time passes once it hangs: the others are quick
    monkeypatch.setattr("actors.language.rollout.World", timed)

    class Hangs(CountTask):
        def reset(self, one):
            if one.columns["start"] == 0:
                begun.set()
                gate.wait(60)
            return Counting(one)

    config = Config(world_timeout_s=0.5, world_threads=1)
    rows = rollout(Scripted(chats, counter), chats, Hangs(), [prompt(0), prompt(1)], 1, SAMPLING, 0, config=config)
    gate.set()
    assert [row.finish for row in rows] == ["aborted", "stop"]


def test_an_episode_whose_world_is_quick_goes_on_while_another_waits(chats):
    gate = threading.Event()

    class Slow(CountTask):
        def reset(self, one):
            if one.columns["start"] == 0:
                assert gate.wait(60)
            return Counting(one)

    done = []
    for place, _ in play(Scripted(chats, counter), chats, Slow(), [prompt(0), prompt(1)], 1, SAMPLING, 0):
        done.append(place)
        gate.set()  # the slow world answers only after the other group has finished
    assert done == [1, 0]


def test_new_groups_begin_while_there_is_room(chats):
    engine, taken = Scripted(chats, counter), []

    def source():
        for start in range(5):
            taken.append(start)
            yield prompt(0)

    stream = play(engine, chats, CountTask(), source(), 2, SAMPLING, 0, config=Config(episodes=4))
    next(stream)
    assert len(taken) <= 4 and engine.most == 4
    assert len(list(stream)) == 4 and taken == [0, 1, 2, 3, 4]


def test_whoever_stops_listening_leaves_the_engine_empty(chats):
    engine = Scripted(chats, lambda text, seed: "7" if "count 0" in text else "um um um um")
    stream = play(engine, chats, CountTask(), [prompt(0), prompt(1)], 1, SAMPLING, 0)
    next(stream)
    stream.close()
    assert engine.rows == {}


def test_new_weights_in_mid_rollout_are_in_the_versions_of_the_tokens(chats):
    given = iter([None, None, None, ({}, 8)])
    engine = Scripted(chats, counter)
    (row,) = rollout(engine, chats, CountTask(), [prompt(0)], 1, SAMPLING, 0, poll=lambda: next(given, None))
    assert (row.policy_version_min, row.policy_version_max) == (3, 8)
    row.validate()


def test_a_member_s_chance_depends_on_run_group_member_and_turn_alone(chats):
    def seeds(prompts, groups, seed=0, size=2):
        heard = {}

        def say(text, seed):
            heard.setdefault(text, set()).add(seed)
            return "um"

        rollout(Scripted(chats, say), chats, CountTask(), prompts, size, SAMPLING, seed, groups=groups)
        return heard

    whole = seeds([prompt(0), prompt(1)], [4, 9])
    assert seeds([prompt(1)], [9]).items() <= whole.items()
    assert all(len(one) == 2 for one in whole.values()) and len(set().union(*whole.values())) == 16
    assert not seeds([prompt(1)], [9], seed=1).items() <= whole.items()


def model_of(chats):
    torch.manual_seed(0)
    sizes = {"vocab_size": len(chats.tokenizer), "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    more = {"num_attention_heads": 2, "max_position_embeddings": 256, "initializer_range": 0.3, "eos_token_id": END}
    return LlamaForCausalLM(LlamaConfig(**sizes, **more, pad_token_id=0, bos_token_id=1)).eval()


@pytest.mark.slow
def test_with_a_real_model_rows_hold_its_log_probs_and_lockstep_gives_every_bit_again(chats):
    model, task = model_of(chats), CountTask()
    asked = [prompt(start, text="so " * start) for start in range(3)]
    config = Config(lockstep=True)

    def once():
        engine = TextGenerator(model_of(chats), chats.tokenizer, range(60), 256)
        return rollout(engine, chats, task, asked, 2, Sampling(12), 5, config=config)

    rows, again = once(), once()
    assert to_batch(rows).equals(to_batch(again)) and from_batch(to_batch(rows))[0].length == rows[0].length
    assert max(len(row.turn_ends) for row in rows) > 1
    for row in rows:
        with torch.inference_mode():
            logits = model(input_ids=torch.from_numpy(row.token_ids.astype(np.int64))[None], use_cache=False).logits[0]
        log_probs = logits.log_softmax(-1)[:-1].gather(
            -1, torch.from_numpy(row.token_ids[1:].astype(np.int64))[:, None]
        )
        own = row.loss_mask[1:]
        np.testing.assert_allclose(row.behaviour_log_probs[1:][own], log_probs[:, 0].numpy()[own], atol=1e-4)
        assert Conversations(chats.tokenizer).opening(row.messages[:1]) == row.token_ids[: row.prompt_length].tolist()
