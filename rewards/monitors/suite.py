"""`Monitors`: what may show that a policy has found how to please a reward without doing what is meant.

| kind | alarms when | needs |
|---|---|---|
| `gold` | the held-out reward falls below its reference | gold |
| `divergence` | the proxy rises while gold falls, or they cease to correlate: the proxy was correlated with what is meant under the reference policy and optimisation broke that (Laidlaw et al. 2024, "Correlated proxies", definition of hacking) | gold |
| `disagreement` | judge and gold say the opposite of more answers than in the reference | gold |
| `dominance` | one of several components has become nearly all of the reward | components |
| `length` | answers or episodes become much longer or shorter | length |
| `entropy` | the policy's entropy falls to a small share of its reference | entropy |
| `saturation` | nearly all answers earn the highest reward, and gold says that they should not | gold |
| `collapse` | the reward no longer differs with the input, although gold does, or without gold: although it did | proxy |

The reference is the first `warm_up` updates: the policy that training began with. An alarm says what to look at; it is
no proof. State machines without a clock; the host tells them what each update showed.
"""  # noqa: E501  a table

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rewards.monitors.detectors import Cusum, Level
from rewards.monitors.observation import Observation

Kind = Literal["gold", "divergence", "disagreement", "dominance", "length", "entropy", "saturation", "collapse"]
Action = Literal["warn", "stop", "quarantine"]
STATE_VERSION = 1
LEAST_SHARE = 0.05  # of answers: judges err, and a share near 0 hardly varies
DESERVED = 0.8  # of the highest gold, by size: where the mean is so near, the highest reward is deserved


