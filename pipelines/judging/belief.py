"""`Belief`: which judges a run believes. Canaries and monitors put one into quarantine, a person takes it out again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipelines.experiment import Experiment
from pipelines.judging.quarantine import Evidence, canary_watch, put_in_quarantine, quarantined
from pipelines.run_directory import RunDirectory


class Belief:
    """Who answers for a run, and who of them is believed.

    Attributes:
        canaries: what judges are tested with, where there are some.
        fallback_judges: fingerprints of who judged when the budget was used up.
        barred: fingerprints of who is not believed.
    """

    def __init__(
        self,
        experiment: Experiment,
        directory: RunDirectory,
        note: Callable[[str, str], None],
        say: Callable[[str], None],
        changed: Callable[[], None],
    ) -> None:
        """Everybody is believed who is not in quarantine.

        Args:
            experiment: what is run.
            directory: of the run, where the quarantine is.
            note: writes down an event and its cause.
            say: tells people.
            changed: is called when others are believed than before.

        Raises:
            UserError: the canaries, or the quarantine, cannot be read.
        """
        self.canaries = canary_watch(experiment)
        self.fallback_judges: set[str] = set()
        self.barred = frozenset(quarantined(directory))
        self._fallback_counts = experiment.fallback.counts
        self._directory, self._note, self._say, self._changed = directory, note, say, changed
        self._judge = ""  # fingerprint of who judges
        self._forget: Callable[[str], None] = lambda judge: None

    def judged_by(self, fingerprint: str, forget: Callable[[str], None]) -> None:
        """From now on this judge answers; `forget` drops what a judge said and nobody has used yet."""
        self._judge, self._forget = fingerprint, forget

    @property
    def judge(self) -> str:
        """Fingerprint of who judges and is believed, or empty."""
        return "" if self._judge in self.barred else self._judge

    @property
    def forbids_asking(self) -> bool:
        """Whether somebody who would answer is in quarantine: a judge that is not believed is not paid."""
        return not self.barred.isdisjoint({self._judge, *self.fallback_judges})

    def believes(self, judge: str) -> bool:
        """Whether the verdicts of a judge count."""
        return judge not in self.barred and (self._fallback_counts or judge not in self.fallback_judges)

    def quarantine(self, found: Evidence, reward_version: str) -> None:
        """A judge failed its canaries, or a monitor suspects it: it is not believed until a person lifts that."""
        put_in_quarantine(self._directory, found, reward_version)
        self._forget(found.judge)
        self._note("quarantined", f"reward version {reward_version}: {found}")
        self._say(f"reward version {reward_version}: {found}")
        self.look()

    def look(self) -> None:
        """See who is in quarantine now: a person may have lifted one.

        Raises:
            UserError: the quarantine cannot be read.
        """
        barred = frozenset(quarantined(self._directory))
        if barred == self.barred:
            return
        for judge in self.barred - barred:
            if self.canaries is not None and self.canaries.quarantine_of(judge) is not None:
                self.canaries.lift(judge)
            self._note("believed again", judge)
            self._say(f"judge {judge} is believed again")
        self.barred = barred
        self._changed()

    def accounts(self) -> dict[str, Any]:
        """For the ledger."""
        return {
            "fallback_judges": sorted(self.fallback_judges),
            "canaries": {} if self.canaries is None else self.canaries.report(),
            "quarantined": sorted(self.barred),
        }

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {
            "fallback_judges": sorted(self.fallback_judges),
            "canaries": None if self.canaries is None else self.canaries.state_dict(),
            "barred": sorted(self.barred),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> bool:
        """Go on from what a checkpoint kept; gives whether others are believed now than were then."""
        self.fallback_judges = set(state.get("fallback_judges", []))
        if self.canaries is not None and (saved := state.get("canaries")) is not None:
            self.canaries.load_state_dict(saved)
            for judge in self.canaries.report():
                if self.canaries.quarantine_of(judge) is not None and judge not in self.barred:
                    self.canaries.lift(judge)  # by a person, since it was saved
        return self.barred != frozenset(state.get("barred", []))
