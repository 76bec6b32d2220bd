"""Pseudo-random streams whose every draw has an address, so that arrival order never decides a value.

A stream is AES-128 in counter mode [FIPS 197; SP 800-38A, section 6.5].  Block j of use u is AES(key, u || j), with u
and j as big-endian 64-bit numbers: a draw names its use (a number that belongs to one step of one program) and its
offset in 16-byte blocks; the same address under the same key gives the same bytes at every party that holds the key.
Two draws are independent exactly when their ranges of blocks do not meet; `Cursor` walks through one use without
overlap.  AES is a permutation, so q blocks of one key differ from random ones with advantage q^2 / 2^129: change the
key (one per pair of parties and session) long before 2^40 blocks.

Keys are made by `fresh_key` (a party's own secret) and `derive` (HKDF-SHA256 [RFC 5869] over a context).  How two
parties come to hold the same key, and which use numbers a program assigns, is left to others.
"""

import math
import secrets
import threading
from typing import Final

import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from mpc.cores import in_parts

__all__ = ["BLOCK", "KEY_BYTES", "Cursor", "Prg", "derive", "fresh_key"]

BLOCK: Final = 16
"""Bytes of a block: the unit in which offsets count."""

KEY_BYTES: Final = 32
"""Length of the keys that `fresh_key` and `derive` give."""

_USE_LIMIT = 1 << 62
_BLOCK_LIMIT = 1 << 64
# The key stream is the encryption of zeros; a read-only piece that stays in the second-level cache serves every draw.
_ZEROS = memoryview(bytes(1 << 18))
# From here on a cipher of its own (3 us) costs nothing beside the draw, and lets threads work at the same time.
_OWN_CIPHER_BYTES = 1 << 17
# From so many pieces of zeros on, another core is worth waking.
_PIECES_A_CORE: Final = 4

Shape = int | tuple[int, ...]


