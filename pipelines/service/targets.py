"""From a word on the command line to a reward: what `guerdon attack` and `guerdon serve-rewards` can be given.

| TARGET | what it is | questions |
|---|---|---|
| `builtin`, `rules` | the judges that need no model of yours | captions |
| a URL | an OpenAI-compatible server, with `model=` | captions |
| a directory with a `config.json` | a language model in Hugging Face format | captions; with `rubric=` responses |
| the same, of a sequence classifier | a reward model | responses |
| `my_lab.rewards:exact_match` | a function with `@reward` | of its subject; one of episodes or rows: responses |
| a run, by path, name or `last` | the reward model that it has learnt | captions |
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipelines.errors import UserError
from rewards.attacks.attack import SampleKind
from rewards.functions import RewardFunction, load_reward
from rewards.judges.episode import SUBJECTS, EpisodeJudge
from rewards.judges.function import ARGUMENTS, FunctionJudge, RewardModelJudge
from rewards.judges.judge import Judge, QuestionKind

CAPTIONS: tuple[QuestionKind, ...] = ("caption", "pair")
"""What a judge with a goal is asked."""
FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


class Settings(BaseModel):
    """What a target may need beside its name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    goal: str = Field("explore and descend", min_length=1)
    """Of captions, in words."""
    rubric: str = ""
    """File by which a language model judges responses; without it, it judges captions."""
    model: str = ""
    """Name of the model on a server."""
    device: str = "auto"
    """Of a Hugging Face model."""
    runs: Path = Path("runs")
    """Where runs are looked up by name."""
    threads: int = Field(1, ge=1)
    """CPU threads of a local model."""


@dataclass(frozen=True)
class Target:
    """A reward that can be asked.

    Attributes:
        name: as it was given.
        judge: answers questions; None for a function of what no question is about, such as a step.
        kind: of samples it judges.
        version: the reward version that its verdicts carry.
        threshold: a value above it accepts; None: a scale of its own.
        special_tokens: control tokens of its tokenizer.
        engine: of a local model; None for others.
        build: makes the judge of an engine; None for others.
        function: the reward function, where it is one.
        captions: that the run of a reward model has seen.
        kinds: of question that it answers; empty: those about its samples alone.
    """

    name: str
    judge: Judge | None
    kind: SampleKind
    version: str
    threshold: float | None = 0.5
    special_tokens: tuple[str, ...] = ()
    engine: Any = None
    build: Callable[[Any], Judge] | None = None
    function: RewardFunction | None = None
    captions: tuple[str, ...] = ()
    kinds: tuple[QuestionKind, ...] = ()

    @property
    def asked(self) -> tuple[QuestionKind, ...]:
        """Kinds of question that it answers."""
        return self.kinds or (self.kind,)


def find_target(text: str, settings: Settings) -> Target:
    """The reward that is meant; slow where a model is loaded.

    Raises:
        UserError: there is none, or it cannot be loaded.
    """
    try:
        if text in ("builtin", "rules") or re.match(r"https?://", text):
            return _judge(text, settings)
        path = Path(text).expanduser()
        if (path / "config.json").is_file():
            return _hugging_face(text, path, settings)
        if FUNCTION.fullmatch(text):
            return _function(text)
        return _run(text, settings)
    except ValidationError as error:
        from pipelines.overrides import explain

        raise UserError(f"{text}: {explain(error)}") from None
    except UserError:
        raise
    except (OSError, ValueError) as error:
        raise UserError(f"{text}: {str(error).splitlines()[0]}") from error


def _judge(text: str, settings: Settings) -> Target:
    from pipelines.judging.judges import build_judge
    from pipelines.judging.settings import OpenAIJudge, RulesJudge

    if text == "builtin":
        from rewards.judges.builtin.build import ensure_model

        return _language_model(text, str(ensure_model()), settings, device="cpu")
    if text == "rules":
        judge = build_judge(RulesJudge(), settings.goal)
        return Target(text, judge, "caption", judge.fingerprint, kinds=CAPTIONS)
    if not settings.model:
        raise UserError(f"got the server {text} and no model; add model=NAME, as the server calls it")
    if settings.rubric:
        raise UserError("rubric= needs a model in this process as yet; give its directory in place of the URL")
    judge = build_judge(OpenAIJudge(url=text, model=settings.model), settings.goal)
    return Target(text, judge, "caption", judge.fingerprint, kinds=CAPTIONS)


def _hugging_face(text: str, path: Path, settings: Settings) -> Target:
    kinds = json.loads((path / "config.json").read_text()).get("architectures") or []
    if not any(str(kind).endswith("ForSequenceClassification") for kind in kinds):
        return _language_model(text, str(path), settings, settings.device)
    from actors.engines.reward_model_engine import Config, RewardModelEngine
    from rewards.judges import reward_model

    engine = RewardModelEngine(Config(model=str(path), device=settings.device, num_threads=settings.threads))
    asked: tuple[QuestionKind, ...] = ("response", "pair")
    return _of_engine(text, engine, reward_model.RewardModelJudge, "response", asked, threshold=None)


def _language_model(text: str, model: str, settings: Settings, device: str) -> Target:
    from actors.engines.transformers_engine import Config, TransformersEngine
    from rewards.judges import language_model

    engine = TransformersEngine(Config(model=model, device=device, num_threads=settings.threads))
    if settings.rubric:
        from rewards.judges.chat_model import LocalModel
        from rewards.judges.rubric import Parts, judge_from_file, load

        def by_rubric(engine: Any) -> Judge:
            return judge_from_file(settings.rubric, Parts(model=LocalModel(engine)))

        return _of_engine(text, engine, by_rubric, "response", load(settings.rubric).asked)

    def by_goal(engine: Any) -> Judge:
        return language_model.LanguageModelJudge(engine, language_model.Config(goal=settings.goal, soft=True))

    return _of_engine(text, engine, by_goal, "caption", CAPTIONS)


def _of_engine(
    text: str,
    engine: Any,
    build: Callable[[Any], Judge],
    kind: SampleKind,
    asked: tuple[QuestionKind, ...],
    threshold: float | None = 0.5,
) -> Target:
    judge = build(engine)
    tokens = tuple(engine.special_tokens)
    return Target(text, judge, kind, judge.fingerprint, threshold, tokens, engine, build, kinds=asked)


def _function(text: str) -> Target:
    function = load_reward(text)
    kind: SampleKind = "caption" if function.subject == "caption" else "response"
    if function.subject in SUBJECTS:  # a verifier
        return Target(text, EpisodeJudge(function), kind, function.version, function=function)
    asked = tuple(one for one in ARGUMENTS if one == function.subject)
    judge = FunctionJudge(function) if asked else None
    return Target(text, judge, kind, function.version, function=function, kinds=asked)


def _run(text: str, settings: Settings) -> Target:
    from pipelines.run_directory import RunDirectory
    from pipelines.stored.evidence import gather

    try:
        directory = RunDirectory.existing(text, settings.runs)
    except UserError:
        raise UserError(
            f"got {text!r}; expected builtin, rules, a URL, the directory of a Hugging Face model, "
            f"package.module:function, or a run (a path, a name below {settings.runs}, or 'last')"
        ) from None
    evidence = gather(directory)
    if evidence.stage is None or evidence.stage.model is None:
        why = "; ".join(evidence.missing) or "its reward source learns none"
        raise UserError(f"{directory.root} has no reward model: {why}")
    judge = RewardModelJudge(evidence.stage.model)
    captions = tuple(evidence.captions.values())
    return Target(text, judge, "caption", judge.fingerprint, threshold=None, captions=captions)
