"""Texts as whole numbers, the form in which circuits carry them, and back.

For: `pack_text`, `unpack_text`; `for_circuit`, all columns of an input in that form.
Leaves to others: what the numbers are used for (`dsl.stypes` says what they are).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dsl.stypes import TEXT_BYTES, text_words
from runtime.sources.keys import hash_keys
from runtime.sources.load import Loaded


def for_circuit(loaded: Loaded, salt: bytes | None = None) -> dict[str, NDArray[Any]]:
    """The columns as a circuit takes them, by name, the mask of one with `?` as `name?`.

    Texts are whole numbers `(rows, words)`, keys are hashed with `salt`, which is needed when there are any.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for column in loaded.spec.columns:
        values, valid = loaded.columns[column.name], loaded.valid[column.name]
        if column.kind == "text":
            values = pack_text(values)
        elif column.kind == "key":
            if salt is None:
                raise ValueError(f"the key {column.name} of {loaded.spec.name} cannot be used without a salt")
            values = hash_keys(values, salt, valid)
        arrays[column.name] = values
        if valid is not None:
            arrays[f"{column.name}?"] = valid
    return arrays


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
