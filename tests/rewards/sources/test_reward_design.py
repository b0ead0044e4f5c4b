from __future__ import annotations

import pytest

from rewards.sources.reward_design import RewardDesign, Roles

FIELDS = ("distance",)


def program(expression):
    return f"def reward(prev_obs, obs):\n    return {expression}, 0\n"


def designer(*programs):
    """Writes these, one after the other; what it was told each time is noted."""
    told, rest = [], iter(programs)

    def design(analyses, complaints):
        told.append((analyses, complaints))
        return next(rest)

    return design, told


def roles(design, review=lambda text: (), analyse=lambda steps: f"saw {list(steps)}"):
    return Roles(design, review, analyse)


def test_a_fault_is_written_again_and_what_was_wrong_is_told():
    design, told = designer(program("obs['dist']"), program("obs['distance']"))
    made = RewardDesign(FIELDS, roles(design))
    assert made.next() == program("obs['distance']") == made.programs[-1]
    assert told[0] == ((), ()) and "no field 'dist'" in told[1][1][0]
    assert [text for text, _ in made.refused] == [program("obs['dist']")]


def test_the_review_is_asked_about_programs_that_can_be_read_alone_and_may_refuse_them():
    seen = []

    def review(text):
        seen.append(text)
        return ("it pays for standing still",) if "1" in text else ()

    design, told = designer("import os", program("1"), program("obs['distance']"))
    made = RewardDesign(FIELDS, roles(design, review))
    assert made.next() == program("obs['distance']")
    assert seen == [program("1"), program("obs['distance']")] and told[2][1] == ("it pays for standing still",)


def test_after_so_many_attempts_the_program_of_before_stays():
    design, told = designer(program("0"), "no", "no", "no", program("1"))
    made = RewardDesign(FIELDS, roles(design), attempts=3)
    assert made.next() == program("0") and made.next() is None
    assert made.programs == [program("0")] and len(told) == 4
    with pytest.raises(ValueError, match="attempts"):
        RewardDesign(FIELDS, roles(design), attempts=0)


def test_the_next_design_is_told_what_was_seen_at_the_ends_of_failures():
    design, told = designer(program("0"), program("1"))
    made = RewardDesign(FIELDS, roles(design))
    made.next()
    made.learnt([["a", "b", "c"], ["d"]], tail=2)
    made.learnt([], tail=2)
    made.next()
    assert told[-1] == ((seen := "saw [['b', 'c'], ['d']]",), ()) and made.analyses == [seen]
