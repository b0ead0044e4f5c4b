import numpy as np
import pytest
import torch

from rewards.models.contrastive import ContrastiveEncoder

SEEN = np.repeat(np.eye(3), 4, axis=0)
SAID = np.repeat(["a red ball", "a green box", "a blue bowl"], 4).tolist()


@pytest.mark.slow
def test_what_belongs_together_comes_to_be_nearest():
    before = torch.random.get_rng_state()
    encoder = ContrastiveEncoder(3, seed=1)
    encoder.train(SEEN, SAID, steps=60)
    assert torch.equal(before, torch.random.get_rng_state())
    likeness = encoder.of_seen(np.eye(3)) @ encoder.of_texts(["a red ball", "a green box", "a blue bowl"]).T
    assert likeness.argmax(1).tolist() == [0, 1, 2] == likeness.argmax(0).tolist()
    np.testing.assert_allclose(np.linalg.norm(encoder.of_seen(np.eye(3)), axis=1), 1, rtol=1e-6)


def test_the_same_seed_learns_the_same_and_a_caption_too_few_is_refused():
    made = [ContrastiveEncoder(3, seed=2) for _ in range(2)]
    assert made[0].train(SEEN, SAID, steps=5) == made[1].train(SEEN, SAID, steps=5)
    with pytest.raises(ValueError, match="got 11 captions"):
        made[0].train(SEEN, SAID[1:])
