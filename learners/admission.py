"""`Admission`: how much experience may be begun, so that none is too old when it is learnt from.

The rule is AReaL's (Fu et al. 2025, section 5.1), in fragments: with a batch of B fragments to every version,

    accepted + running < (max_staleness + version + 1) · B

A fragment that is begun under this rule has fewer than (max_staleness + 1) · B before it that the learner has not
consumed, so that at most max_staleness versions go by until its turn comes, if fragments are finished in the order in
which they were begun. A straggler can still be late: the replay's own limit, at sampling, is the strict one.

To be cautious is cheap here: waiting loses time, but discarding loses what was paid for.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field


class Config(BaseModel):
    """How far ahead of the learner actors may work.

    Attributes:
        batch: fragments that the learner consumes for each version.
        max_staleness: versions that may go by between acting and learning; 0: on-policy, actors wait for every update.
        concurrency: fragments that may be running at a time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch: int = Field(ge=1)
    max_staleness: int = Field(ge=0)
    concurrency: int = Field(ge=1)


class Admission:
    """Counts fragments from when they are begun until they are consumed; pure bookkeeping."""

    def __init__(self, config: Config) -> None:
        """Nothing begun, version 0.

        Args:
            config: limits.
        """
        self.config = config
        self._version = 0
        self._accepted = 0
        self._running = 0

    @property
    def version(self) -> int:
        """Batches that the learner has consumed."""
        return self._version

    @property
    def running(self) -> int:
        """Fragments begun and neither finished nor lost."""
        return self._running

    @property
    def accepted(self) -> int:
        """Fragments finished and not dropped since, consumed ones too."""
        return self._accepted

    @property
    def capacity(self) -> int:
        """Fragments that may be begun now, at least 0."""
        ahead = (self.config.max_staleness + self._version + 1) * self.config.batch
        return max(0, min(self.config.concurrency - self._running, ahead - self._accepted - self._running))

    def admit(self) -> bool:
        """Whether a fragment may be begun now; it is not yet counted."""
        return self.capacity > 0

    def resize(self, actors: int) -> None:
        """From now on there are more or fewer actors, of which each has at most one fragment running.

        Args:
            actors: how many.
        """
        self.config = self.config.model_copy(update={"concurrency": actors})

    def started(self) -> None:
        """A fragment was begun.

        Raises:
            RuntimeError: it was not admitted.
        """
        if not self.admit():
            raise RuntimeError(
                f"a fragment was begun with {self._running} running and {self._accepted} accepted at version "
                f"{self._version}; expected to wait until admit() says so"
            )
        self._running += 1

    def finished(self) -> None:
        """A running fragment was accepted by the replay."""
        self._stop()
        self._accepted += 1

    def lost(self) -> None:
        """A running fragment will never come: its actor died, or the replay knew it already."""
        self._stop()

    def dropped(self, fragments: int = 1) -> None:
        """Accepted fragments were dropped and will never be consumed: others may take their place.

        Args:
            fragments: how many since the last call.

        Raises:
            ValueError: more than were accepted.
        """
        if not 0 <= fragments <= self._accepted:
            raise ValueError(f"got {fragments} dropped fragments; expected 0 to {self._accepted}, those accepted")
        self._accepted -= fragments

    def on_version(self, version: int) -> None:
        """The learner has consumed `version` batches in all.

        Raises:
            ValueError: versions run backwards.
        """
        if version < self._version:
            raise ValueError(f"got version {version} after {self._version}; expected versions to rise")
        self._version = version

    def state_dict(self) -> dict[str, int]:
        """The books as plain JSON values; what is running is not saved, it will be lost."""
        return {"version": self._version, "waiting": self._accepted - self._version * self.config.batch}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on from what `state_dict` gave, nothing running.

        Counts are put back in terms of this config's batch: a counter that began again at 0 beside a version that did
        not would admit as many batches too many as there had been versions.

        Args:
            state: the books. Where waiting fragments were not saved with them, call `dropped` for those.
        """
        self._version = state["version"]
        self._accepted = state["waiting"] + self._version * self.config.batch
        self._running = 0

    def _stop(self) -> None:
        if self._running < 1:
            raise RuntimeError("a fragment ended that was not running; expected started() before finished() or lost()")
        self._running -= 1
