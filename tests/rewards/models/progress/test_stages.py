from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rewards.models.progress.stages import Staged, StageProgress, rewound, windows


def test_progress_is_what_is_behind_the_likeliest_stage_and_its_share_of_what_is_done_within():
    told = Staged(torch.tensor([[2.0, 0.0, 1.0], [0.0, 1.0, 3.0]]), torch.tensor([[0.5, 0.9, 0.9], [0.1, 0.1, 0.25]]))
    assert told.progress(torch.tensor([0.2, 0.4, 0.4])).tolist() == pytest.approx([0.1, 0.7])


def test_the_loss_by_hand_looks_at_the_progress_of_the_true_stage_alone():
    told = Staged(torch.zeros(1, 2), torch.tensor([[0.5, 0.9]]))
    assert told.loss(torch.tensor([0]), torch.tensor([0.2])).item() == pytest.approx(math.log(2) + 0.09)


def test_the_seed_determines_the_weights_and_the_global_generator_is_left_alone():
    before = torch.random.get_rng_state()
    one, other, third = StageProgress(3, 2, seed=1), StageProgress(3, 2, seed=1), StageProgress(3, 2, seed=2)
    assert torch.equal(before, torch.random.get_rng_state())
    seen = torch.ones(4, 5, 3)
    assert torch.equal(one(seen).stage, other(seen).stage) and not torch.equal(one(seen).stage, third(seen).stage)
    assert one(seen).within.shape == (4, 5, 2) and one(seen).progress(torch.tensor([0.5, 0.5])).shape == (4, 5)


def test_windows_repeat_the_first_frame():
    frames = [[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]
    assert windows(frames, 2).tolist() == [[1, 10, 1, 10], [1, 10, 2, 20], [2, 20, 3, 30]]
    assert windows(frames, 1).tolist() == frames
    with pytest.raises(ValueError, match="expected"):
        windows(frames, 0)


def test_what_is_rewound_goes_back_as_it_came():
    frames, progress = np.arange(5.0)[:, None], np.linspace(0, 1, 5)
    seen, done = rewound(frames, progress, turn=3, back=2)
    assert seen[:, 0].tolist() == [0, 1, 2, 3, 2, 1] and done.tolist() == [0, 0.25, 0.5, 0.75, 0.5, 0.25]
    whole, same = rewound(frames, progress, turn=4, back=0)
    assert np.array_equal(whole, frames) and np.array_equal(same, progress)
    with pytest.raises(ValueError, match="0 <= back <= turn < T"):
        rewound(frames, progress, turn=2, back=3)
