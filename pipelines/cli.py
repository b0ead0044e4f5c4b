"""The command line: `guerdon COMMAND`, recipe names and `key=value`.

Everything that can be set is a key of the experiment; the only flags are `--dry-run` and `--live`. What a person can
mend is said in one line, with exit code 2. A command is a function in a file of `pipelines/commands/`.
"""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

from pipelines.commands import (
    creating,
    deploying,
    jobs,
    looking,
    machine,
    planning,
    rewarding,
    storing,
    sweeping,
    training,
    trusting,
)
from pipelines.errors import UserError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Guerdon: a workbench for learning from designed rewards.",
)
for commands in (
    training,
    sweeping,
    jobs,
    planning,
    looking,
    rewarding,
    trusting,
    storing,
    deploying,
    machine,
    creating,
):
    app.add_typer(commands.app)


def main() -> NoReturn:
    """Entry point: runs a command; errors that a person can mend become one line and exit code 2."""
    from pipelines.house import check_house

    try:
        check_house()
        code = app(standalone_mode=False)  # what typer.Exit was raised with, or None
    except UserError as error:
        print(f"guerdon: {error}", file=sys.stderr)
        sys.exit(2)
    except typer.Exit as error:
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        print("guerdon: interrupted", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if hasattr(error, "format_message"):  # usage errors of the command line itself
            if message := error.format_message():  # empty where the help was printed instead
                if getattr(error, "option_name", None) and not getattr(error, "possibilities", None):
                    message = f"{message.rstrip('.')}. Settings are written KEY=VALUE, without dashes."
                print(f"guerdon: {message}", file=sys.stderr)
            sys.exit(2)
        raise
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
