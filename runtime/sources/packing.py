"""Texts as whole numbers, the form in which circuits carry them, and back.

For: `pack_text`, `unpack_text`.
Leaves to others: what the numbers are used for (`dsl.stypes` says what they are).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dsl.stypes import TEXT_BYTES, text_words


def pack_text(text: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(..., n) bytes as (..., ceil(n / 7)) whole numbers of 7 bytes, the first byte highest, zero bytes at the end."""
    *outer, length = text.shape
    words = text_words(length)
    wide = np.zeros((*outer, words * TEXT_BYTES), np.uint8)
    wide[..., :length] = text
    eight = np.zeros((*outer, words, 8), np.uint8)
    eight[..., 8 - TEXT_BYTES :] = wide.reshape(*outer, words, TEXT_BYTES)
    return eight.view(">i8").reshape(*outer, words).astype(np.int64)


def unpack_text(words: NDArray[Any], length: int) -> NDArray[np.uint8]:
    """The inverse of `pack_text`: (..., length) bytes."""
    outer = words.shape[:-1]
    eight = np.ascontiguousarray(words, ">i8").view(np.uint8).reshape(*words.shape, 8)
    wide = eight[..., 8 - TEXT_BYTES :].reshape(*outer, words.shape[-1] * TEXT_BYTES)
    return np.ascontiguousarray(wide[..., :length])
