import pytest

from rewards.sources.adversarial_principles import AdversarialPrinciples, Ruling, Sample

FLAWS = ["rhymes badly", "is rude", "is about work"]


def judge(principles, text):
    found = [flaw for flaw in principles if flaw in text]
    return Ruling(not found, ", ".join(found), "say it softly" if found else "")


def forge(strategies, number):
    """Hides the flaws that nobody has caught yet."""
    fresh = [flaw for flaw in FLAWS if flaw not in strategies] or FLAWS
    return [Sample(f"a poem that {fresh[k % len(fresh)]}", fresh[k % len(fresh)]) for k in range(number)]


def learn(principles, mistakes):
    return [one.flaw for one, _ in mistakes if one.flaw]


def hide(strategies, caught):
    return [one.flaw for one, _ in caught]


def played(game, **options):
    return game.play(judge, forge, learn, hide, ["a poem of spring"], **options)


def test_without_a_round_the_principles_are_what_they_were():
    game = AdversarialPrinciples(["is rude"])
    assert game.principles == ["is rude"] and game.rounds == 0
    assert [game.reward(judge, text) for text in ("a poem that is rude", "a poem that rhymes badly")] == [0.0, 1.0]


def test_what_was_missed_is_learnt_and_what_was_caught_is_hidden_by_hand():
    game = AdversarialPrinciples(["is rude"])
    # Three flaws, one of them caught; three good ones let pass: four of six are right.
    assert played(game, batch=3) == pytest.approx(4 / 6)
    assert game.principles == ["is rude", "rhymes badly", "is about work"] and game.strategies == ["is rude"]
    assert played(game, batch=3) == 1.0 and game.rounds == 2
    assert game.strategies == ["is rude", "rhymes badly", "is about work"]
    assert game.reward(judge, "a poem that rhymes badly") == 0.0


def test_a_list_does_not_grow_beyond_its_length_and_repeats_nothing():
    game = AdversarialPrinciples(["is rude"], most=2)
    for _ in range(3):
        played(game)
    assert game.principles == ["is rude", "rhymes badly"] and len(set(game.strategies)) == len(game.strategies) <= 2


def test_a_good_text_that_is_refused_is_a_mistake_that_is_reflected_on():
    told = []
    game = AdversarialPrinciples(["spring"])
    found = game.play(judge, lambda _, n: [], lambda _, lost: told.extend(lost) or [], hide, ["a poem of spring"], 1)
    assert found == 0.0 and told == [(Sample("a poem of spring"), Ruling(False, "spring", "say it softly"))]


def test_a_round_without_texts_is_refused():
    with pytest.raises(ValueError, match="expected some of both"):
        AdversarialPrinciples([]).play(judge, forge, learn, hide, [])
