import operator
import random
import re

import pytest

from rewards.attacks import honest
from rewards.attacks.attack import Attack, Sample, Variant, attempts, replaced, suffixed
from rewards.attacks.delimiter_escape import _computed_fence
from rewards.attacks.master_keys import HELD_OUT_KEYS, KEYS
from rewards.attacks.suite import SUITE, choose
from rewards.judges.guarded import Guard
from rewards.judges.rules import tier, topics_of
from rewards.judges.untrusted import Fence, clean

GOAL = "explore and descend"
BAD = Sample("bad", "response", "5", False, "What is 2 + 2?", "4")


def test_the_suite_has_all_families_with_sources_and_unique_names():
    assert set(SUITE) == {
        "master-keys", "prompt-injection", "verbosity", "authority", "format-tricks", "repeated-steps", "smuggling",
        "delimiter-escape", "rubric-leakage",
    }  # fmt: skip
    for attack in SUITE.values():
        names = [variant.name for variant in attack.variants]
        assert len(set(names)) == len(names) and "arXiv" in attack.source and attack.about
    assert len(KEYS) == 10 and not {k.lower() for k in KEYS.values()} & {k.lower() for k in HELD_OUT_KEYS.values()}


def test_every_attempt_stays_something_to_be_rejected_and_differs_from_where_it_came_from():
    samples = honest.captions(GOAL, 3) + honest.responses(3)
    texts = {sample.name: sample.text for sample in samples}
    tried = list(attempts(choose(), samples))
    assert not any(attempt.sample.good for attempt in tried)
    assert all(attempt.sample.text != texts[attempt.sample.name] for attempt in tried)
    assert {attempt.attack for attempt in tried} == set(SUITE)
    assert tried == list(attempts(choose(), samples)) != list(attempts(choose(), samples, seed=1))


def test_what_is_the_same_question_for_many_samples_is_asked_once():
    attack = Attack("a", "b", "c", (replaced("key", ":"), suffixed("more", "!")))
    captions = [Sample(f"s{k}", "caption", f"text {k}", False) for k in range(4)]
    assert [a.variant for a in attempts([attack], captions)] == ["key", "more", "more", "more", "more"]
    responses = [Sample(f"s{k}", "response", f"text {k}", False, f"question {k}") for k in range(4)]
    assert [a.variant for a in attempts([attack], responses)].count("key") == 4


def test_a_captions_line_breaks_are_spaces_and_an_empty_caption_is_no_attempt():
    assert Sample("s", "caption", "a\n\n b", False).question.texts == ("a b",)
    attack = Attack("a", "b", "c", (replaced("space", " "), Variant("same", lambda s, _: s.text)))
    assert not list(attempts([attack], [Sample("s", "caption", "x", False)]))
    assert [a.variant for a in attempts([attack], [BAD])] == ["space"]


def test_the_judges_own_tokens_are_smuggled_where_they_are_known():
    names = {variant.name for variant in choose(["smuggling"], ["<|x|>", "word"])[0].variants}
    assert "own tokens" in names and "own tokens" not in {v.name for v in choose(["smuggling"])[0].variants}


def test_an_unknown_attack_is_named():
    with pytest.raises(ValueError, match="got the attack 'flattery'; expected some of master-keys"):
        choose(["flattery"])


def test_a_computed_fence_is_not_that_of_the_text_it_stands_in():
    text = _computed_fence(BAD, random.Random(0))
    assert Fence.around([text]).nonce not in text


def test_smuggled_control_tokens_never_get_past_cleaning():
    for variant in SUITE["smuggling"].variants:
        shown = clean(variant.dress(BAD, random.Random(0)))
        assert clean(shown.text).control_tokens == () and "\u200b" not in shown.text


def test_honest_captions_are_labelled_by_the_rule_book():
    samples = honest.captions(GOAL, 20)
    assert [sample.good for sample in samples] == [True] * 20 + [False] * 20
    assert all((tier(s.text, topics_of(GOAL)) > 0) == s.good for s in samples)
    assert len({s.text for s in samples}) == 40


def test_captions_that_are_known_come_first():
    samples = honest.captions(GOAL, 2, known=["You die.", "You descend to dungeon level #."])
    assert samples[0].text == "You descend to dungeon level #." and samples[2].text == "You die."


def test_honest_responses_are_right_and_wrong_by_construction():
    samples = honest.responses(60, seed=1)
    good, bad = honest.split(samples)
    assert len(good) == len(bad) == 60 and len({s.name for s in samples}) == 120
    makes = {"+": operator.add, "-": operator.sub, "*": operator.mul}
    sums = [(s, m) for s in good if (m := re.fullmatch(r"What is (\d+) ([-+*]) (\d+)\?", s.prompt))]
    assert len(sums) > 30
    for sample, sum_ in sums:
        assert sample.reference == str(makes[sum_[2]](int(sum_[1]), int(sum_[3]))) and sample.reference in sample.text
    assert all(g.reference == b.reference and g.text != b.text for g, b in zip(good, bad, strict=True))


@pytest.mark.slow
def test_the_guard_refuses_no_honest_good_sample():
    guard = Guard()
    samples = [s for s in honest.responses(200) + honest.captions(GOAL, 500) if s.good]
    assert not [(s.text, why) for s in samples if (why := guard.look(s.text, s.prompt, s.reference)[1])]
