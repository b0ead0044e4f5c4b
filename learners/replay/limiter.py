"""`Limiter`: how many samples there may be for each insert, by Reverb's rule (Cassirer et al. 2021, section 3.3).

    error = inserts · samples_per_insert - samples

is held within `error_buffer` of what it is when the replay first holds `min_size` items: below, sampling waits for
inserts; above, inserting waits for samples. The band must be wide enough for either side to take a step from anywhere
in it, or both could wait for each other.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Config(BaseModel):
    """Limits.

    Attributes:
        min_size: items that must be there before any is sampled.
        samples_per_insert: items sampled for each item inserted; None: any.
        error_buffer: how far the error may go to either side.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_size: int = Field(1, ge=1)
    samples_per_insert: float | None = Field(None, gt=0)
    error_buffer: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _wide_enough(self) -> Config:
        if (self.samples_per_insert is None) != (self.error_buffer is None):
            raise ValueError(
                f"got samples_per_insert {self.samples_per_insert} and error_buffer {self.error_buffer}; "
                "expected both or none"
            )
        if self.samples_per_insert is not None and self.error_buffer is not None:
            least = max(1.0, self.samples_per_insert)
            if self.error_buffer < least:
                raise ValueError(
                    f"got error_buffer {self.error_buffer:g}; expected at least max(1, samples_per_insert) = "
                    f"{least:g}: in a narrower band inserting and sampling can wait for each other for ever"
                )
        return self


class Limiter:
    """Says whether an insert or a sample keeps the ratio; the caller counts both."""

    def __init__(self, config: Config) -> None:
        """Nothing counted.

        Args:
            config: limits.
        """
        self.config = config
        ratio, self._buffer = config.samples_per_insert, config.error_buffer or 0.0
        self._ratio = ratio or 0.0
        self._middle = self._ratio * config.min_size
        self._limited = ratio is not None

    @property
    def largest_sample(self) -> float:
        """Items that one sample may hold; the band is no wider."""
        return 2 * self._buffer if self._limited else float("inf")

    def why_no_insert(self, items: int, inserted: int, sampled: int, held: int) -> str:
        """What an insert would have to wait for, or nothing.

        Args:
            items: to be inserted.
            inserted: items inserted so far.
            sampled: items sampled so far.
            held: items there are now.
        """
        error = (inserted + items) * self._ratio - sampled
        if not self._limited or held + items <= self.config.min_size or error <= self._middle + self._buffer:
            return ""
        return (
            f"limiter: {inserted} + {items} inserts at {self._ratio:g} samples each are {error:g} ahead of {sampled} "
            f"samples; at most {self._middle + self._buffer:g} are allowed"
        )

    def why_no_sample(self, items: int, inserted: int, sampled: int, held: int) -> str:
        """What a sample would have to wait for, or nothing.

        Args:
            items: to be sampled.
            inserted: items inserted so far.
            sampled: items sampled so far.
            held: items there are now.
        """
        if held < self.config.min_size:
            return f"limiter: {held} items are there of min_size {self.config.min_size}"
        error = inserted * self._ratio - sampled - items
        if not self._limited or error >= self._middle - self._buffer:
            return ""
        return (
            f"limiter: after {items} more than {sampled} samples, {inserted} inserts at {self._ratio:g} samples each "
            f"leave {error:g}; at least {self._middle - self._buffer:g} are needed: wait for inserts"
        )
