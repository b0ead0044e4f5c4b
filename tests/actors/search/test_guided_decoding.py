from __future__ import annotations

import math

import pytest
import torch

from actors.search.guided_decoding import decode

TABLE = torch.tensor([[0.1, 0.5, 0.4], [0.3, 0.2, 0.5], [0.2, 0.6, 0.2]]).log()


def bigrams(texts):
    """Logits by the last token; at first those behind token 0."""
    return TABLE[texts[:, -1] if texts.shape[1] else torch.zeros(len(texts), dtype=torch.long)]


def twos(texts, rows):
    return (texts == 2).sum(1).float()


def refused(texts, rows):
    raise AssertionError("nobody is to be asked")


def test_without_strength_it_is_plain_sampling():
    found = decode(bigrams, refused, 6, 5, 0.0, generator=torch.Generator().manual_seed(3))
    generator, texts, ended = torch.Generator().manual_seed(3), torch.zeros(6, 0, dtype=torch.long), torch.zeros(6) > 0
    for _ in range(5):
        token = torch.multinomial(bigrams(texts).softmax(-1), 1, generator=generator)[:, 0]
        token = torch.where(ended, 0, token)
        ended |= token == 0
        texts = torch.cat([texts, token[:, None]], 1)
    assert torch.equal(found, texts)


def test_one_token_is_drawn_by_the_tilted_chances():
    # chances 0.1, 0.5, 0.4 and a reward of 1 for token 2: 0.6 to 0.4 · 3
    found = decode(bigrams, twos, 20_000, 1, math.log(3), generator=torch.Generator().manual_seed(0))
    assert (found == 2).float().mean().item() == pytest.approx(1.2 / 1.8, abs=0.02)
    found = decode(bigrams, twos, 20_000, 1, -math.log(3), generator=torch.Generator().manual_seed(0))
    assert (found == 2).float().mean().item() == pytest.approx(0.4 / 2.2, abs=0.02)


def test_a_strong_reward_decides_among_the_likeliest_alone_and_what_has_ended_stays_so():
    sought = decode(bigrams, twos, 8, 4, 1e3, top=3)
    assert (sought == 2).all()
    # Behind token 1 the two likeliest are 2 and 0; a reward of 1 for 0 ends it there.
    ended = decode(lambda texts: TABLE[[1] * len(texts)], lambda texts, rows: -twos(texts, rows), 8, 4, 1e3, top=2)
    assert (ended == 0).all()


def test_each_text_is_rewarded_by_its_own_row():
    # The last token of a row is to be its number.
    wanted = torch.tensor([1, 2, 1])
    found = decode(bigrams, lambda texts, rows: (texts[:, -1] == wanted[rows]).float(), 3, 3, 1e3, top=3)
    assert (found == wanted[:, None]).all()
    with pytest.raises(ValueError, match="got 0 rows"):
        decode(bigrams, twos, 0, 3, 1.0)
