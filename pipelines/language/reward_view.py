"""How the named rewards of a language run become what is learnt from: its view, and the columns that it may read.

| column | one value of each | |
|---|---|---|
| the name of a reward | episode (an answer, all its turns) | its verdict; NULL where there is none |
| `world` | episode | what the task's world paid in all; NULL: nothing, or it failed |
| `length` | episode | tokens that the policy wrote |
| `turns` | episode | replies |
| `finished` | episode | 1 where the answer ended by itself, 0 where it was cut; NULL where the world failed |
| `paid` | step (a reply) | what the world paid for it; NULL: nothing |
| `log_prob` | token that the policy wrote | of the distribution that it was sampled from |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.errors import UserError
from rewards.advantages.group_relative import GroupRelative
from rewards.aggregation.weighted_sum import WeightedSum
from rewards.columns import Column
from rewards.shaping.reduce import Reduce
from rewards.views.layout import Layout, Level
from rewards.views.view import ADVANTAGE, REWARD, RewardView, ViewResult
from rewards.views.view import Config as ViewConfig

WORLD = "world"
"""Name of the reward that the task's world pays by itself."""
FINISHED = {"stop": 1.0, "length": 0.0, "turns": 0.0}


def weighted(sum_of: WeightedSum, advantage: str | None) -> RewardView:
    """The view without one of the user's own: a weighted sum of rewards, and the advantage of the method.

    Args:
        sum_of: rewards, with what a NULL does.
        advantage: name of the estimator (`GroupRelative.presets`); None: the method makes its own, by a value head.
    """
    components: dict[str, Level] = dict.fromkeys(sum_of.inputs, "episode")
    return RewardView(ViewConfig(name="language", components=components, parts=(sum_of, *_estimator(advantage))))


def own_view(config: ViewConfig, rewards: Mapping[str, float], advantage: str | None) -> RewardView:
    """A user's view over these rewards; where it ends at the reward, the method's advantage follows.

    Levels need not be said: what a column is of is known here.

    Args:
        config: of the view.
        rewards: weights by name, as `rewards.weights` gives them.
        advantage: as for `weighted`.

    Raises:
        UserError: it does not fit these rewards, or this method.
    """
    levels: dict[str, Level] = {**dict.fromkeys([*rewards, WORLD], "episode"), **OF}
    known = {name: level for name, level in levels.items() if name in config.inputs}
    try:
        view = RewardView(config.model_copy(update={"components": {**known, **config.components}}))
        view.check(levels)
    except ValueError as error:
        raise UserError(f"rewards.view: {error}") from None
    said = f"rewards.view: view {view.name!r}"
    if (paid := view.levels[REWARD]) != "episode":
        remedy = "add a `reduce` to episodes" if paid != "group" else "answers of a group must differ to be learnt from"
        raise UserError(f"{said} pays each {paid}; expected a reward of each episode, which is an answer: {remedy}")
    for name, weight in rewards.items():
        if weight != float(name in view.inputs):
            does = "reads" if name in view.inputs else "does not read"
            raise UserError(
                f"rewards.weights.{name}: got {weight:g}, and view {view.name!r} {does} it; expected the view to say "
                "what counts how much: leave the weight out"
            )
    if ADVANTAGE not in view.levels:
        return RewardView(view.config.model_copy(update={"parts": (*view.config.parts, *_estimator(advantage))}))
    if advantage is None:
        raise UserError(
            f"{said} goes on to an advantage, and method=ppo makes its own by a value head; expected a view that ends "
            "at the reward, or another method"
        )
    if view.levels[ADVANTAGE] == "group":
        raise UserError(f"{said} has an advantage of each group; expected one of each episode, step or token")
    return view


def _estimator(advantage: str | None) -> tuple[GroupRelative, ...]:
    if advantage is None:
        return ()
    return (GroupRelative(of=REWARD, **GroupRelative.presets[advantage.replace("plus_plus", "pp")]),)


def layout_of(rows: pa.Table) -> Layout:
    """How tokens nest in replies, replies in answers, and answers in groups; tokens are those the policy wrote."""
    names = rows.column("group_id").to_pylist()
    number = {name: k for k, name in enumerate(dict.fromkeys(names))}
    lengths, turns = _sizes(rows, "token_ids"), _sizes(rows, "turn_ends")
    starts = np.cumsum(lengths) - lengths
    own = np.append(0, np.cumsum(_flat(rows, "loss_mask").astype(np.int64)))
    steps = np.maximum(turns, 1)  # one that broke before its first reply has an empty one
    owner, last = np.repeat(np.arange(len(steps)), steps), np.cumsum(steps) - 1
    ends = (starts + lengths)[owner]
    ends[_replies(turns)] = starts[np.repeat(np.arange(len(turns)), turns)] + _flat(rows, "turn_ends")
    ends[last] = starts + lengths  # what was cut short belongs to the last reply
    tokens = np.diff(own[np.append(0, ends)])
    return Layout.of(steps, [number[name] for name in names], tokens)


