"""From the task of a language experiment to the task itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from envs.language.table import make_text_task
from envs.language.task import TextTask
from pipelines.errors import UserError

if TYPE_CHECKING:
    from pipelines.language.experiment import LanguageExperiment


def task_of(experiment: LanguageExperiment) -> TextTask:
    """The experiment's task; see `text_task`."""
    return text_task(experiment.task, experiment.task_options)


def text_task(name: str, options: Mapping[str, Any]) -> TextTask:
    """A task by name or dotted path, with its options.

    Raises:
        UserError: there is none of that name, an option is not one of its, or its own code raises.
    """
    try:
        return make_text_task(name, **options)
    except (ValueError, TypeError, ImportError, OSError) as error:
        raise UserError(f"task {name}: {error}") from None
    except Exception as error:  # whatever the task's own code raises
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"task {name} raised {what}. Mend it, or choose another") from error
