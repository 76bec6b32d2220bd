"""Shares of the bits of numbers, each number's in words of its own: rows are found, and put, at any place.

For: what looks at other rows from step to step (`mpc.quicksort`, `mpc.merging`).
Leaves to others: what is computed of the rows, bit-sliced (`mpc.bitslice`, `mpc.boolean`).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mpc.bitslice import pack_rows, slice_bits, unslice, words_for
from mpc.boolean import Words, one_in_a_byte
from mpc.protocol import Share
from mpc.ring import dtype_for

__all__ = ["BitRows", "Places"]

Places = npt.NDArray[np.int64]


class BitRows:
    """Shares (k, n, width) of the bits of n numbers, lowest first."""

    __slots__ = ("_first", "_rows", "_words")

    def __init__(self, bits: Share, rows: int) -> None:
        """rows: how many rows they have when bit-sliced, those of zeros below the lowest bit."""
        k, n, width = bits.shape
        self._rows, self._first = rows, rows - width
        octets = np.zeros((k, n, 8 * -(-width // 64)), np.uint8)
        octets[..., : -(-width // 8)] = pack_rows(bits)
        words = octets.view(np.uint64)
        self._words = [
            (min(64, width - at), words[..., at // 64].astype(dtype_for(min(64, width - at)), order="C"))
            for at in range(0, width, 64)
        ]

    def at(self, places: Places) -> Words:
        """Those at public places, bit-sliced: (k, rows, W)."""
        out = np.empty((len(self._words[0][1]), self._rows, words_for(len(places))), np.uint64)
        out[:, : self._first] = 0
        row = self._first
        for width, words in self._words:
            out[:, row : row + width] = slice_bits(np.take(words, places, axis=1), width)
            row += width
        return out

    def turn(self, places: Places, by: Words) -> None:
        """Those at public places, each once, change by bit-sliced words (k, width, W)."""
        row = 0
        for width, words in self._words:
            words[:, places] ^= unslice(by[:, row : row + width], len(places)).astype(words.dtype)
            row += width

    def bits(self, places: Places) -> Share:
        """Those at public places, one bit in a byte: (k, len(places), width)."""
        return one_in_a_byte(self.at(places)[:, self._first :], len(places))