class Prg:
    """The streams of one key: `words` and `bytes` at an address (use, offset).

    A 16-byte key is used as it is; one of 32 bytes is condensed to an AES-128 key by HKDF.  Threads may share a Prg.
    """

    __slots__ = ("_encryptor", "_key", "_lock")

    def __init__(self, key: bytes) -> None:
        if len(key) not in (16, 32):
            raise ValueError(f"a key has 16 or 32 bytes, not {len(key)}")
        self._key = key if len(key) == 16 else derive(key, "aes-128-ctr", length=16)
        self._encryptor = Cipher(algorithms.AES(self._key), modes.CTR(bytes(BLOCK))).encryptor()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return "Prg(<key>)"

    def bytes(self, use: int, offset: int, n: int) -> NDArray[np.uint8]:
        """Return n bytes that start at block `offset` of `use`: shape (n,), uint8, freshly made and writable."""
        if not 0 <= use < _USE_LIMIT:
            raise ValueError(f"a use number lies in [0, 2^62), not {use}")
        if n < 0:
            raise ValueError(f"cannot draw {n} bytes")
        if offset < 0 or offset + -(-n // BLOCK) > _BLOCK_LIMIT:
            raise ValueError(f"a draw of {n} bytes at block {offset} leaves the use")
        # Releases of `cryptography` differ in whether `update_into` demands room for a block more than it writes.
        out = np.empty(n + BLOCK - 1, np.uint8)
        if n:
            self._fill(use << 64 | offset, out.data, n)
        return out[:n]

    def words(self, use: int, offset: int, n: int) -> NDArray[np.uint64]:
        """Return n uniform words that start at block `offset` of `use`: shape (n,), uint64, little-endian."""
        return self.bytes(use, offset, 8 * n).view(np.uint64)

    def cursor(self, use: int, offset: int = 0) -> "Cursor":
        """Return a cursor that draws from `use` on, beginning at block `offset`."""
        return Cursor(self, use, offset)

    def permutation(self, use: int, n: int) -> NDArray[np.int64]:
        """Return a pseudo-random permutation of range(n): int64, the stable argsort of the use's first n words.

        Two of the n words are equal with probability below n^2 / 2^65; the stable order then keeps the lower index
        first.  That is no error, only a bias of the same negligible size (2^-25 at a million elements).
        """
        words = self.words(use, 0, n)
        if n < 2:
            return np.arange(n, dtype=np.int64)
        # Sorting numbers is several times faster than sorting indices: put the index into the low bits of the key ...
        low = np.uint64((1 << (n - 1).bit_length()) - 1)
        keyed = words & ~low
        keyed |= np.arange(n, dtype=np.uint64)
        keyed.sort()
        order = (keyed & low).astype(np.int64)
        # ... and settle by whole words the few runs whose high bits are equal, where so far the index has decided.
        tied = (keyed[1:] ^ keyed[:-1]) <= low
        if tied.any():
            places = np.flatnonzero(np.append(tied, False) | np.insert(tied, 0, False))
            run = order[places]
            order[places] = run[np.argsort(words[run], kind="stable")]
        return order

    def _fill(self, block: int, out: memoryview, n: int) -> None:
        counter = block.to_bytes(BLOCK, "big")
        if n < _OWN_CIPHER_BYTES:
            with self._lock:
                self._encryptor.reset_nonce(counter)
                self._encryptor.update_into(_ZEROS[:n], out)
            return
        size = len(_ZEROS)

        def work(first: int, last: int) -> None:
            at = (block + first * size // BLOCK).to_bytes(BLOCK, "big")
            own = Cipher(algorithms.AES(self._key), modes.CTR(at)).encryptor()
            for start in range(first * size, min(last * size, n), size):
                # The room beyond a piece is the next one's, and written by whoever draws that.
                own.update_into(_ZEROS[: n - start], out[start : start + size + BLOCK - 1])

        in_parts(work, -(-n // size), _PIECES_A_CORE)


class Cursor:
    """A walk through one use: each draw begins at the first block that no draw before it touched.

    Where a draw lies depends only on the shapes drawn before, never on values; two cursors over the same key and use
    that are asked for the same shapes give the same arrays.  Shapes are an int or a tuple of ints.
    """

    __slots__ = ("_offset", "_prg", "_use")

    def __init__(self, prg: Prg, use: int, offset: int = 0) -> None:
        self._prg, self._use, self._offset = prg, use, offset

    @property
    def offset(self) -> int:
        """The block at which the next draw begins."""
        return self._offset

    def words(self, shape: Shape) -> NDArray[np.uint64]:
        """Return uniform ring elements: uint64 of this shape."""
        return self._bytes(8 * _size(shape)).view(np.uint64).reshape(shape)

    def bits(self, shape: Shape) -> NDArray[np.uint8]:
        """Return uniform bits, one in a byte: uint8 of this shape, every entry 0 or 1."""
        n = _size(shape)
        return np.unpackbits(self._bytes(-(-n // 8)), count=n, bitorder="little").reshape(shape)

    def packed(self, n: int) -> NDArray[np.uint64]:
        """Return n words of 64 uniform bits each: uint64, shape (n,)."""
        return self.words(n)

    def narrow(self, shape: Shape, bits: int) -> NDArray[np.unsignedinteger]:
        """Return uniform elements of Z_2^bits, 1 <= bits <= 64, in the narrowest of uint8, 16, 32, 64."""
        if not 1 <= bits <= 64:
            raise ValueError(f"a ring has 1 to 64 bits, not {bits}")
        width = max(8, 1 << (bits - 1).bit_length())
        dtype: np.dtype[np.unsignedinteger] = np.dtype(f"u{width // 8}")
        out = self._bytes(width // 8 * _size(shape)).view(dtype)
        if bits < width:
            out &= dtype.type((1 << bits) - 1)
        return out.reshape(shape)

    def _bytes(self, n: int) -> NDArray[np.uint8]:
        out = self._prg.bytes(self._use, self._offset, n)
        self._offset += -(-n // BLOCK)
        return out


def derive(key: bytes, *context: bytes | str | int, length: int = KEY_BYTES) -> bytes:
    """Return `length` bytes derived from a key for a context: HKDF-SHA256 with the context as `info`.

    Every part of the context is written with its kind and its length, so that different contexts never read alike:
    ("ab", "c"), ("a", "bc"), (b"ab", "c") and (1, "c") all give unrelated keys.
    """
    info = bytearray()
    for part in context:
        if isinstance(part, str):
            kind, body = b"s", part.encode()
        elif isinstance(part, int):
            kind, body = b"i", int(part).to_bytes(part.bit_length() // 8 + 1, "big", signed=True)
        else:
            kind, body = b"b", bytes(part)
        info += kind + len(body).to_bytes(8, "big") + body
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=None, info=bytes(info)).derive(key)


def fresh_key() -> bytes:
    """Return a new secret key of `KEY_BYTES` bytes from the operating system's generator."""
    return secrets.token_bytes(KEY_BYTES)


def _size(shape: Shape) -> int:
    return math.prod(shape) if isinstance(shape, tuple) else shape
