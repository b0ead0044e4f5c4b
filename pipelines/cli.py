"""The command line: `guerdon COMMAND`, recipe names and `key=value`.

Everything that can be set is a key of the experiment; the only flags are `--dry-run` and `--live`. What a person can
mend is said in one line, with exit code 2. A command is a function in a file of `pipelines/commands/`.
"""

from __future__ import annotations

import errno
import os
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
from pipelines.errors import Unfinished, UserError

OF_THE_DISK = {
    errno.EACCES: "expected a place that you may read and write: change its rights, or choose another",
    errno.EPERM: "expected a place that you may read and write: change its rights, or choose another",
    errno.EROFS: "expected a place that can be written: choose another, or mount it so",
    errno.ENOTDIR: "expected a folder: choose another name, or take the file away",
    errno.ENOSPC: "make room, or choose another place",
    errno.EDQUOT: "make room within your quota, or choose another place",
    errno.EIO: "the disk or the server behind it fails: mend it, or choose another place",
    errno.ESTALE: "the server behind it has changed: mount it again",
}
"""What of the disk a person can mend, and how."""

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

    if not sys.stderr.isatty():  # before transformers is imported: bars of models read and written are for terminals
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        check_house()
        code = app(prog_name="guerdon", standalone_mode=False)  # what typer.Exit was raised with, or None
        sys.stdout.flush()  # here, where it is known what to make of it if nobody reads
    except UserError as error:
        print(f"guerdon: {error}", file=sys.stderr)
        sys.exit(2)
    except Unfinished as error:
        print(f"guerdon: {error}", file=sys.stderr)
        sys.exit(75)
    except typer.Exit as error:
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        print("guerdon: interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # `guerdon … | head`: nobody reads on, and that is no mistake
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python says so when it ends
        sys.exit(1)  # as click does, where it meets it first
    except OSError as error:
        if error.errno not in OF_THE_DISK or error.filename is None:
            raise
        print(f"guerdon: {error.filename}: {error.strerror}; {OF_THE_DISK[error.errno]}", file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        if hasattr(error, "format_message"):  # usage errors of the command line itself
            if message := error.format_message():  # empty where the help was printed instead
                if getattr(error, "option_name", None) and not getattr(error, "possibilities", None):
                    message = f"{message.rstrip('.')}. Settings are written KEY=VALUE, without dashes."
                if (context := getattr(error, "ctx", None)) is not None and message.startswith("Missing"):
                    message = f"{message.rstrip('.')}; `{context.command_path} --help` says what it takes"
                print(f"guerdon: {message}", file=sys.stderr)
            sys.exit(2)
        raise
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
