"""Learning offline: `guerdon train from=RUN` learns from what another run stored, under a reward that may be a new one.

    stored rows ──→ windows of episodes ──draw n──→ rows ──reward view──→ batch ──→ behaviour cloning, IQL or V-trace
    stored verdicts ──→ reward model ───────────────────────↑

Nobody acts, nobody judges, and nothing is written into the source: what a step is paid is computed when it is drawn.
Whatever a reward learns from experience (novelty, running statistics) it learns in one pass beforehand; from then on
it stands still, because a reward that changes while it is learnt from is another task every time.

Draw n is a function of the seed and n, and the learner's version is the number of its next draw: a run that was resumed
skips nothing and takes nothing twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import yaml
from numpy.typing import NDArray

from envs.environment import Task
from envs.specs import EnvSpec
from envs.trajectory import ragged, unragged
from learners.batch import build_batch
from learners.offline.behaviour_cloning import best
from learners.offline.windows import draw, join, windows_of
from pipelines.algorithms import learner_for
from pipelines.environment.roles import PolicyLearner, RewardTrainer, policy_for, reward_metrics
from pipelines.environment.run import Run
from pipelines.errors import UserError
from pipelines.experiment import Experiment, OfflineConfig, Source
from pipelines.overrides import apply
from pipelines.reward_stage import RewardStage, reward_model_for
from pipelines.run_directory import RunDirectory
from pipelines.stored.stored_run import OF_EXPERIENCE, StoredRun
from rewards.columns import Column

SOURCE_OF_KIND = {"pair": "ranking"}
"""What reads the verdicts of a version where the run had no use for their kind; for all other kinds: retrieval."""
JOINED = "joined_verdict"  # a column that is put beside stored rows where verdicts are on the experience itself


# Before any work ----------------------------------------------------------------------------------------------------


def resolve_offline(recipe: Experiment | None, values: Mapping[str, Any], runs: Path, source: str) -> Experiment:
    """The experiment that learns from a stored run: that of the run itself, or a recipe, with overrides.

    Args:
        recipe: None: with the settings of the stored run.
        values: overrides; `reward` may name a reward version of the stored run.
        runs: directory of runs.
        source: name or path of the stored run.

    Raises:
        UserError: there is no such run, it has no experience or not the verdicts that are asked for, or a key is wrong.
    """
    stored = StoredRun(RunDirectory.existing(source, runs))
    base = recipe or stored.experiment
    offline = OfflineConfig(source=str(stored.directory.root.resolve()), store=stored.identity)
    base = base.model_copy(update={"name": f"{base.name}-offline", "runner": "local", "offline": offline})
    experiment = apply(base, _with_version(values, stored, base))
    if not experiment.reward.judged:
        return experiment
    return apply(experiment, {"offline.reward_version": version_of(experiment, stored)})


def version_of(experiment: Experiment, stored: StoredRun) -> str:
    """The reward version whose verdicts a judged reward learns from: the one that is named, or the newest that fits.

    Raises:
        UserError: there is none, or it judges something else.
    """
    assert experiment.offline is not None
    model = reward_model_for(experiment.reward)
    assert model is not None
    named = experiment.offline.reward_version
    kinds = {model.question_kind, *(OF_EXPERIENCE if named and experiment.reward.source == "retrieval" else ())}
    fitting = [version for version, kind in stored.versions.items() if kind in kinds and named in (None, version)]
    if fitting:
        return fitting[-1]
    known = ", ".join(f"{version} (of {kind}s)" for version, kind in stored.versions.items()) or "none"
    wanted = "verdicts" if named is None else f"reward version {named!r}"
    raise UserError(
        f"reward={experiment.reward.source} needs {wanted} of {model.question_kind}s; {stored.directory.root} has "
        f"{known}: name another source or version, or annotate the run"
    )


def _with_version(values: Mapping[str, Any], stored: StoredRun, base: Experiment) -> dict[str, Any]:
    """Overrides in which `reward=VERSION` has become the version and a source that reads its verdicts.

    Raises:
        UserError: it is neither a source nor a version.
    """
    named = values.get("reward")
    if named is None or named in get_args(Source):
        return dict(values)
    # A version is hexadecimal: one of nothing but digits has become a number on its way here.
    found = [version for version in stored.versions if named in (version, yaml.safe_load(version))]
    if not found:
        raise UserError(
            f"reward: got {named!r}; expected a source ({', '.join(get_args(Source))}) or a reward version of "
            f"{stored.directory.root} ({', '.join(stored.versions) or 'it has none'})"
        )
    kind = stored.versions[found[0]]
    model = reward_model_for(base.reward)
    rest = {key: value for key, value in values.items() if key != "reward"}
    if model is None or model.question_kind != kind:
        rest = {"reward.source": SOURCE_OF_KIND.get(kind, "retrieval"), **rest}
    return {**rest, "offline.reward_version": found[0]}


def check_offline(experiment: Experiment, task: Task) -> None:
    """Whether the stored run is what this experiment can learn from.

    Args:
        experiment: with `offline`.
        task: of the experiment.

    Raises:
        UserError: names what differs or is missing.
    """
    offline = experiment.offline
    assert offline is not None
    stored = StoredRun(RunDirectory.existing(offline.source, Path()))
    for field in ("task", "task_options"):
        got, expected = getattr(experiment, field), getattr(stored.experiment, field)
        if got != expected:
            raise UserError(f"{field}: got {got!r}; {stored.directory.root} has {expected!r}: leave it as it is there")
    environment = task.make()
    spec = environment.spec
    environment.close()
    if difference := spec_difference(spec, stored.spec):
        raise UserError(f"{experiment.task} is not what it was in {stored.directory.root}: {difference}")
    if stored.identity != offline.store:
        raise UserError(
            f"{stored.directory.root} holds other experience than when this run began (identity {stored.identity}, "
            f"then {offline.store}): start anew with from={stored.directory.root}"
        )
    try:
        learner_for(experiment, spec, policy_for(spec, experiment))
    except ValueError as error:
        raise UserError(f"offline.algorithm={offline.algorithm}: {error}; choose another") from None
    if experiment.reward.judged:
        version = version_of(experiment, stored)
        labels = sum(verdict.value is not None for verdict in stored.verdicts(version))
        needed = getattr(getattr(experiment.reward, experiment.reward.source), "min_labels", 1)
        if labels < needed:
            raise UserError(
                f"reward version {version} has {labels} verdicts with a value; reward={experiment.reward.source} needs "
                f"{needed} (reward.{experiment.reward.source}.min_labels): annotate more, or choose another reward"
            )


def spec_difference(got: EnvSpec, stored: EnvSpec) -> str:
    """The first thing in which the environment now differs from the stored one; empty where nothing does."""
    for key in sorted({*got.observation, *stored.observation}):
        one, other = got.observation.get(key), stored.observation.get(key)
        if one != other:
            return f"observation {key!r} is {one or 'not there'}, and was {other or 'not there'}"
    if got.action != stored.action:
        return f"action is {got.action}, and was {stored.action}"
    if got.action_names != stored.action_names:
        return f"action_names are {got.action_names}, and were {stored.action_names}"
    return ""


# The role -----------------------------------------------------------------------------------------------------------


class JoinedRewards(RewardStage):
    """The view over verdicts on the experience itself, which stand beside the rows already."""

    def columns(self, rows: pa.RecordBatch) -> dict[str, Column]:
        """The columns that the view reads, `[N]` each; nothing is counted, so nothing is decayed."""
        values = unragged(rows.column(JOINED))
        columns = super().columns(rows) | {"intrinsic": Column(values, ~np.isnan(values))}
        return columns | {"caption_count": Column.full(np.ones_like(values))}


class OfflineLearner(PolicyLearner):
    """Draws windows of stored episodes, computes their rewards, and updates the policy."""

    def __init__(self, experiment: Experiment, stored: StoredRun, state: Mapping[str, Any] | None = None) -> None:
        """Start anew, or from `state`; call `observe` (where there is a reward model) and `survey` before `draw`.

        Args:
            experiment: with `offline`.
            stored: what is learnt from.
            state: what `state()` gave.
        """
        super().__init__(experiment, stored.spec, state)
        assert experiment.offline is not None
        self.stored, self.offline, self.seed = stored, experiment.offline, experiment.seed
        self._episode, self._steps = stored.episode_of_row, stored.row_steps
        self._first_step = stored.first_step
        self._batches = list(stored.batches)
        self._first_row = np.cumsum([0, *(batch.num_rows for batch in stored.batches)])
        version = self.offline.reward_version
        if experiment.reward.judged and version and stored.versions[version] in OF_EXPERIENCE:
            state_of_view = self.rewards.state_dict()
            self.rewards = JoinedRewards(experiment.reward)
            self.rewards.load_state_dict(state_of_view)
            self._batches = _beside(stored.batches, stored.joined(version))
        self.windows = windows_of(
            self._episode, self._first_step, self._steps, self.offline.window_steps, self.offline.burn_in
        )
        self.stored_return = float("nan")

    def survey(self, learn: bool) -> None:
        """Look at everything once: what the reward learns from experience, and what each episode came to under it.

        Args:
            learn: False where the reward has learnt already, being restored.

        Raises:
            UserError: the view leaves every step out of the loss, or no episode is whole where the best are wanted.
        """
        if learn:
            for batch in self._batches:
                self.rewards(batch)
        returns = self._returns()
        known = returns[~np.isnan(returns)]
        self.stored_return = float(known.mean()) if len(known) else float("nan")
        cloning = self.offline.behaviour_cloning
        if self.offline.algorithm == "behaviour_cloning" and cloning.top_share < 1:
            try:
                self.windows = self.windows.of(best(returns, cloning.top_share))
            except ValueError as error:
                raise UserError(f"offline.behaviour_cloning.top_share={cloning.top_share}: {error}") from None

    def _returns(self) -> NDArray[np.float64]:
        """The sum of rewards of each episode, `[E]`; NaN where a step is missing or does not count."""
        episodes = int(self._episode.max()) + 1
        returns = np.zeros(episodes)
        ended = np.zeros(episodes, np.bool_)
        counted = np.zeros(episodes)
        for batch, first in zip(self._batches, self._first_row, strict=False):
            result = self.rewards(batch, learn=False)
            rows = slice(first, first + batch.num_rows)
            step_episode = np.repeat(self._episode[rows], self._steps[rows])
            returns += np.bincount(step_episode, result.reward, episodes)
            counted += np.bincount(step_episode, result.weight, episodes)
            ended[self._episode[rows][batch.column("ended").to_numpy(zero_copy_only=False)]] = True
        if not counted.any():
            raise UserError(
                f"reward {self.rewards.config.source} is NULL on every stored step, and on_null=mask leaves NULL out: "
                "annotate the run, or choose another reward"
            )
        length = np.zeros(episodes, np.int64)
        np.maximum.at(length, self._episode, self._first_step + self._steps)
        return np.where(ended & (counted == length), returns, np.nan)

    def draw(self) -> dict[str, float]:
        """Learn from the next draw; gives metrics, `frames` being the steps that were learnt from."""
        windows = self.windows
        chosen = draw(self.learner.version, self.offline.windows, len(windows), self.seed)
        covering = [windows.covering(window) for window in chosen.tolist()]
        rows = self._rows(np.concatenate([numbers for numbers, _ in covering]))
        result = self.rewards(rows, learn=False)
        batch = join(
            build_batch([rows], reward=lambda _: result.reward, weight=lambda _: result.weight),
            rows=[len(numbers) for numbers, _ in covering],
            skip=[skip for _, skip in covering],
            steps=(windows.end - windows.begin)[chosen].tolist(),
            burn_in=windows.burn_in[chosen].tolist(),
            state_size=self.policy.state_size,
        )
        metrics = self.learner.update(batch) | reward_metrics([result])
        metrics = {name: value for name, value in metrics.items() if not name.startswith("policy_lag")}
        metrics["frames"] -= float(windows.burn_in[chosen].sum())
        metrics["stored_return"] = self.stored_return
        if self.rewards.model is not None:
            captioned = int(np.count_nonzero(rows.column("caption_id").flatten().to_numpy()))
            metrics |= {"captioned": captioned, "annotated": captioned - metrics["null_intrinsic"]}
        return metrics

    def _rows(self, numbers: NDArray[np.int64]) -> pa.RecordBatch:
        """Stored rows by number, as one batch."""
        batches = np.searchsorted(self._first_row, numbers, side="right") - 1
        places = numbers - self._first_row[batches]
        slices = [self._batches[b].slice(p, 1) for b, p in zip(batches.tolist(), places.tolist(), strict=True)]
        return pa.Table.from_batches(slices).combine_chunks().to_batches()[0]

    def accounts(self) -> dict[str, Any]:
        """What was there, and how often it was drawn."""
        drawn = self.learner.version * self.offline.windows
        return {
            "source": self.offline.source,
            "store": self.offline.store,
            "reward_version": self.offline.reward_version,
            "episodes": int(self._episode.max()) + 1,
            "rows": len(self._steps),
            "frames": int(self._steps.sum()),
            "windows": len(self.windows),
            "window_frames": self.windows.steps,
            "draws": self.learner.version,
            "windows_drawn": drawn,
            "passes": drawn / len(self.windows),
        }


def _beside(batches: Sequence[pa.RecordBatch], values: NDArray[np.float32]) -> list[pa.RecordBatch]:
    """Batches with `values` `[S]` of their steps as one column more; their own columns stay where they are."""
    found, begin = [], 0
    for batch in batches:
        lengths = batch.column("env_reward").value_lengths().to_numpy()
        end = begin + int(lengths.sum())
        found.append(batch.append_column(JOINED, ragged(values[begin:end], lengths)))
        begin = end
    return found


class OfflineRun(Run):
    """The books of a run that learns from another one's experience."""

    learner: OfflineLearner | None = None

    def _lines(self) -> dict[str, str]:
        if self.learner is None:
            return super()._lines()
        books = self.learner.accounts()
        return {
            "learns from": f"{books['frames']:,} stored frames, {books['passes']:.1f} passes",
            "stored return": f"{self.learner.stored_return:.3g} an episode, under this reward",
        }

    def accounts(self) -> dict[str, Any]:
        """The ledger, with what was drawn from the stored run."""
        return super().accounts() | ({} if self.learner is None else {"offline": self.learner.accounts()})


