import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.judges.judge import Question
from rewards.judges.rules import EVENTS, VALUES, RulesJudge, prefer, tier, topics_of
from rewards.verdicts import Status

# caption, then its worth for exploring, gold, peace and combat
KNOWN = [
    ("You descend the stairs.", 2, 1, 2, 0),
    ("You descend to dungeon level 2.", 2, 1, 2, 0),
    ("You climb to dungeon level 1.", -1, 0, 0, 0),
    ("There is a staircase down here.", 1, 0, 1, 0),
    ("There is a staircase up here.", 0, 0, 0, 0),
    ("a key.", 2, 1, 1, 0),
    ("You see here a key.", 1, 0, 0, 0),
    ('The key: "..." You succeed in unlocking the door. The door resists! The door opens.', 2, 1, 1, -1),
    ("The stairs are solidly fixed to the floor.", -1, -1, -1, -1),
    ("You succeed in unlocking the door.", 2, 1, 1, 0),
    ("The door opens.", 2, 1, 1, 0),
    ("As you kick the door, it crashes open!", 2, 1, 1, 0),
    ("WHAMM!", -1, -1, -1, -1),
    ("This door is locked.", -1, -1, -1, -1),
    ("You push the boulder into the water. Now you can cross it!", 2, 1, 1, 0),
    ("With great effort you move the boulder.", 1, 0, 0, 0),
    ("You try to move the boulder, but in vain.", -1, -1, -1, -1),
    ("You stop. Your kitten is in the way.", -1, -1, -1, -1),
    ("It's a wall.", -1, -1, -1, -1),
    ("You see no objects here.", -1, -1, -1, -1),
    ("You kill the newt!", 1, 0, -1, 2),
    ("You kill the newt! Welcome to experience level #.", 1, 0, -1, 2),
    ("The jackal bites!", -1, -1, -1, -1),
    ("The jackal misses!", 0, 0, 0, 0),
    ("The jackal bites! You die...", -1, -1, -1, -1),
    ("# gold pieces.", 1, 2, 0, 0),
    ("You see here a gold ring.", 0, 0, 0, 0),
    ("The leprechaun steals your gold!", -1, -1, 0, -1),
    ("an apple.", 1, 0, 0, 0),
    ("This apple is delicious.", 1, 0, 1, 1),
    ("You are hungry.", -1, -1, -1, -1),
    ("You are not hungry.", 1, 0, 1, 1),
    ("You fall into a pit!", -1, -1, -1, -1),
    ("You fall through a trap door!", 2, 1, 2, 0),
    ("You fall into the water! You sink like a rock.", -1, -1, -1, -1),
    ("You hear the footsteps of a guard on patrol.", 0, 0, 0, 0),
    ("Something is now in your pack.", 1, 0, 0, 0),
    ("", 0, 0, 0, 0),
]


@pytest.mark.slow
@pytest.mark.parametrize("case", KNOWN, ids=[case[0] for case in KNOWN])
def test_known_messages_have_the_worth_that_a_player_would_give_them(case):
    assert tuple(tier(case[0], (topic,)) for topic in ("explore", "gold", "peace", "combat")) == case[1:]


@pytest.mark.parametrize(
    ("goal", "topics"),
    [
        ("explore and descend", ("explore",)),
        ("collect gold", ("gold",)),
        ("avoid combat", ("peace",)),
        ("kill monsters", ("combat",)),
        ("maximise the score", ("score",)),
        ("collect gold and avoid combat", ("peace", "gold")),
        ("know all monsters", ("combat",)),
        ("get under the ball and catch it", ("catch",)),
    ],
)
def test_a_goal_in_words_names_its_topics(goal, topics):
    assert topics_of(goal) == topics


def test_a_goal_that_the_book_does_not_know_is_refused_with_a_remedy():
    with pytest.raises(ValueError, match="use a language-model judge"):
        RulesJudge("whistle a tune")


def test_the_tables_name_only_events_that_exist():
    named = {event for tiers in VALUES.values() for events in tiers.values() for event in events.split(", ")}
    assert named <= set(EVENTS)


def test_answers_are_hard_and_in_order():
    questions = [
        Question("1", "caption", ("You descend the stairs.",)),
        Question("2", "pair", ("It's a wall.", "You descend the stairs.")),
        Question("3", "pair", ("You hear some noises.", "It is dark.")),
        Question("4", "caption", ("It's a wall.",)),
    ]
    answers = asyncio.run(RulesJudge("explore and descend").judge(questions))
    assert [a.value for a in answers] == [1.0, 0.0, 0.5, 0.0]
    assert all(a.status is Status.OK for a in answers)


def test_the_fingerprint_changes_with_the_topic_and_not_with_the_wording():
    assert RulesJudge("collect gold").fingerprint != RulesJudge("avoid combat").fingerprint
    assert RulesJudge("collect gold").fingerprint == RulesJudge("gather coins").fingerprint


@given(st.integers(-1, 2), st.integers(-1, 2))
def test_preferences_of_swapped_pairs_sum_to_one(first, second):
    assert prefer(first, second) + prefer(second, first) == 1.0


@given(st.text())
def test_any_text_has_a_tier(text):
    assert tier(text, ("explore",)) in (-1, 0, 1, 2)


def test_what_the_book_does_not_judge_has_no_value():
    group = Question("1", "group", ("You descend the stairs.", "It's a wall."))
    caption = Question("2", "caption", ("You descend the stairs.",))
    refused, told = asyncio.run(RulesJudge().judge([group, caption]))
    assert (refused.status, refused.value, told.value) == (Status.JUDGE_FAULT, None, 1.0)
