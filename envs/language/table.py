"""The table of language tasks. One line adds one.

    make_text_task("arithmetic", terms=3)
    make_text_task("my_lab.tasks:Riddles", hard=True)

Options of a task of the table are those of the `Config` in its file; those of your own go to whatever the path names.
"""

from __future__ import annotations

import difflib
from typing import Any

from pydantic import ValidationError

from envs.language.task import TextTask
from envs.tasks import load

TASKS: dict[str, str] = {
    "arithmetic": "envs.language.tasks.arithmetic:Arithmetic",
    "cipher": "envs.language.tasks.cipher:Cipher",
    "code": "envs.language.tasks.code:Code",
    "dataset": "envs.language.tasks.dataset:Dataset",
    "json_extraction": "envs.language.tasks.json_extraction:JsonExtraction",
    "nethack_text": "envs.language.tasks.nethack_text:NetHackText",
    "phone": "envs.language.tasks.phone:PhoneTasks",
    "praise": "envs.language.tasks.praise:Praise",
    "preferences": "envs.language.tasks.preferences:Preferences",
    "text_world": "envs.language.tasks.text_world:TextWorld",
    "tools": "envs.language.tasks.tool_use:ToolUse",
    "word_problems": "envs.language.tasks.word_problems:WordProblems",
}


def make_text_task(name: str, **options: Any) -> TextTask:
    """A language task.

    Args:
        name: of the table, or a dotted path to a class or function that gives a `TextTask`.
        **options: its settings.

    Raises:
        ValueError: there is no such task, or it has no such settings.
    """
    path = TASKS.get(name, name)
    if ":" not in path:
        near = difflib.get_close_matches(name, TASKS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(TASKS)}, or package.module:Task"
        raise ValueError(f"got the language task {name!r}; {hint}")
    found = load(path)
    try:
        task = found(load(path.split(":")[0] + ":Config")(**options)) if name in TASKS else found(**options)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or name}: {e['msg']}" for e in error.errors())
        raise ValueError(f"language task {name}: {wrong}; its settings stand in the Config of {path}") from None
    except TypeError as error:
        raise ValueError(f"language task {name}: {error}; expected settings that it knows") from error
    if not isinstance(task, TextTask):
        raise ValueError(f"language task {name}: got a {type(task).__name__}; expected a TextTask")
    return task
