"""`ngrams`: texts as checksums of their words, pairs of words and character n-grams, many texts at once.

CRC-32 is the same in every process and on every machine. Of words `zlib` takes it. Of character n-grams there are so
many that they are taken together, by the table that defines CRC-32, one step of all n-grams of all texts for each
character: of captions of 17 words that takes less than half of the time of a call for each (by hand).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

_POLYNOMIAL = np.uint32(0xEDB88320)  # of CRC-32, its bits reversed
_ONES = np.uint32(0xFFFFFFFF)
_MARKED = zlib.crc32(b"#")  # before character n-grams, so that none of them is taken for a word


def ngrams(texts: Sequence[str], size: int) -> list[NDArray[np.uint32]]:
    """Checksums of each text's words, then of its pairs of neighbours, then of its character n-grams.

    Upper case and the kind of white space make no difference.

    Args:
        texts: K of them.
        size: length of the character n-grams; 0: there are none.

    Returns:
        `[n_k]` for each text.
    """
    words = [text.lower().split() for text in texts]
    found = [_words_and_pairs(own) for own in words]
    if size:
        lines = [f"^{' '.join(own)}$" for own in words]
        found = [np.concatenate(parts) for parts in zip(found, _character_ngrams(lines, size), strict=True)]
    return found


def _words_and_pairs(words: Sequence[str]) -> NDArray[np.uint32]:
    spelt = [word.encode() for word in words]
    alone = [zlib.crc32(word) for word in spelt]
    pairs = [zlib.crc32(b" " + word, before) for before, word in zip(alone, spelt[1:], strict=False)]
    return np.array(alone + pairs, np.uint32)


def _character_ngrams(lines: Sequence[str], size: int) -> list[NDArray[np.uint32]]:
    together = [line for line in lines if line.isascii() and len(line) >= size]  # each character is a byte
    checksums = _of_windows("".join(together).encode(), size)
    found, begin = [], 0
    for line in lines:
        if line.isascii() and len(line) >= size:
            found.append(checksums[begin : begin + len(line) - size + 1])
            begin += len(line)
        else:
            grams = (line[k : k + size] for k in range(max(1, len(line) - size + 1)))
            found.append(np.array([zlib.crc32(gram.encode(), _MARKED) for gram in grams], np.uint32))
    return found


def _of_windows(text: bytes, size: int) -> NDArray[np.uint32]:
    """CRC-32 of "#" and `size` bytes, wherever these begin."""
    read, table = np.frombuffer(text, np.uint8), _table()
    state = np.full(max(0, len(read) - size + 1), _MARKED ^ _ONES, np.uint32)
    for k in range(size):
        np.bitwise_xor(table[(state ^ read[k : k + len(state)]) & 255], state >> 8, out=state)
    state ^= _ONES
    return state


@cache
def _table() -> NDArray[np.uint32]:
    """What each byte makes of nothing."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ _POLYNOMIAL, table >> 1)
    return table
