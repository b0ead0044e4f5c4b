"""What can be wrong with a judge, said before any work starts and before there is a run: no model is loaded for it.

A model is a directory, or an id that the cache or the hub knows. A hub is asked once, for a bounded time: what loads
models asks a hub that cannot be reached again and again, for a minute, in a process whose log nobody sees.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from cluster.deadlines import within
from pipelines.dotted import named
from pipelines.errors import UserError
from pipelines.judging.judges import AnyJudge, build_judge, judge_identity
from pipelines.judging.rubric_judges import (
    ModelConfig,
    RewardModelJudge,
    RubricJudge,
    TransformersModel,
    VllmJudge,
    VllmModel,
)
from pipelines.judging.settings import CustomJudge, OpenAIJudge, RecordedJudge, RulesJudge, TransformersJudge
from rewards.judges.judge import QuestionKind
from rewards.judges.recorded import RecordedJudge as Recorded

HUB_S = 10.0  # that the hub may take to say whether it knows a model
DESCRIPTIONS = ("config.json", "adapter_config.json")  # one of which every directory of a model has


def expect_judge(config: AnyJudge, goal: str, asked: QuestionKind | None, models_are_here: bool) -> None:
    """See that a judge can be had, as far as that can be seen without loading it.

    Args:
        config: of the judge.
        goal: of the task.
        asked: what it will be asked about; None: what it is made for.
        models_are_here: whether it will run on this machine; elsewhere are other directories, and another network.

    Raises:
        UserError: it cannot, its server does not answer, its rubric cannot be used, or it has recorded verdicts of
            another kind.
    """
    judge_identity(config, goal)  # reads rubric files
    models = models_of(config)
    for model in models if models_are_here else ():
        expect_model(model)
    if isinstance(config, CustomJudge):
        named(config.path, f"judge.path={config.path}")
    served = isinstance(config, RubricJudge) and not models
    if not served and not isinstance(config, OpenAIJudge | RecordedJudge | RulesJudge):
        return
    judge = build_judge(config, goal)
    try:
        asyncio.run(judge.check())
    except ConnectionError as error:
        raise UserError(str(error)) from None
    if isinstance(judge, Recorded) and asked is not None and asked not in judge.kinds:
        known = ", ".join(f"{kind}s" for kind in sorted(judge.kinds)) or "nothing"
        raise UserError(
            f"judge.path={judge.path} holds verdicts with a value on {known}; the reward asks about {asked}s: name "
            "the verdicts of a run with such a reward, or another reward (reward=ranking asks about pairs, "
            "retrieval and classification about captions)"
        )


def models_of(config: AnyJudge | ModelConfig) -> list[str]:
    """Directories and hub ids of the models that a judge loads itself."""
    match config:
        case TransformersJudge() | VllmJudge() | RewardModelJudge() | TransformersModel() | VllmModel():
            return [config.model]
        case RubricJudge():
            inner = [config.model, *config.models.values(), *config.judges.values()]
            return [name for one in inner if one is not None for name in models_of(one)]
    return []


def expect_model(model: str) -> None:
    """See that there is such a model, within seconds.

    Args:
        model: a directory in Hugging Face format, or an id on the hub.

    Raises:
        UserError: there is none, or nobody can say so now.
    """
    if (reason := _lacking(model)) is not None:
        raise UserError(
            f"got model {model!r}, which cannot be loaded ({reason}); expected a directory in Hugging Face format or "
            "the id of a model on the hub: check the name and the network"
        )


def _lacking(model: str) -> str | None:
    """Why there is no such model; None where there is."""
    directory = Path(os.path.expanduser(model))
    if directory.is_dir():
        there = any((directory / name).is_file() for name in DESCRIPTIONS)
        return None if there else f"the directory has no {DESCRIPTIONS[0]}"
    from huggingface_hub import HfApi, constants, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

    try:
        if isinstance(try_to_load_from_cache(model, DESCRIPTIONS[0]), str):
            return None
        if constants.HF_HUB_OFFLINE:
            return "it was not fetched before, and HF_HUB_OFFLINE forbids to look further"
        within(HUB_S, lambda: HfApi().model_info(model, timeout=HUB_S))
    except HFValidationError:
        return "there is no such directory, and it can be no id on the hub"
    except RepositoryNotFoundError:
        return "there is no such directory, and the hub knows no such model, or shows it to others only"
    except Exception as error:  # of whatever the hub is reached by
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return f"there is no such directory, and the hub cannot be asked: {said}"
    return None
