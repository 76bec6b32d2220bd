"""Hashes identifiers, so that a `key` is compared and joined without ever being carried.

For: `hash_keys`.
Leaves to others: agreeing the salt, which must stay among the owners of the joined tables: who knows it can find out
whether a guessed identifier is there.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

SALT_BYTES = (16, 64)


def hash_keys(keys: NDArray[np.bytes_], salt: bytes, valid: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
    """64 bits of BLAKE2b of each key (RFC 7693), keyed with `salt` of 16 to 64 bytes; 0 where not valid.

    keys: as `Loaded.columns` has them, any shape: the identifier's text in UTF-8, a whole number's in decimal, so
    that 17 and '17' agree, whatever the file they come from. Among m keys two differing ones agree with a
    probability of m^2 / 2^65.
    """
    if not SALT_BYTES[0] <= len(salt) <= SALT_BYTES[1]:
        raise ValueError(f"a salt has {SALT_BYTES[0]} to {SALT_BYTES[1]} bytes, not {len(salt)}")
    blank = hashlib.blake2b(digest_size=8, key=salt)

    def digest(key: bytes) -> bytes:
        state = blank.copy()
        state.update(key)
        return state.digest()

    flat: list[bytes] = keys.reshape(-1).tolist()
    hashed = np.frombuffer(b"".join(map(digest, flat)), "<i8").astype(np.int64).reshape(keys.shape)
    return hashed if valid is None else np.where(valid, hashed, np.int64(0))
