from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.blstats import BLSTATS_SIZE, Blstat
from envs.captions import (
    FirstOf,
    Joined,
    MessageCaptioner,
    NoCaptions,
    StatusCaptioner,
    canonicalise,
    caption_id,
    nethack_captioner,
    signs_of,
)
from envs.environment import Signs
from envs.timestep import transition

PIECES = [' "', '"', " named ", " called ", "--More--", "g - ", "a - b - ", "12", "+1", "#", ". ", "?", " (n)", "\x1b"]
PIECES += [" [ab or ?*] ", "Welcome to X's ", "Program in disorder!", "Can't open 'rumors' file.", "--", "More", "\x00"]
pieces = st.one_of(
    st.text(max_size=12),
    st.sampled_from(PIECES),
)


@given(st.lists(pieces, max_size=12).map("".join))
def test_canonicalising_twice_is_canonicalising_once(message):
    once = canonicalise(message)
    assert canonicalise(once) == once


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_messages_that_differ_in_amount_only_share_a_caption(a, b):
    assert canonicalise(f"$ - {a} gold pieces.") == canonicalise(f"$ - {b} gold pieces.")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("g - a key", "a key"),
        ("$ - 23 gold pieces.", "# gold pieces."),
        ("  You see here\n 3 darts.  ", "You see here # darts."),
        ("The newt bites!--More--", "The newt bites!"),
        ("g - a key named The Master Key of Thievery.", "a key."),
        ("You see here a dog called Fido the 2nd (peaceful).", "You see here a dog (peaceful)."),
        ('You read: "ad aerarium".', 'You read: "...".'),
        ("You see here. h - a +1 dagger.", "You see here. a # dagger."),
        ("It is 2026-03-14, 10:30.", "It is #, #."),
        ("What do you want to eat? [fghi or ?*] ", "What do you want to eat?"),
        ("Really attack the kitten? [yn] (n)", "Really attack the kitten?"),
        ("Hello! Welcome to Asidonhopo's general store!", "Hello! Welcome to the general store!"),
        ("Can't open 'rumors' file.  Program in disorder!  The door opens.", "The door opens."),
        ("\x00\x1b", ""),
    ],
)
def test_what_varies_without_meaning_is_taken_out(message, expected):
    assert canonicalise(message) == expected


@given(st.text())
def test_caption_ids_are_positive_63_bit_numbers_and_0_means_nothing_was_said(text):
    identity = caption_id(text)
    assert 0 <= identity < 2**63
    assert (identity == 0) == (text == "")


def test_caption_ids_are_the_same_on_every_machine():
    # blake2b-64("It's a wall.") >> 1, computed apart: the stored experience of all runs depends on it.
    import hashlib

    assert caption_id("It's a wall.") == int(hashlib.blake2b(b"It's a wall.", digest_size=8).hexdigest(), 16) // 2


def stats(**values):
    array = np.zeros(BLSTATS_SIZE, np.int32)
    array[Blstat.HP_MAX], array[Blstat.HP], array[Blstat.DEPTH] = 12, 12, 1
    array[Blstat.EXPERIENCE_LEVEL], array[Blstat.HUNGER] = 1, 1
    for name, value in values.items():
        array[Blstat[name.upper()]] = value
    return array


def step(message="", letters=b"", **values):
    raw = np.zeros(256, np.uint8)
    raw[: len(message)] = np.frombuffer(message.encode("latin-1"), np.uint8)
    inventory = np.zeros(55, np.uint8)
    inventory[: len(letters)] = np.frombuffer(letters, np.uint8)
    return transition(0.0, {"message": raw, "blstats": stats(**values), "inv_letters": inventory})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, ""),
        ({"time": 9, "x": 3, "score": 5}, ""),
        ({"depth": 3}, "You descend to dungeon level 3."),
        ({"hp": 8}, "You are hurt."),
        ({"hp": 3}, "You are badly hurt."),
        ({"gold": 7}, "You gain gold."),
        ({"experience_level": 2}, "You rise to experience level 2."),
        ({"experience_points": 4}, "You gain experience."),
        ({"hunger": 2}, "You are hungry."),
        ({"letters": b"ab"}, "Something is now in your pack."),
        ({"depth": 2, "gold": 1}, "You descend to dungeon level 2. You gain gold."),
    ],
)
def test_status_changes_are_told_in_plain_english(change, expected):
    captioner = StatusCaptioner()
    captioner.reset(step(letters=b"a"))
    assert captioner.caption(step(**{"letters": b"a", **change})) == expected
    assert captioner.caption(step(**{"letters": b"a", **change})) == "", "told once"


def test_climbing_recovering_and_losing_items_are_told_too():
    captioner = StatusCaptioner()
    captioner.reset(step(depth=3, hp=2, letters=b"ab"))
    told = captioner.caption(step(depth=2, hp=5, letters=b"a"))
    assert told == "You climb to dungeon level 2. You recover health. Something has left your pack."


def test_the_blank_status_line_of_a_finished_game_is_no_change():
    captioner = StatusCaptioner()
    captioner.reset(step(gold=50))
    over = transition(0.0, {"blstats": np.zeros(BLSTATS_SIZE, np.int32)})
    assert captioner.caption(over) == ""


def test_status_changes_tolerate_missing_observations():
    captioner = StatusCaptioner()
    nothing = transition(0.0, {"message": np.zeros(256, np.uint8)})
    captioner.reset(nothing)
    assert captioner.caption(nothing) == ""


def test_an_unknown_status_change_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"got status changes \['luck'\]; expected some of \['depth'"):
        StatusCaptioner(["luck"])


def test_the_message_is_read_as_latin_1_without_its_zeros():
    assert MessageCaptioner().caption(step("The caf\xe9 opens.")) == "The caf\xe9 opens."


def test_the_first_captioner_with_something_to_say_is_heard_and_the_others_stay_right():
    captioner = FirstOf(MessageCaptioner(), StatusCaptioner(["gold"]))
    captioner.reset(step())
    assert captioner.caption(step("Hello.", gold=5)) == "Hello."
    assert captioner.caption(step(gold=5)) == "", "the gold came with the message"
    assert captioner.caption(step(gold=9)) == "You gain gold."


def test_joined_captioners_all_speak():
    captioner = Joined(MessageCaptioner(), NoCaptions(), StatusCaptioner(["gold"]))
    captioner.reset(step())
    assert captioner.caption(step("Hello.", gold=5)) == "Hello. You gain gold."


def test_a_descent_is_told_even_if_a_message_comes_with_it():
    captioner = nethack_captioner()
    captioner.reset(step())
    assert captioner.caption(step("You see here a newt corpse.", depth=2, hp=5)) == (
        "You descend to dungeon level 2. You see here a newt corpse."
    )


def test_no_captions_say_nothing():
    assert NoCaptions().caption(SimpleNamespace()) == ""


def test_a_captioner_that_tells_something_else_than_its_parent_is_asked_at_every_step():
    class Shout(MessageCaptioner):
        def caption(self, timestep):
            return "Boo!"

    assert signs_of(MessageCaptioner()) == Signs(speaks=("message",))
    assert signs_of(Shout()) is None and signs_of(Joined(MessageCaptioner(), Shout())) is None
    assert signs_of(NoCaptions()) == Signs()
    both = signs_of(FirstOf(MessageCaptioner(), StatusCaptioner(["gold", "depth"]), StatusCaptioner(["depth"])))
    assert both == Signs(("message",), {"blstats": (int(Blstat.DEPTH), int(Blstat.GOLD))}) or both == Signs(
        ("message",), {"blstats": (int(Blstat.GOLD), int(Blstat.DEPTH))}
    )