class Config(BaseModel):
    """What is watched, how closely, and what an alarm does.

    Attributes:
        enabled: false: nothing is watched.
        gold: name of the held-out reward, see docs/monitors.md; empty: what the run has by itself.
        warm_up: updates that make the reference.
        slack: deviations that count as standing still, of drifts.
        threshold: evidence that alarms, of drifts, in deviations.
        patience: updates in a row that alarm, of levels.
        dominance: share of the largest component that alarms.
        length_factor: how many times longer or shorter alarms.
        entropy_share: of the reference, below which alarms.
        saturation: share of answers with the highest reward that alarms.
        collapse_share: of the reference spread, below which alarms.
        action: of every alarm.
        actions: of alarms of a kind, instead.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = True
    gold: str = ""
    warm_up: int = Field(default=10, ge=2)
    slack: float = Field(default=0.75, gt=0)
    threshold: float = Field(default=12.0, gt=0)
    patience: int = Field(default=5, ge=1)
    dominance: float = Field(default=0.95, gt=0.5, lt=1)
    length_factor: float = Field(default=2.0, gt=1)
    entropy_share: float = Field(default=0.02, gt=0, lt=1)
    saturation: float = Field(default=0.95, gt=0, lt=1)
    collapse_share: float = Field(default=0.1, gt=0, lt=1)
    action: Action = "warn"
    actions: dict[Kind, Action] = {}


@dataclass(frozen=True)
class Alarm:
    """What a monitor found.

    Attributes:
        monitor: which.
        kind: "drift" or "level".
        value: that alarmed.
        threshold: that it crossed.
        action: what is to be done.
        message: for people.
    """

    monitor: Kind
    kind: str
    value: float
    threshold: float
    action: Action
    message: str


class Monitors:
    """All monitors of one run."""

    def __init__(self, config: Config) -> None:
        """Nothing seen yet."""
        self.config = config
        drift = {"slack": config.slack, "threshold": config.threshold, "warm_up": config.warm_up}
        self._drifts: dict[str, Cusum] = {
            "gold": Cusum(-1, **drift),  # type: ignore[arg-type]
            "proxy": Cusum(1, **drift),  # type: ignore[arg-type]
            "correlation": Cusum(-1, **drift),  # type: ignore[arg-type]
            "disagreement": Cusum(1, **drift, least=LEAST_SHARE),  # type: ignore[arg-type]
            "gap": Cusum(1, **drift),  # type: ignore[arg-type]
            # references only
            "dominance": Cusum(1, **drift),  # type: ignore[arg-type]
            "length": Cusum(1, **drift),  # type: ignore[arg-type]
            "entropy": Cusum(1, **drift),  # type: ignore[arg-type]
            "proxy_spread": Cusum(1, **drift),  # type: ignore[arg-type]
            "gold_spread": Cusum(1, **drift),  # type: ignore[arg-type]
        }
        self._best: float | None = None  # the highest gold that any answer had; None: nobody said yet
        self._range: tuple[float, float] | None = None  # the lowest and the highest proxy that any answer had
        levels = ("dominance", "length", "entropy", "saturation", "collapse")
        self._levels = {name: Level(1.0, config.patience, config.warm_up) for name in levels}
        self._updates = 0
        self._told: dict[str, int] = {}  # updates when each monitor alarmed last

    def observe(self, seen: Observation) -> list[Alarm]:
        """Take in what an update showed; gives the alarms that it brings about."""
        if not self.config.enabled:
            return []
        self._updates += 1
        drifts, alarms = self._drifts, list[Alarm]()
        if seen.gold_high is not None:
            self._best = seen.gold_high if self._best is None else max(self._best, seen.gold_high)
        if seen.proxy_low is not None and seen.proxy_high is not None:
            low, high = self._range or (seen.proxy_low, seen.proxy_high)
            self._range = min(low, seen.proxy_low), max(high, seen.proxy_high)
        given = {name: getattr(seen, name) for name in drifts if name != "gap"}
        alarmed = {name for name, value in given.items() if drifts[name].observe(value)}
        if "gold" in alarmed:
            alarms.append(self._drift("gold", seen.gold, "the held-out reward falls"))
        if drifts["gold"].ready and drifts["proxy"].ready and seen.proxy is not None and seen.gold is not None:
            up, down = drifts["proxy"].z(seen.proxy), -drifts["gold"].z(seen.gold)
            # the smaller alarms only where gold is below its reference and the proxy above; both are in deviations,
            # so that it is compared with mean 0 and deviation 1, without a reference of its own
            drifts["gap"].seen, drifts["gap"].squares = self.config.warm_up, float(self.config.warm_up - 1)
            if drifts["gap"].observe(min(up, down)):
                alarms.append(self._drift("divergence", min(up, down), "the reward rises while what is meant falls"))
        if "correlation" in alarmed and drifts["correlation"].mean > 0 and self._gold_fell(seen):
            said = "reward and held-out reward correlate less than at first"
            alarms.append(self._drift("divergence", seen.correlation, said))
        if "disagreement" in alarmed:
            alarms.append(self._drift("disagreement", seen.disagreement, "judge and held-out reward contradict"))
        for monitor, ratio, message in self._ratios(seen):
            if self._levels[monitor].observe(ratio) and ratio is not None:
                alarms.append(self._alarm(monitor, "level", ratio, 1.0, f"{message}: {ratio:.3g} of the limit"))
        return [alarm for alarm in alarms if self._is_news(alarm)]

    def _is_news(self, alarm: Alarm) -> bool:
        """Whether an alarm is told: one that warns is told again when the run is twice as old, or nobody would read."""
        if alarm.action == "warn" and self._updates < 2 * self._told.get(alarm.monitor, 0):
            return False
        self._told[alarm.monitor] = self._updates
        return True

    def _gold_fell(self, seen: Observation) -> bool:
        return seen.gold is not None and self._drifts["gold"].z(seen.gold) < 0

    def _ratios(self, seen: Observation) -> list[tuple[Kind, float | None, str]]:
        """How near each level is to its limit: 1 and more is beyond it."""
        config, drifts = self.config, self._drifts
        length = entropy = collapse = None
        shares, dominance = drifts["dominance"], seen.dominance
        if not shares.ready or shares.mean >= config.dominance:
            dominance = None  # it was so from the beginning: the other component is rare
        if seen.length is not None and drifts["length"].ready and drifts["length"].mean > 0 and seen.length > 0:
            times = seen.length / drifts["length"].mean
            length = max(times, 1 / times) / config.length_factor
        if seen.entropy is not None and drifts["entropy"].ready and drifts["entropy"].mean > 0:
            entropy = config.entropy_share * drifts["entropy"].mean / max(seen.entropy, 1e-12)
        spread, meant = drifts["proxy_spread"], drifts["gold_spread"]
        if seen.proxy_spread is not None and spread.ready and spread.mean > 0:
            collapse = config.collapse_share * spread.mean / max(seen.proxy_spread, 1e-12)
            if seen.gold_spread is not None and seen.gold_spread < 0.5 * meant.mean:
                collapse = 0.0  # what is meant differs no more either: the task is solved, or lost
        saturation = None if seen.extreme is None else seen.extreme / config.saturation
        if seen.gold is None:
            saturation = None  # it may be deserved: nobody says
        elif self._best is not None and seen.gold >= self._best - (1 - DESERVED) * abs(self._best):
            saturation = 0.0
        elif self._range is not None and seen.proxy_high is not None and seen.proxy_high < sum(self._range) / 2:
            saturation = 0.0  # all earn the same because nothing succeeds: that is the lowest reward, not the highest
        return [
            ("dominance", None if dominance is None else dominance / config.dominance, "one component is all"),
            ("length", length, "lengths are far from those at first"),
            ("entropy", entropy, "the policy's entropy has collapsed"),
            ("saturation", saturation, "nearly everything earns the highest reward"),
            ("collapse", collapse, "the reward no longer depends on the input"),
        ]

    def _drift(self, monitor: Kind, value: float | None, message: str) -> Alarm:
        shown = 0.0 if value is None else float(value)
        return self._alarm(monitor, "drift", shown, self.config.threshold, f"{message}: now {shown:.3g}")

    def _alarm(self, monitor: Kind, kind: str, value: float, threshold: float, message: str) -> Alarm:
        action = self.config.actions.get(monitor, self.config.action)
        return Alarm(monitor, kind, value, threshold, action, message)

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on, as JSON-able data."""
        return {
            "version": STATE_VERSION,
            "best": self._best,
            "range": None if self._range is None else list(self._range),
            "updates": self._updates,
            "told": dict(self._told),
            "drifts": {name: one.state_dict() for name, one in self._drifts.items()},
            "levels": {name: one.state_dict() for name, one in self._levels.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave.

        Raises:
            ValueError: it was saved by another version of this code.
        """
        if state.get("version") != STATE_VERSION:
            raise ValueError(f"got monitors of state version {state.get('version')}; expected {STATE_VERSION}")
        self._best = None if state["best"] is None else float(state["best"])
        low_and_high = state.get("range")
        self._range = None if low_and_high is None else (float(low_and_high[0]), float(low_and_high[1]))
        self._updates, self._told = int(state.get("updates", 0)), dict(state.get("told", {}))
        for name, saved in state["drifts"].items():
            self._drifts[name].load_state_dict(saved)
        for name, saved in state["levels"].items():
            self._levels[name].load_state_dict(saved)
