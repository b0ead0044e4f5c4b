"""The Ray Jobs API behind errors that a person can mend: an address, a token and a version are seen before any work.

Only what knows Ray: what is submitted, and what is made of the answer, is its caller's.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from cluster.deadlines import within
from cluster.session import ClusterUnavailable, is_loopback

if TYPE_CHECKING:
    from ray.job_submission import JobDetails, JobSubmissionClient

ADDRESS = "http://127.0.0.1:8265"
PROBE_S = 5.0
CALL_S = 30.0  # a call that sends little
SEND_S = 600.0  # the checkout is sent
STOP_WAIT_S = 180  # from the signal to the kill: a run saves and stops its roles in between
ENDED = ("SUCCEEDED", "FAILED", "STOPPED")
Answer = TypeVar("Answer")


class Jobs:
    """The jobs of one cluster."""

    def __init__(self, address: str = ADDRESS) -> None:
        """Reach the jobs server.

        Args:
            address: of the dashboard, `http://HOST:PORT` or `https://…`.

        Raises:
            ClusterUnavailable: nobody listens there, the token is missing or wrong, or another version of Ray runs.
        """
        self.address = checked_address(address)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        import ray
        from ray.job_submission import JobSubmissionClient

        for name in ("ray", "ray.dashboard.modules.dashboard_sdk", "ray.dashboard.modules.job.sdk"):
            logging.getLogger(name).setLevel(logging.ERROR)  # what they say would stand between the job's lines
        self.client: JobSubmissionClient = self._ask(lambda: JobSubmissionClient(self.address))
        theirs = getattr(self.client, "_server_ray_version", None) or ray.__version__
        if theirs != ray.__version__:
            raise ClusterUnavailable(
                f"the cluster at {self.address} runs Ray {theirs}, and Ray {ray.__version__} is installed here; "
                f"expected one version: pip install ray=={theirs}, or upgrade the cluster"
            )

    @property
    def in_clear(self) -> bool:
        """Whether the token, and all else, goes over a network without TLS."""
        parts = urlsplit(self.address)
        return parts.scheme == "http" and not is_loopback(parts.hostname or "")

    def submit(
        self,
        entrypoint: str,
        ident: str,
        folder: Path,
        environment: Mapping[str, Any],
        variables: Mapping[str, str],
        metadata: Mapping[str, str],
    ) -> str:
        """Send a folder and run a command in it; gives the job's id.

        Args:
            entrypoint: a line for the shell.
            ident: of the job; new.
            folder: that becomes its working directory.
            environment: further parts of the runtime environment, such as `pip`.
            variables: of the environment of its processes; nothing secret, for all can see them.
            metadata: kept with the job, for all to see.
        """
        runtime = {
            **environment,
            "working_dir": str(folder),
            "env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WAIT_S), "PYTHONUNBUFFERED": "1", **variables},
        }
        return self._ask(
            lambda: self.client.submit_job(
                entrypoint=entrypoint, submission_id=ident, runtime_env=runtime, metadata=dict(metadata)
            ),
            SEND_S,
        )

    def all(self) -> list[JobDetails]:
        """Every job that the cluster remembers and that was submitted, oldest first."""
        jobs = self._ask(self.client.list_jobs)
        return sorted((job for job in jobs if job.submission_id), key=lambda job: job.start_time or 0)

    def details(self, ident: str) -> JobDetails:
        """One job."""
        return self._ask(lambda: self.client.get_job_info(ident))

    def logs(self, ident: str) -> str:
        """What a job has said so far."""
        return self._ask(lambda: self.client.get_job_logs(ident))

    def stop(self, ident: str) -> bool:
        """Ask a job to save and stop; whether it was running."""
        return self._ask(lambda: self.client.stop_job(ident))

    def follow(self, ident: str) -> AsyncIterator[str]:
        """What a job says, as it says it, to its end."""
        return self.client.tail_job_logs(ident)

    def _ask(self, call: Callable[[], Answer], deadline_s: float | None = None) -> Answer:
        """One call, with errors in one line; Ray's client itself waits for ever.

        Raises:
            ClusterUnavailable: it was refused, or could not be made.
        """
        from ray.exceptions import AuthenticationError

        deadline_s = deadline_s or CALL_S
        try:
            return within(deadline_s, call)
        except TimeoutError:
            raise ClusterUnavailable(
                f"the jobs server at {self.address} accepts connections and has not answered within {deadline_s:.0f} "
                "s; its head hangs, or something else listens there: look at the head, and try again"
            ) from None
        except AuthenticationError:
            raise ClusterUnavailable(
                f"the cluster at {self.address} refuses the token of this machine; expected the cluster's: set "
                "RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN_PATH to a file that holds it (docs/jobs.md)"
            ) from None
        except (RuntimeError, OSError, ValueError) as error:  # requests' own are OSErrors
            text = " ".join(str(error).split())
            # It was seen to listen; something else that does answers every path with a 404, as a proxy may.
            if "Failed to connect to Ray" in text or "Version check returned" in text:
                raise ClusterUnavailable(
                    f"what listens at {self.address} is no jobs server of Ray; expected the cluster's dashboard, such "
                    f"as {ADDRESS}: its port is 8265 where nobody chose another, and not that of Ray itself (6379)"
                ) from None
            if "does not exist" in text or "status code 404" in text:
                raise ClusterUnavailable(
                    f"there is no such job at {self.address}; `guerdon jobs list` shows those that it remembers"
                ) from None
            raise ClusterUnavailable(f"the jobs server at {self.address} answers: {text[:300]}") from None


def checked_address(address: str) -> str:
    """The address, with its scheme, of a server that accepts connections.

    Raises:
        ClusterUnavailable: it is no address of a jobs server, or nobody listens there within seconds.
    """
    address = address.rstrip("/") if "://" in address else f"http://{address}".rstrip("/")
    parts = urlsplit(address)
    try:
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        port = None
    if parts.scheme not in ("http", "https") or not parts.hostname or port is None or parts.username is not None:
        raise ClusterUnavailable(
            f"got address {parts.scheme}://{parts.hostname or ''}…; expected that of the cluster's dashboard, such as "
            f"{ADDRESS}, without a user name"
        )
    try:
        with socket.create_connection((parts.hostname, port), timeout=PROBE_S):
            return address
    except OSError as error:
        raise ClusterUnavailable(
            f"nobody listens at {address} ({error}); expected the jobs server of a Ray cluster: `ray start --head` "
            "where it should be, or forward its port 8265 to this machine"
        ) from None
