"""From a judge's config to a judge: the one place that knows all back ends and hands a model its engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pydantic import ValidationError

from pipelines.dotted import made
from pipelines.errors import UserError
from pipelines.judging.rubric_judges import (
    RewardModelJudge,
    RubricJudge,
    VllmJudge,
    build_reward_model_judge,
    build_rubric_judge,
    build_vllm_judge,
)
from pipelines.judging.settings import (
    BuiltinJudge,
    CustomJudge,
    JudgeConfig,
    OpenAIJudge,
    RecordedJudge,
    RulesJudge,
    TransformersJudge,
)
from pipelines.overrides import explain
from rewards.judges import rubric
from rewards.judges.judge import Judge

if TYPE_CHECKING:
    from actors.engines.transformers_engine import TransformersEngine


AnyJudge = JudgeConfig | RubricJudge | RewardModelJudge | VllmJudge


def prepare_judge(config: AnyJudge, on_progress: Callable[[float, str], None] | None = None) -> None:
    """Do once, before any process starts, what would be slow or racy in a replica: build the builtin model.

    Raises:
        UserError: a rubric file cannot be used.
    """
    if isinstance(config, BuiltinJudge):
        from rewards.judges.builtin.build import ensure_model

        ensure_model(on_progress=on_progress)
    judge_identity(config, "")


def judge_identity(config: AnyJudge, goal: str) -> str:
    """What a judge's verdicts depend on as far as it can be said before it is built: settings, goal, rubric files.

    Raises:
        UserError: a rubric file cannot be used.
    """
    identity = f"{config.model_dump_json()}|{goal}"
    if not isinstance(config, RubricJudge):
        return identity
    try:
        return f"{identity}|{rubric.content(config.path)}"
    except (OSError, ValueError) as error:
        raise UserError(f"judge rubric: {str(error).splitlines()[0]}") from error


def build_judge(config: AnyJudge, goal: str, threads: int = 1) -> Judge:
    """A judge for a goal; slow where a model is loaded.

    Args:
        config: back end; its own goal, if any, goes before `goal`.
        goal: the task's goal.
        threads: threads for a local model.

    Raises:
        UserError: a model or a file is not there.
    """
    goal = config.goal or goal
    try:
        match config:
            case RulesJudge():
                from rewards.judges.rules import RulesJudge as Rules

                return Rules(goal)
            case BuiltinJudge(soft=soft):
                from rewards.judges.builtin.build import ensure_model

                return _language_model(_engine(str(ensure_model()), "cpu", threads), goal, soft)
            case TransformersJudge(model=model, device=device, soft=soft):
                return _language_model(_engine(model, device, threads), goal, soft)
            case OpenAIJudge():
                from rewards.judges import openai

                settings = openai.Config(
                    url=config.url,
                    model=config.model,
                    api_key_env=config.api_key_env,
                    goal=goal,
                    soft=config.soft,
                    timeout_s=config.timeout_s,
                )
                return openai.OpenAIJudge(settings)
            case RubricJudge():
                return build_rubric_judge(config, threads)
            case RewardModelJudge():
                return build_reward_model_judge(config, threads)
            case VllmJudge():
                return build_vllm_judge(config, goal)
            case CustomJudge(path=path):
                return _custom(path, goal)
            case RecordedJudge(path=path):
                from rewards.judges.recorded import RecordedJudge as Recorded

                return Recorded(Path(path))
    except ValidationError as error:
        raise UserError(f"judge {config.kind}: {explain(error)}") from None
    except (OSError, ValueError, ImportError) as error:
        raise UserError(f"judge {config.kind}: {str(error).splitlines()[0]}") from error


def _custom(path: str, goal: str) -> Judge:
    """A judge of the user's own.

    Raises:
        UserError: it cannot be loaded, or is no judge.
    """
    judge = made(path, f"judge.path={path}", goal)
    lacking = [member for member in ("fingerprint", "judge", "check") if not hasattr(judge, member)]
    if lacking:
        raise UserError(
            f"judge.path={path}: got a {type(judge).__name__} without {', '.join(lacking)}; expected a judge, such as "
            "`guerdon new judge` writes"
        )
    return cast(Judge, judge)


def _engine(model: str, device: str, threads: int) -> TransformersEngine:
    from actors.engines import transformers_engine

    return transformers_engine.TransformersEngine(
        transformers_engine.Config(model=model, device=device, num_threads=threads)
    )


def _language_model(engine: TransformersEngine, goal: str, soft: bool) -> Judge:
    from rewards.judges.language_model import Config, LanguageModelJudge

    return LanguageModelJudge(engine, Config(goal=goal, soft=soft))
