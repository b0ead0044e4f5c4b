"""One safety scorer at every stage: what is learnt from, what is rewarded, what is answered, and what goes out.

| hook | what it does |
|---|---|
| `pre_data` | items of training data that are not safe are left out |
| `post_train` | an unsafe answer costs `penalty` of its reward |
| `serve_in` | unsafe prompts are not answered |
| `serve_out` | unsafe answers do not go out |

An item is unsafe where the scorer gives it more than `limit`. Whatever has no score (NULL) is treated as unsafe where
it would be learnt from or go out, and its reward is NULL. Without hooks everything is as it was.

Source: Yi-Lightning Technical Report (2024), whose safety engine RAISE has four components over pre-training,
post-training and serving, and says no more; which hook does what is chosen here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

Hook = Literal["pre_data", "post_train", "serve_in", "serve_out"]
HOOKS: tuple[Hook, ...] = get_args(Hook)
Mask = NDArray[np.bool_]
Item = TypeVar("Item")


@dataclass(frozen=True)
class SafetyStages(Generic[Item]):
    """A scorer, and where it is attached.

    Attributes:
        scorer: from items (texts, or a prompt and its answer together) how unsafe each is `[N]`; NaN where NULL.
        hooks: where it is attached.
        limit: above which an item is unsafe.
        penalty: what an unsafe answer costs in post-training, at least 0.
    """

    scorer: Callable[[Sequence[Item]], ArrayLike]
    hooks: Collection[Hook] = HOOKS
    limit: float = 0.5
    penalty: float = 1.0

    def __post_init__(self) -> None:
        """Check the hooks and the penalty.

        Raises:
            ValueError: a hook that there is not, or a penalty below 0.
        """
        if not set(self.hooks) <= set(HOOKS) or not self.penalty >= 0:
            raise ValueError(
                f"got hooks {sorted(self.hooks)} and penalty={self.penalty}; expected some of {HOOKS}, and at least 0"
            )

    def learnt_from(self, items: Sequence[Item]) -> Mask:
        """Which items of training data stay `[N]`."""
        return self._passed("pre_data", items)

    def answered(self, prompts: Sequence[Item]) -> Mask:
        """Which prompts are answered `[N]`."""
        return self._passed("serve_in", prompts)

    def sent(self, answers: Sequence[Item]) -> Mask:
        """Which answers go out `[N]`."""
        return self._passed("serve_out", answers)

    def rewarded(self, answers: Sequence[Item], rewards: ArrayLike) -> NDArray[np.float64]:
        """Rewards of answers `[N]`, less the penalty where they are unsafe; NaN where the score or the reward is NULL.

        Raises:
            ValueError: other numbers of rewards or scores than of answers.
        """
        given = np.asarray(rewards, np.float64)
        if given.shape != (len(answers),):
            raise ValueError(f"got rewards {given.shape} of {len(answers)} answers; expected one each")
        if "post_train" not in self.hooks:
            return given
        scores = self._scores(answers)
        return np.where(np.isnan(scores), np.nan, given - self.penalty * (scores > self.limit))

    def _passed(self, hook: Hook, items: Sequence[Item]) -> Mask:
        if hook not in self.hooks:
            return np.ones(len(items), np.bool_)
        found: Mask = self._scores(items) <= self.limit  # NaN is not
        return found

    def _scores(self, items: Sequence[Item]) -> NDArray[np.float64]:
        scores = np.asarray(self.scorer(items), np.float64)
        if scores.shape != (len(items),):
            raise ValueError(f"got scores {scores.shape} of {len(items)} items; expected one each")
        return scores
