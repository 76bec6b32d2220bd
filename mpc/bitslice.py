"""Bit-sliced words: the form in which Boolean circuits compute on many ring elements at once.

An array of n elements becomes a uint64 array of shape (width, W), W = ceil(n / 64).  Row j holds bit j of all
elements, element i in word i // 64 at bit i % 64 (bit 0 is the lowest): one `^` or `&` is a gate on 64 elements a word.
Bits of the last word beyond n are padding: `slice_bits`, `pack_bool` and `from_wire` make them zero, a circuit may
leave anything in them, and `unslice`, `unpack_bool` and `to_wire` ignore them.  Leading axes (components of a share)
are kept in front.

The change of form is the 64 x 64 bit transpose by masked swaps [Warren, Hacker's Delight, section 7-3], done for many
blocks at once with the block index innermost.  Elements of at most 32, 16 or 8 bits are first laid two, four or eight
to a word, which skips the first swaps and halves the work each time.  What the gates compute is left to others.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mpc.cores import in_parts

__all__ = ["from_wire", "pack_bool", "pack_rows", "slice_bits", "to_wire", "unpack_bool", "unslice", "words_for"]

Words = NDArray[np.uint64]

# Words of one row of blocks transposed together: 64 rows of this many fit the second-level cache.
_BLOCKS = 1024
# From so many pieces on, another core is worth waking.
_PIECES_A_CORE = 2
# Up to so many elements and bits, spreading the bits one to a byte is quicker than the swaps, which take 36 calls for
# any size.
_FEW = 1 << 10
_FEW_BITS = 1 << 15
# Bits that are spread one to a byte at a time, on the way to and from the wire.
_SPREAD = 1 << 20


def words_for(n: int) -> int:
    """Return the number of 64-bit words that hold n bits."""
    return -(-n // 64)


def slice_bits(x: NDArray[np.unsignedinteger], width: int = 64) -> Words:
    """Return the low `width` bits of unsigned elements, bit-sliced: (..., n) -> (..., width, W).

    Elements may be of any unsigned type; bits beyond the type are zero.  1 <= width <= 64.
    """
    rows = _rows(width)
    n = x.shape[-1]
    if _few(x.size, width):
        octets = x.astype(f"u{rows // 8}", order="C")[..., None].view(np.uint8)
        bits = np.unpackbits(octets, axis=-1, count=width, bitorder="little")
        return pack_bool(np.ascontiguousarray(bits.swapaxes(-1, -2)))
    flat = x.reshape(-1, n)
    out = np.empty((flat.shape[0], width, words_for(n)), np.uint64)
    pieces = list(_pieces(flat.shape[0], out.shape[2]))

    def work(begin: int, end: int) -> None:
        scratch = _Scratch(rows, flat.shape[0] * out.shape[2])
        for k, first, last in pieces[begin:end]:
            part = flat[k, 64 * first : 64 * last].astype(f"u{rows // 8}", copy=False)
            if part.shape[1] % 64:
                part = np.pad(part, ((0, 0), (0, -part.shape[1] % 64)))
            block = scratch.block(part.shape[0] * (last - first))
            # Lane l of word w holds element 64 w + rows l + i in row i, where the swaps that are left out would put it.
            lanes = part.reshape(part.shape[0], last - first, 64 // rows, rows)
            block.view(part.dtype).reshape(rows, *lanes.shape[:3])[...] = lanes.transpose(3, 0, 1, 2)
            for j in (32, 16, 8, 4, 2, 1):
                if j < rows:
                    scratch.swap(block, j, width)
            out[k, :, first:last] = block[:width].reshape(width, part.shape[0], -1).transpose(1, 0, 2)

    in_parts(work, len(pieces), _PIECES_A_CORE)
    return out.reshape(*x.shape[:-1], width, out.shape[2])


def unslice(words: Words, n: int) -> NDArray[np.uint64]:
    """Return the n elements of bit-sliced words: (..., width, W) -> (..., n) uint64; the inverse of `slice_bits`."""
    width, count = words.shape[-2:]
    rows = _rows(width)
    lead = words.shape[:-2]
    if _few(math.prod(lead) * n, width):
        bits = np.ascontiguousarray(unpack_bool(words, n).swapaxes(-1, -2))
        octets = np.zeros((*lead, n, 8), np.uint8)
        octets[..., : -(-width // 8)] = np.packbits(bits, axis=-1, bitorder="little")
        return octets.view(np.uint64).reshape(*lead, n)
    _check(count, n)
    flat = words.reshape(-1, width, count)
    out = np.empty((flat.shape[0], 64 * count), np.uint64)
    pieces = list(_pieces(flat.shape[0], count))

    def work(begin: int, end: int) -> None:
        scratch = _Scratch(rows, flat.shape[0] * count)
        for k, first, last in pieces[begin:end]:
            part = flat[k, :, first:last]
            block = scratch.block(part.shape[0] * (last - first))
            block[:width].reshape(width, part.shape[0], -1)[...] = part.transpose(1, 0, 2)
            block[width:] = 0
            for j in (1, 2, 4, 8, 16, 32):
                if j < rows:
                    scratch.swap(block, j, width)
            lanes = block.view(f"u{rows // 8}").reshape(rows, part.shape[0], last - first, 64 // rows)
            whole = out[k, 64 * first : 64 * last].reshape(part.shape[0], last - first, 64 // rows, rows)
            whole[...] = lanes.transpose(1, 2, 3, 0)

    in_parts(work, len(pieces), _PIECES_A_CORE)
    return out[:, :n].reshape(*lead, n)


def pack_bool(bits: NDArray[np.uint8] | NDArray[np.bool_]) -> Words:
    """Return bits, one in a byte, packed to words: (..., n) of 0 and 1 -> (..., W)."""
    n = bits.shape[-1]
    out = np.zeros((*bits.shape[:-1], 8 * words_for(n)), np.uint8)
    out[..., : -(-n // 8)] = np.packbits(bits, axis=-1, bitorder="little")
    return out.view(np.uint64)


def pack_rows(bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return each element's bits, one in a byte, packed to bytes of its own, lowest first: (k, n, width) -> (k, n, B).

    B = ceil(width / 8).  Bits that lie in memory place after place, as circuits on sliced words leave them, are
    transposed as words: several times faster than bit by bit.
    """
    k, n, width = bits.shape
    if abs(bits.strides[1]) >= abs(bits.strides[2]) or n < _FEW:
        return np.packbits(bits, axis=-1, bitorder="little")
    rows = pack_bool(bits.swapaxes(1, 2))
    words = np.empty((k, n, -(-width // 64)), np.uint64)
    for at in range(0, width, 64):
        words[..., at // 64] = unslice(rows[:, at : at + 64], n)
    return words.view(np.uint8)[..., : -(-width // 8)]


def unpack_bool(words: Words, n: int) -> NDArray[np.uint8]:
    """Return the first n bits of packed words, one in a byte: (..., W) -> (..., n) uint8 of 0 and 1."""
    _check(words.shape[-1], n)
    octets = np.ascontiguousarray(words).view(np.uint8)
    return np.unpackbits(octets, axis=-1, count=n, bitorder="little")


def to_wire(words: Words, n: int) -> NDArray[np.uint8]:
    """Return n bits of each row, without padding, as they travel: (..., W) -> uint8 of ceil(rows * n / 8) bytes.

    Bit i of row r is bit r * n + i of the message, lowest bit of each byte first.  The result may share memory with
    the words.
    """
    _check(words.shape[-1], n)
    octets = np.ascontiguousarray(words).view(np.uint8)
    if n % 8 == 0:
        return np.ascontiguousarray(octets[..., : n // 8]).reshape(-1)
    flat = octets.reshape(-1, octets.shape[-1])
    out = np.empty(-(-flat.shape[0] * n // 8), np.uint8)
    for first, last in _groups(flat.shape[0], n):
        bits = np.unpackbits(flat[first:last], axis=-1, count=n, bitorder="little")
        out[first * n // 8 : -(-last * n // 8)] = np.packbits(bits.reshape(-1), bitorder="little")
    return out


def from_wire(buffer: NDArray[np.uint8], rows: int, n: int) -> Words:
    """Return the words of a message that `to_wire` made: (rows, W), padding zero.

    Raises ValueError when the message has not ceil(rows * n / 8) bytes.
    """
    if buffer.shape != (-(-rows * n // 8),):
        raise ValueError(f"{rows} rows of {n} bits take {-(-rows * n // 8)} bytes, not {buffer.size}")
    if n % 8 == 0:
        out = np.zeros((rows, 8 * words_for(n)), np.uint8)
        out[:, : n // 8] = buffer.reshape(rows, n // 8)
        return out.view(np.uint64)
    words = np.empty((rows, words_for(n)), np.uint64)
    for first, last in _groups(rows, n):
        part = buffer[first * n // 8 : -(-last * n // 8)]
        bits = np.unpackbits(part, count=(last - first) * n, bitorder="little")
        words[first:last] = pack_bool(bits.reshape(-1, n))
    return words


def _rows(width: int) -> int:
    """The narrowest machine width that holds `width` bits: so many rows take part in the swaps."""
    if not 1 <= width <= 64:
        raise ValueError(f"a width has 1 to 64 bits, not {width}")
    return max(8, 1 << (width - 1).bit_length())


def _few(n: int, width: int) -> bool:
    return n <= _FEW and n * width <= _FEW_BITS


def _check(count: int, n: int) -> None:
    if words_for(n) != count:
        raise ValueError(f"{n} bits take {words_for(n)} words, not {count}")


class _Scratch:
    """The memory of one change of form: a block of `rows` rows, and half as much for what the swaps move."""

    __slots__ = ("_moved", "_rows", "_words")

    def __init__(self, rows: int, count: int) -> None:
        most = min(count, 2 * _BLOCKS)
        self._rows = rows
        self._words = np.empty(rows * most, np.uint64)
        self._moved = np.empty(rows // 2 * most, np.uint64)

    def block(self, count: int) -> Words:
        """The block's memory as (rows, count), contiguous."""
        return self._words[: self._rows * count].reshape(self._rows, count)

    def swap(self, block: Words, j: int, width: int) -> None:
        """Exchange, within every 2j rows, the high j bits of each 2j-bit lane above with the low j bits below.

        Rows from `width` on are wanted by nobody (or are zero): whole groups of them are left alone.
        """
        group = block[: -(-width // (2 * j)) * 2 * j].reshape(-1, 2, j, block.shape[1])
        above, below = group[:, 0], group[:, 1]
        shift = np.uint64(j)
        moved = self._moved[: above.size].reshape(above.shape)
        np.right_shift(above, shift, out=moved)
        moved ^= below
        moved &= np.uint64(((1 << 64) - 1) // ((1 << j) + 1))
        below ^= moved
        moved <<= shift
        above ^= moved


def _pieces(k: int, count: int) -> Iterator[tuple[slice, int, int]]:
    """Cut k components of `count` words into pieces of about `_BLOCKS` words: (components, first word, last word)."""
    if count >= _BLOCKS:
        for i in range(k):
            for first in range(0, count, _BLOCKS):
                yield slice(i, i + 1), first, min(first + _BLOCKS, count)
    elif count:
        step = max(1, _BLOCKS // count)
        for i in range(0, k, step):
            yield slice(i, i + step), 0, count


def _groups(rows: int, n: int) -> Iterator[tuple[int, int]]:
    """Cut rows of n bits into groups of about `_SPREAD` bits, each of whole bytes since it has a multiple of 8 rows."""
    step = max(1, _SPREAD // (8 * n)) * 8
    for first in range(0, rows, step):
        yield first, min(first + step, rows)
