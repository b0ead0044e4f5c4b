"""`Shelf`: keys and values of conversations that wait for their world, so that nothing is read twice."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from torch import Tensor

from actors.engines.decoder import Decoder


class Shelf:
    """What conversations have read, by their names; the oldest make room for new ones."""

    def __init__(self, decoder: Decoder, conversations: int) -> None:
        """Begin empty; there are never more than `conversations`."""
        self._decoder, self._most = decoder, conversations
        self._memory: Tensor = decoder.memory[:, :0]
        self._held: dict[Hashable, tuple[int, list[int]]] = {}
        self._free: list[int] = []

    def put(self, names: Sequence[Hashable], places: Sequence[int], tokens: Sequence[list[int]]) -> None:
        """Keep what the decoder holds of `tokens` at `places`."""
        slots = []
        for name, read in zip(names, tokens, strict=True):
            old = name if name in self._held else next(iter(self._held)) if len(self._held) >= self._most else None
            if old is not None:
                self._free.append(self._held.pop(old)[0])
            slots.append(self._free.pop() if self._free else len(self._held))
            self._held[name] = slots[-1], read
        if slots:
            longest = max(map(len, tokens))
            self._memory = self._decoder.enlarged(self._memory, max(slots) + 1, longest)
            self._memory[:, slots, :, :longest] = self._decoder.memory[:, list(places), :, :longest]

    def take(self, wanted: Sequence[tuple[Hashable, int, list[int]]]) -> list[int]:
        """Give conversations back to the decoder.

        Args:
            wanted: name, place in the decoder, and tokens that are to be there.

        Returns:
            How many of the tokens of each are there.
        """
        found, slots, places = [], [], []
        for name, place, tokens in wanted:
            slot, read = self._held.pop(name, (-1, []))
            fits = len(read) > 0 and tokens[: len(read)] == read
            found.append(len(read) if fits else 0)
            if slot >= 0:
                self._free.append(slot)
            if fits:
                slots.append(slot)
                places.append(place)
        if slots:
            longest = max(found)
            self._decoder.memory[:, places, :, :longest] = self._memory[:, slots, :, :longest]
        return found

    def clear(self) -> None:
        """Forget all."""
        self._free += [slot for slot, _ in self._held.values()]
        self._held.clear()
