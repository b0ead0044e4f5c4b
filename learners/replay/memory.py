"""`Memory`: all memory of the process as one array, from which lines are copied wherever they lie.

The array's lines overlap, one from each word on. Short lines are looked up by index, long ones copied one by one; many
bytes in long lines by as many threads as torch may have, for as long as that is faster.
"""

from __future__ import annotations

import time
from functools import cached_property
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from learners.replay.faster import Faster

PAGE = 4096  # nothing lies on the first page; NumPy refuses an array at address 0
WORD = 8  # bytes of the longest word
_WORDS = (WORD, 4, 2, 1)  # bytes that are copied as one number, where address and length are multiples of them
_LONG = 4096  # bytes of a line from which on copying weighs more than a call for each line
_MUCH = 2**18  # bytes in all from which on several threads copy
_GRAIN = 2**15  # words of a line from which on torch would share each line among its threads, and not the lines

Ints = NDArray[np.int64]


class _Everything:
    """The memory of this process as an array interface: nothing is read until it is indexed."""

    def __init__(self, word: int) -> None:
        self.__array_interface__ = {
            "version": 3,
            "typestr": f"<i{word}" if word > 1 else "|u1",
            "shape": ((2**47 - PAGE) // word,),
            "data": (PAGE, False),  # torch warns of memory that is said to be read-only; nothing here writes to it
        }


class Target:
    """An output array that is filled again and again.

    Attributes:
        array: that is given out.
        length: bytes of a line.
        whole: all of its bytes.
    """

    def __init__(self, array: NDArray[Any]) -> None:
        """An array to fill.

        Args:
            array: contiguous, `[lines, …]`.
        """
        self.array, self.length = array, array.nbytes // max(1, len(array))
        self.whole = array.reshape(-1).view(np.uint8).data
        self._words: dict[int, NDArray[Any]] = {}
        self._tensors: dict[int, Any] = {}

    @cached_property
    def cuts(self) -> list[slice]:
        """The bytes of each line."""
        return [slice(line * self.length, (line + 1) * self.length) for line in range(len(self.array))]

    def lines(self, word: int) -> NDArray[Any]:
        """The array as words of so many bytes, `[lines, words]`."""
        lines = self._words.get(word)
        if lines is None:
            lines = self._words[word] = self.array.reshape(len(self.array), -1).view(f"i{word}" if word > 1 else "u1")
        return lines

    def tensor(self, word: int) -> Any:
        """`lines` as a tensor of torch, `[lines, words]`."""
        tensor = self._tensors.get(word)
        if tensor is None:
            import torch  # here, because most processes that hold rows gather none

            tensor = self._tensors[word] = torch.from_numpy(self.lines(word))
        return tensor


class Memory:
    """Copies lines; addresses count from the second page on."""

    def __init__(self) -> None:
        """No line is known."""
        self._words = {word: np.asarray(_Everything(word)) for word in _WORDS}
        self._bytes = self._words[1].data.toreadonly()  # copies with less ado than NumPy
        self._lines: dict[tuple[int, int], NDArray[Any]] = {}  # by bytes of word and line
        self._tensors: dict[tuple[int, int], Any] = {}
        self._way = Faster()  # 0: one thread; 1: those of torch

    def stretch(self, begin: int, end: int) -> NDArray[np.uint8]:
        """What lies between two addresses."""
        return self._words[1][begin:end]

    def copy_words(self, out: Ints, index: Ints) -> None:
        """Fill `out` with the longest words of these numbers."""
        self._words[WORD].take(index, out=out, mode="clip")

    def copy_lines(self, out: Target, begin: Ints, bits: int) -> None:
        """Fill each line of `out` with what lies from its place on.

        Args:
            out: to fill.
            begin: address of each line, `[lines]`.
            bits: that are set in any of `begin`, or more: by how much all of them are aligned.
        """
        length = out.length
        if not length:
            return
        aligned = (bits | length) & -(bits | length)
        word = min(aligned, WORD)
        if length >= _LONG:
            if length * len(begin) < _MUCH or length >= _GRAIN * word:
                self._copy_long(out, begin)
                return
            began = time.perf_counter()
            if not self._way.choose() or not self._copy_shared(out, begin, word):
                self._copy_long(out, begin)
            self._way.took((time.perf_counter() - began) / len(out.whole))
            return
        index = begin >> _shift(word)
        if length == word:
            np.take(self._words[word], index, out=out.lines(word)[:, 0], mode="clip")
            return
        lines = self._lines.get((word, length))
        if lines is None:
            shape = self._shape(word, length)
            lines = as_strided(self._words[word], shape, (word, word), writeable=False)
            self._lines[word, length] = lines
        out.lines(word)[:] = lines[index]

    def _copy_long(self, out: Target, begin: Ints) -> None:
        target, memory, length = out.whole, self._bytes, out.length
        for cut, at in zip(out.cuts, begin.tolist(), strict=True):
            target[cut] = memory[at : at + length]

    def _copy_shared(self, out: Target, begin: Ints, word: int) -> bool:
        """Have the threads of torch fill `out`; False, and nothing done, where there is but one."""
        import torch  # here, because most processes that hold rows gather none

        if torch.get_num_threads() < 2:
            return False
        lines = self._tensors.get((word, out.length))
        if lines is None:
            lines = torch.from_numpy(self._words[word]).as_strided(self._shape(word, out.length), (1, 1))
            self._tensors[word, out.length] = lines
        torch.index_select(lines, 0, torch.from_numpy(begin >> _shift(word)), out=out.tensor(word))
        return True

    def _shape(self, word: int, length: int) -> tuple[int, int]:
        return len(self._words[word]) - length // word, length // word


def _shift(word: int) -> int:
    return word.bit_length() - 1
