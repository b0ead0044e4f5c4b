"""`package.module:name`: what people name by dotted path; whatever goes wrong in their code is told in one line."""

from __future__ import annotations

import importlib
from typing import Any

from pipelines.errors import UserError

PLAIN = (ImportError, AttributeError, TypeError, ValueError)  # what their messages say, they say without their names


def named(path: str, what: str) -> Any:
    """What stands under a path.

    Args:
        path: `package.module:name`.
        what: it is, for the message, such as `recipe 'my_lab.recipes:mine'`.

    Raises:
        UserError: it cannot be imported, or has no such name.
    """
    module, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except Exception as error:
        raise _told(error, what) from None


def made(path: str, what: str, *arguments: Any) -> Any:
    """What a function or class under a path gives; see `named`.

    Raises:
        UserError: it is not there, or raises.
    """
    maker = named(path, what)
    try:
        return maker(*arguments)
    except UserError:
        raise
    except Exception as error:
        raise _told(error, what) from None


def _told(error: Exception, what: str) -> UserError:
    said = str(error) if isinstance(error, PLAIN) else f"{type(error).__name__}: {error}"
    return UserError(f"{what} cannot be loaded: {' '.join(said.split())}")
