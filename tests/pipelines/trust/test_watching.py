import numpy as np
import pytest

from envs.trajectory import EpisodeEnd, Fragment
from pipelines.errors import UserError
from pipelines.trust.watching import Watch, check_gold, of_answers, of_episodes
from rewards.aggregation.weighted_sum import WeightedSum
from rewards.columns import Column
from rewards.monitors.suite import Config
from rewards.shaping.reduce import Reduce
from rewards.views.layout import Layout
from rewards.views.view import Config as ViewConfig
from rewards.views.view import RewardView


def fragment(length=9, paid=1.0):
    return Fragment((0, 0, 0), 0, 9, 1, {}, {}, [EpisodeEnd("e", paid, length, paid > 0, False)])


def watched(books, small, path, **settings):
    run = books(small({"reward.source": "retrieval", "monitors.warm_up": 3, **settings}), path)
    metrics = {"reward_intrinsic": 0.1, "reward_extrinsic": 0.5, "entropy": 1.0}
    for _ in range(6):
        run.learnt(metrics, [fragment()])
    return run, metrics


def test_an_alarm_warns_is_written_down_and_shown(books, small, tmp_path):
    run, metrics = watched(books, small, tmp_path / "run")
    assert not run.directory.alarms.exists()
    for _ in range(8):
        run.learnt({**metrics, "reward_intrinsic": 0.9}, [fragment(40, -1.0)])
    found = list(run.directory.lines(run.directory.alarms))
    assert {"gold", "divergence", "length"} <= {one["monitor"] for one in found}
    assert set(found[0]) == {"time", "update", "monitor", "kind", "value", "threshold", "action", "message"}
    assert 6 < found[0]["update"] <= 14 and [one["update"] for one in found] == sorted(one["update"] for one in found)
    assert "gold" in run.watch.line["alarms"] and run.stopping is None
    assert any(one["what"] == "alarm" for one in run.directory.lines(run.directory.events))
    run.close()


def test_the_proxy_is_the_judge_s_reward_beside_the_return_and_all_of_it_beside_success():
    metrics = {"reward_intrinsic": 0.25, "reward_extrinsic": 0.5, "entropy": 1.0}
    seen = of_episodes(metrics, [fragment(paid=-1.0), fragment(paid=3.0)], "return")
    assert (seen.proxy, seen.gold) == (0.25, 1.0)
    seen = of_episodes(metrics, [fragment(paid=-1.0), fragment(paid=3.0)], "success")
    assert (seen.proxy, seen.gold) == (0.75, 0.5)


def test_an_alarm_stops_the_run_with_its_reason(books, small, tmp_path):
    run, metrics = watched(books, small, tmp_path / "run", **{"monitors.actions.length": "stop"})
    for _ in range(8):
        run.learnt(metrics, [fragment(40)])
    assert run.stopping.startswith("monitor length: ") and run.done
    run.close()


def test_an_alarm_puts_the_judge_in_quarantine(books, small, tmp_path):
    run, metrics = watched(books, small, tmp_path / "run", **{"monitors.action": "quarantine"})
    run.verdicts.asks_through(lambda question, version: None, lambda judge: None, "rules")
    for _ in range(8):
        run.learnt(metrics, [fragment(paid=-1.0)])
    assert run.accounts()["quarantined"] == ["rules"] and run.verdicts.annotation.held
    run.close()


def test_what_does_not_fit_is_refused_before_the_run(books, small, tmp_path):
    with pytest.raises(UserError, match=r"monitors.gold: got 'truth'; expected one of return, success"):
        books(small({"monitors.gold": "truth"}), tmp_path / "run")
    with pytest.raises(UserError, match="no judge is asked"):
        check_gold(Config(action="quarantine"), (), judged=False)
    with pytest.raises(UserError, match="action"):
        small({"monitors.action": "shout"})


def test_of_answers_what_is_held_out_is_compared_with_what_pays():
    columns = {
        "judge": Column(np.array([1.0, np.nan, 0.0]), np.array([True, False, True])),
        "gold": Column(np.array([1.0, 1.0, np.nan]), np.array([True, True, False])),
        "silent": Column(np.zeros(3), np.zeros(3, np.bool_)),
    }
    parts = (
        WeightedSum(
            coefficients={"judge": 2.0, "gold": 0.5, "silent": 1.0}, on_null={"gold": "omit", "silent": "omit"}
        ),
    )
    seen = RewardView(ViewConfig(name="v", parts=parts)).apply(columns)
    told = of_answers(seen, columns, ("judge", "silent"), "gold", {"own_tokens": 30.0, "answers": 3.0})
    assert (told.proxy, told.gold, told.length) == (1.0, 1.0, 10.0) and np.isfinite(told.proxy_spread)
    assert told.components == {"judge": 1.0}  # NULL throughout: no component, and none that pays 0
    assert of_answers(seen, columns, ("judge",), "", {}).gold is None


def test_a_reward_of_turns_that_is_reduced_to_answers_is_watched_as_a_whole():
    parts = (
        WeightedSum(coefficients={"judge": 2.0, "form": 1.0}),
        Reduce(of="reward", over="episode", by="sum"),
    )
    columns = {"judge": Column.full([1.0, 0.0, 1.0]), "form": Column.full([0.0, 1.0, 1.0])}
    seen = RewardView(ViewConfig(name="v", parts=parts)).apply(columns, Layout.of(steps=[2, 1]))
    assert (told := of_answers(seen, columns, ("judge", "form"), "", {})).proxy == 3.0 and told.components == {}


def test_a_state_that_cannot_be_read_leaves_nothing_behind(books, small, tmp_path):
    run, _ = watched(books, small, tmp_path / "run")
    fresh = Watch(Config(), run.directory, lambda said: None, run.note, lambda alarm: None)
    empty, broken = fresh.state_dict(), run.watch.state_dict()
    broken["monitors"]["drifts"]["of another version"] = {}
    fresh.load_state_dict(broken)
    assert fresh.state_dict() == empty
    assert any(one["what"] == "monitors begin anew" for one in run.directory.lines(run.directory.events))
    run.close()