def fact(rows: pa.Table, name: str) -> Column:
    """A column of answers that is no verdict, see the table above."""
    return _FACTS[name](rows)


def spread_over_tokens(advantage: Column, level: Level, rows: pa.Table, layout: Layout) -> list[NDArray[np.float32]]:
    """Advantages of replies or tokens as one array an answer, as long as it is; 0 where the policy did not write."""
    own = advantage.values[layout.owner("token", level)]
    whole = np.zeros(len(mask := _flat(rows, "loss_mask").astype(np.bool_)), np.float32)
    whole[mask] = own
    return np.split(whole, np.cumsum(_sizes(rows, "token_ids"))[:-1])


def per_token(rows: pa.Table, name: str) -> list[NDArray[Any]]:
    """A column of one number a token as one array an answer."""
    return np.split(_flat(rows, name), np.cumsum(_sizes(rows, name))[:-1])


class OwnTokens(NamedTuple):
    """Which tokens of all answers, one behind another, the policy wrote.

    Attributes:
        mask: bool `[N]`.
        answer: the place of each token's answer, `[N]`.
        answers: how many there are.
    """

    mask: NDArray[np.bool_]
    answer: NDArray[np.int64]
    answers: int

    def per_answer(self, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        """How many tokens of each answer are chosen, `[B]`."""
        return np.bincount(self.answer[chosen], minlength=self.answers)


def own_tokens(rows: pa.Table) -> OwnTokens:
    """Which tokens the policy wrote."""
    answer = np.repeat(np.arange(rows.num_rows), _sizes(rows, "loss_mask"))
    return OwnTokens(_flat(rows, "loss_mask").astype(np.bool_), answer, rows.num_rows)


def advantage_of_answers(seen: ViewResult, rows: pa.Table) -> Column | None:
    """The advantage of each answer, for people: of replies or tokens, their mean; None where the view has none."""
    if seen.advantage is None or seen.levels[ADVANTAGE] == "episode":
        return seen.advantage
    view = ViewConfig(
        name="shown",
        components={ADVANTAGE: seen.levels[ADVANTAGE]},
        parts=(Reduce(of=ADVANTAGE, over="episode", by="mean", to=REWARD),),
    )
    found = RewardView(view).apply({ADVANTAGE: seen.advantage}, layout_of(rows))
    return Column(found.reward, found.weight > 0)


def world_column(rows: pa.Table) -> Column:
    """What the world paid each answer in all; NULL where it paid nothing at any turn, or failed before the end."""
    paid = [[value for value in turns if value is not None] for turns in rows.column("env_rewards").to_pylist()]
    values = np.array([sum(turns) for turns in paid], np.float32)
    return Column(values, np.array([bool(turns) for turns in paid]) & ~failed_of(rows))


def failed_of(rows: pa.Table) -> NDArray[np.bool_]:
    """Which answers the world failed: what they would have earned is not known, whatever it had paid until then."""
    return np.array([one not in FINISHED for one in rows.column("finish").to_pylist()], np.bool_)


def _finished(rows: pa.Table) -> Column:
    found = [FINISHED.get(one, 0.0) for one in rows.column("finish").to_pylist()]
    return Column(np.array(found, np.float32), ~failed_of(rows))


def _paid(rows: pa.Table) -> Column:
    turns = _sizes(rows, "turn_ends")
    paid = rows.column("env_rewards").combine_chunks().flatten()
    values = np.zeros(int(np.maximum(turns, 1).sum()), np.float32)
    valid, place = np.zeros(len(values), np.bool_), _replies(turns)
    values[place] = paid.fill_null(0.0).to_numpy(zero_copy_only=False)
    valid[place] = paid.is_valid().to_numpy(zero_copy_only=False)
    return Column(values, valid)


def _replies(turns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places of real replies among the steps of a layout."""
    steps = np.maximum(turns, 1)
    return np.flatnonzero(np.repeat(turns > 0, steps))


def _sizes(rows: pa.Table, name: str) -> NDArray[np.int64]:
    found: NDArray[np.int64] = rows.column(name).combine_chunks().value_lengths().to_numpy().astype(np.int64)
    return found


def _flat(rows: pa.Table, name: str) -> NDArray[np.int64] | NDArray[np.float32]:
    found: NDArray[np.int64] = rows.column(name).combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return found


_FACTS: dict[str, Callable[[pa.Table], Column]] = {
    "length": lambda rows: Column.full([float(np.sum(one)) for one in rows.column("loss_mask").to_pylist()]),
    "turns": lambda rows: Column.full(_sizes(rows, "turn_ends")),
    "finished": _finished,
    "paid": _paid,
    "log_prob": lambda rows: Column.full(_flat(rows, "behaviour_log_probs")[_flat(rows, "loss_mask").astype(np.bool_)]),
}
OF: dict[str, Level] = {
    "length": "episode",
    "turns": "episode",
    "finished": "episode",
    "paid": "step",
    "log_prob": "token",
}
"""What else than rewards a view may read, and what each value is of."""
