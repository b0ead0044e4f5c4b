"""From the task of a language experiment to the task itself."""

from __future__ import annotations

from envs.language.table import make_text_task
from envs.language.task import TextTask
from pipelines.errors import UserError
from pipelines.language.experiment import LanguageExperiment


def task_of(experiment: LanguageExperiment) -> TextTask:
    """The experiment's task.

    Raises:
        UserError: there is none of that name, an option is not one of its, or its own code raises.
    """
    try:
        return make_text_task(experiment.task, **experiment.task_options)
    except (ValueError, TypeError, ImportError, OSError) as error:
        raise UserError(f"task {experiment.task}: {error}") from None
    except Exception as error:  # whatever the task's own code raises
        what = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"task {experiment.task} raised {what}. Mend it, or choose another") from error
