"""`python -m pipelines.sweeps.child PARENT ARGS…`: `guerdon ARGS…`, told to save and end when its parent has gone.

Linux alone does that; elsewhere a trial goes on without its sweep until it is done, or the sweep is gone on with.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

SET_DEATH_SIGNAL = 1  # of prctl


def main() -> None:
    """Run the command, as a child of the process whose id comes first."""
    parent = int(sys.argv.pop(1))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(SET_DEATH_SIGNAL, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it went before it was asked for
            sys.exit(128 + signal.SIGTERM)
    from pipelines import cli

    cli.main()


if __name__ == "__main__":
    main()