def run_offline(run: OfflineRun, roles: Mapping[str, Any] | None) -> None:
    """Learn to the end.

    Args:
        run: the books, restored already where the run is resumed.
        roles: states of the roles to go on from.

    Raises:
        UserError: the reward says nothing about the stored experience.
    """
    experiment = run.experiment
    assert experiment.offline is not None
    stored = StoredRun(RunDirectory(Path(experiment.offline.source)))
    learner = run.learner = OfflineLearner(experiment, stored, None if roles is None else roles["learner"])
    trainer = None
    if experiment.reward.judged:
        trainer = RewardTrainer(experiment, None if roles is None else roles["trainer"])
        run.verdicts.captions = dict(stored.captions)
        run.verdicts.caption_log = list(run.verdicts.captions.items())
        version = str(experiment.offline.reward_version)
        if roles is None and stored.versions[version] not in OF_EXPERIENCE:
            steps = experiment.offline.reward_model_steps
            report, snapshot = trainer.step(run.verdicts.captions, stored.verdicts(version), steps)
        else:
            report, snapshot = trainer.step(run.verdicts.captions, (), 0)
        run.reward_trained(*report)
        learner.observe(run.verdicts.captions, snapshot)
    learner.survey(learn=roles is None)

    def save() -> None:
        run.save({"learner": learner.state(), "trainer": trainer.state() if trainer else None}, [])
        with run.mirror.snapshot():
            pass  # there is no experience of its own

    run.clock.begin()
    try:
        while not run.done:
            metrics = learner.draw()
            run.status.frames += int(metrics["frames"])
            run.status.learnt(metrics, run.clock.seconds)
            run.report()
            if run.checkpoint_due:
                save()
        save()
    except Exception:
        with suppress(Exception):  # what was learnt is kept if it can be; the first error is the one to be told
            save()
        raise
