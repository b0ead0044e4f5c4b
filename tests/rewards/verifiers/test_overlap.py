"""BLEU, chrF and ROUGE against sacrebleu and rouge-score, and by hand."""

from __future__ import annotations

import math

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from rewards.functions import PolicyFault
from rewards.verifiers.overlap import LONGEST, bleu, chrf, rouge_l, rouge_n, tagged_bleu

SENTENCES = [
    "the cat sat on the mat",
    "the cat is on the mat today",
    "a dog barked at the cat, loudly",
    "there is a cat on the mat",
    "on the mat sat the cat",
]
words = st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), min_size=1, max_size=12).map(" ".join)


@pytest.mark.slow
@pytest.mark.parametrize("written", SENTENCES)
@pytest.mark.parametrize("wanted", SENTENCES)
def test_with_one_reference_bleu_and_chrf_are_sacrebleus(written, wanted):
    assert bleu(written, wanted) == pytest.approx(
        sacrebleu.sentence_bleu(written, [wanted], use_effective_order=True).score / 100
    )
    assert chrf(written, wanted) == pytest.approx(sacrebleu.sentence_chrf(written, [wanted]).score / 100)


@given(words, st.lists(words, max_size=3))
def test_a_reference_itself_scores_one(written, others):
    assert bleu(written, [*others, written]) == pytest.approx(1.0)
    assert chrf(written, [*others, written]) == pytest.approx(1.0)
    assert rouge_l(written, [*others, written]) == pytest.approx(1.0)


@pytest.mark.slow
@given(words, st.lists(words, min_size=1, max_size=4), words)
def test_one_more_reference_never_lowers_a_score(written, references, more):
    for measure in (bleu, rouge_n, rouge_l):
        assert measure(written, [*references, more]) >= measure(written, references) - 1e-12


def test_bleu_by_hand():
    # "a b" of "a b c": 2/2 unigrams, 1/1 bigrams, effective order 2; brevity exp(1 - 3/2).
    assert bleu("a b", "a b c") == pytest.approx(math.exp(-0.5))


def test_the_shortest_reference_measures_brevity():
    # Against "a" alone there is no brevity penalty; the nearest in length would bring one back.
    assert bleu("a b c d e f", ["a b c", "a b c d e f g"]) == pytest.approx(1.0)


def test_rouge_abstains_where_it_knows_no_word_of_a_reference():
    for measure in (rouge_n, rouge_l):
        assert measure("кошка спит", "кошка спит") is None and measure("a cat", ["猫", ""]) is None
        assert measure("a cat", ["猫", "a cat"]) == 1.0 and measure("猫", "a cat") == 0.0


def test_pairs_of_words_say_nothing_of_a_reference_of_one():
    assert rouge_n("yes", "yes", n=2) is None and rouge_n("a cat", ["cat", "a cat"], n=2) == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("written", SENTENCES)
@pytest.mark.parametrize("wanted", SENTENCES)
def test_rouge_is_rouge_scores(written, wanted):
    rouge_scorer = pytest.importorskip("rouge_score.rouge_scorer")
    scores = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"]).score(wanted, written)
    assert rouge_n(written, wanted) == pytest.approx(scores["rouge1"].fmeasure)
    assert rouge_n(written, wanted, n=2) == pytest.approx(scores["rouge2"].fmeasure)
    assert rouge_l(written, wanted) == pytest.approx(scores["rougeL"].fmeasure)


def test_rouge_by_hand():
    # Longest common subsequence of "b a c" and "a b c" has 2 words: 2*2/6.
    assert rouge_l("b a c", "a b c") == pytest.approx(2 / 3)
    assert rouge_n("a a b", "a b b") == pytest.approx(2 / 3)
    assert rouge_l("", "a") == 0.0


def test_without_references_they_abstain_and_a_text_without_end_is_a_fault():
    for measure in (bleu, chrf, rouge_n, rouge_l):
        assert measure("a", []) is None
        with pytest.raises(PolicyFault, match="at most"):
            measure("a" * (LONGEST + 1), "a")


def test_tagged_bleu_is_minus_three_when_malformed_and_two_when_perfect():
    assert tagged_bleu("le chat", "the cat sat here") == -3.0
    assert tagged_bleu("<think>hm</think><translate>the cat sat here</translate>", "the cat sat here") == pytest.approx(
        2.0
    )
    assert tagged_bleu("<think>hm</think><translate>dog</translate>", []) is None
