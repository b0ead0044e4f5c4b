"""The tiny model's lessons: demonstrations, and the slips in them; and that it is written without a bar."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest

from envs.language.task import slipped
from envs.language.tasks.arithmetic import Arithmetic
from envs.language.tasks.cipher import Cipher
from envs.language.tasks.praise import Praise, gold_praise
from pipelines.language import models
from pipelines.language.roles import LearnerRole
from pipelines.language.tiny_model import demonstration, kept


def test_a_slip_changes_one_digit_by_one():
    for seed in range(200):
        changed = slipped("is 1909", random.Random(seed))
        ((before, after),) = [(a, b) for a, b in zip("is 1909", changed, strict=True) if a != b]
        assert (int(after) - int(before)) % 10 in (1, 9)


def test_every_digit_may_slip_either_way():
    assert {slipped("09", random.Random(seed)) for seed in range(200)} == {"19", "99", "00", "08"}


def test_an_answer_without_digits_cannot_slip():
    with pytest.raises(ValueError, match="expected a digit"):
        slipped("a river", random.Random(0))


def test_a_demonstration_ends_with_the_gold_reply_unless_it_slips():
    task = Arithmetic()
    prompt = task.load("train", 0)[0]
    right, wrong = demonstration(task, prompt), demonstration(task, prompt, random.Random(0))
    assert right[-1]["content"] == prompt.columns["answer"] != wrong[-1]["content"]
    assert right[:-1] == wrong[:-1]


def test_a_task_may_err_in_its_own_way():
    task = Praise()
    prompt = task.load("train", 0)[0]
    said = {demonstration(task, prompt, random.Random(seed))[-1]["content"] for seed in range(50)}
    assert len(said) > 20 and min(gold_praise(one, prompt.columns["thing"]) for one in said) < 0.2
    assert said == {demonstration(task, prompt, random.Random(seed))[-1]["content"] for seed in range(50)}


def test_a_task_whose_gold_reply_has_no_digit_refuses_slips():
    task = Cipher()
    with pytest.raises(ValueError, match="expected a digit"):
        demonstration(task, task.load("train", 0)[0], random.Random(0))


def test_models_of_ours_are_built_and_saved_without_a_bar(tmp_path, monkeypatch, bars):
    seen = []

    def look(directory):
        seen.append(bars.is_progress_bar_enabled())

    kept(tmp_path / "tiny", look)
    monkeypatch.setattr(models, "save_tokenizer", lambda model, directory: None)
    LearnerRole.save(SimpleNamespace(learner=SimpleNamespace(save=look)), tmp_path / "policy", "tiny")
    assert seen == [False, False] and bars.is_progress_bar_enabled()
