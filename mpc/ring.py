"""Arithmetic in Z_2^64, and in narrower rings Z_2^l, on NumPy's unsigned integers, whose wrap-around is the modulus.

Here are the element-wise kernels of the protocols, the fixed-point codec, and the forms in which elements of narrow
rings travel.  A ring element read as a number is signed, in two's complement.  Beyond the second-level cache these
kernels wait for memory, so they go through long arrays in pieces that stay in it; short ones take the direct way.
Matrix products are in `matmul`, bit-sliced words in `bitslice`; which of all this a protocol needs is left to others.

Operands are never written to.  `out`, where it is given, may be one of the operands; otherwise it overlaps none.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from mpc.cores import in_parts
from mpc.matmul import Limbs, matmul, split

__all__ = [
    "EncodingError",
    "Limbs",
    "and_beaver",
    "and_cross",
    "beaver",
    "decode",
    "dtype_for",
    "encode",
    "from_signed",
    "matmul",
    "mul_cross",
    "muladd",
    "pack",
    "pack_bits",
    "split",
    "to_signed",
    "unpack",
    "unpack_bits",
]

Ring = NDArray[np.uint64]
AnyRing = NDArray[np.unsignedinteger[Any]]
Element = TypeVar("Element", bound=np.unsignedinteger[Any])

# Elements that are worked on at a time: five operands of so many fit the second-level cache.
_PIECE: Final = 1 << 15
# From so many pieces on, another core is worth waking.
_PIECES_A_CORE: Final = 8
# Up to so many elements an expression is quickest: its temporaries still come from memory that is in use.
_SHORT: Final = 1 << 13
# Up to so many elements, bits are packed one from a byte: a handful of calls for any width.
_FEW: Final = 1 << 11


class EncodingError(ValueError):
    """A value has no place in the ring.

    `index` is the place of the first such value in the array, counted in C order; `reason` says what is wrong with it,
    without telling the value.
    """

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(f"entry {index} {reason}")
        self.index = index
        self.reason = reason


def mul_cross(
    x0: NDArray[Element],
    x1: NDArray[Element],
    y0: NDArray[Element],
    y1: NDArray[Element],
    out: NDArray[Element] | None = None,
) -> NDArray[Element]:
    """Return x0 * (y0 + y1) + x1 * y0, rep3's local product; all broadcast."""
    if out is None and _short(x0, y0):
        product: NDArray[Element] = np.add(x0 * (y0 + y1), x1 * y0)
        return product
    return _by_pieces(_cross, (np.multiply, np.add), (x0, x1, y0, y1), out)


def and_cross(
    x0: NDArray[Element],
    x1: NDArray[Element],
    y0: NDArray[Element],
    y1: NDArray[Element],
    out: NDArray[Element] | None = None,
) -> NDArray[Element]:
    """Return x0 & (y0 ^ y1) ^ x1 & y0: `mul_cross` for packed bits."""
    if out is None and _short(x0, y0):
        product: NDArray[Element] = np.bitwise_xor(x0 & (y0 ^ y1), x1 & y0)
        return product
    return _by_pieces(_cross, (np.bitwise_and, np.bitwise_xor), (x0, x1, y0, y1), out)


def muladd(
    a: NDArray[Element], b: NDArray[Element], c: NDArray[Element], out: NDArray[Element] | None = None
) -> NDArray[Element]:
    """Return a * b + c, broadcast."""
    if out is None and a.ndim + b.ndim:
        # NumPy adds in place here: pieces would gain nothing.
        total: NDArray[Element] = np.multiply(a, b) + c
        return total
    return _by_pieces(_muladd, (np.multiply, np.add), (a, b, c), out)


def beaver(
    c: NDArray[Element],
    d: NDArray[Element],
    b: NDArray[Element],
    e: NDArray[Element],
    a: NDArray[Element],
    out: NDArray[Element] | None = None,
) -> NDArray[Element]:
    """Return c + d * b + e * a: how a triple (a, b, c) becomes a share of a product, broadcast."""
    if out is None and _short(d, a):
        product: NDArray[Element] = np.add(c + d * b, e * a)
        return product
    return _by_pieces(_beaver, (np.multiply, np.add), (c, d, b, e, a), out)


def and_beaver(
    c: NDArray[Element],
    d: NDArray[Element],
    b: NDArray[Element],
    e: NDArray[Element],
    a: NDArray[Element],
    out: NDArray[Element] | None = None,
) -> NDArray[Element]:
    """Return c ^ d & b ^ e & a: `beaver` for packed bits."""
    if out is None and _short(d, a):
        product: NDArray[Element] = np.bitwise_xor(c ^ (d & b), e & a)
        return product
    return _by_pieces(_beaver, (np.bitwise_and, np.bitwise_xor), (c, d, b, e, a), out)


def encode(values: NDArray[Any], frac: int, *, bits: int = 64) -> Ring:
    """Return round(values * 2^frac) as ring elements, halves to even: any shape, uint64.

    Values are float (up to float64), whole numbers of any type, or bool; TypeError for other types.  EncodingError for
    the first value that is not finite, or whose result does not lie in [-2^(bits-1), 2^(bits-1)).
    """
    _check_bits(bits)
    if not 0 <= frac < 64:
        raise ValueError(f"a fixed-point number has 0 to 63 fractional bits, not {frac}")
    kind = values.dtype.kind
    if kind not in "iufb" or values.dtype.itemsize > 8:
        raise TypeError(f"cannot encode {values.dtype}")
    flat = values.reshape(-1)
    out = np.empty(flat.size, np.int64)
    for first in range(0, flat.size, _PIECE):
        piece = slice(first, first + _PIECE)
        if kind == "f":
            _encode_floats(flat[piece], frac, bits, out[piece], first)
        else:
            _encode_whole(flat[piece], frac, bits, out[piece], first)
    return out.view(np.uint64).reshape(values.shape)


def decode(ring: AnyRing, frac: int, *, bits: int | None = None) -> NDArray[np.float64]:
    """Return the numbers that ring elements stand for, signed, times 2^-frac: the nearest float64 to each.

    Exact up to 2^53 in magnitude before scaling.  `bits` is the width of the ring, by default that of the type.
    """
    return np.asarray(to_signed(ring, bits) * np.float64(2.0**-frac))


def to_signed(ring: AnyRing, bits: int | None = None) -> NDArray[np.int64]:
    """Return elements of Z_2^bits as the signed numbers of [-2^(bits-1), 2^(bits-1)): int64; higher bits are ignored.

    `bits` is by default the width of the type.  The result may share memory with the argument.
    """
    width = 8 * ring.itemsize
    bits = width if bits is None else bits
    _check_bits(bits)
    if bits == width:
        return ring.view(f"i{ring.itemsize}").astype(np.int64, copy=False)
    signed = ring.astype(np.uint64)
    signed <<= np.uint64(64 - bits)
    numbers = signed.view(np.int64)
    numbers >>= np.int64(64 - bits)
    return numbers


def from_signed(numbers: NDArray[np.signedinteger[Any]], bits: int = 64) -> Ring:
    """Return whole numbers modulo 2^bits: uint64.  The result may share memory with the argument."""
    _check_bits(bits)
    ring = numbers.astype(np.int64, copy=False).view(np.uint64)
    return ring if bits == 64 else ring & _mask(bits)


def dtype_for(bits: int) -> np.dtype[np.unsignedinteger[Any]]:
    """Return the narrowest of uint8, uint16, uint32 and uint64 that holds `bits` bits."""
    _check_bits(bits)
    return np.dtype(f"u{max(8, 1 << (bits - 1).bit_length()) // 8}")


def pack(ring: AnyRing, bits: int) -> AnyRing:
    """Return elements modulo 2^bits in the narrowest machine type, contiguous: as they travel, for machine widths.

    The result may share memory with the argument.
    """
    dtype = dtype_for(bits)
    packed = np.ascontiguousarray(ring.astype(dtype, copy=False))
    return packed if bits == 8 * dtype.itemsize else packed & dtype.type((1 << bits) - 1)


def unpack(packed: AnyRing, bits: int) -> Ring:
    """Return what `pack` made as uint64; bits that a peer set beyond the ring are dropped."""
    _check_bits(bits)
    ring = packed.astype(np.uint64)
    if bits < 8 * packed.itemsize:
        ring &= _mask(bits)
    return ring


def pack_bits(ring: AnyRing, bits: int) -> NDArray[np.uint8]:
    """Return the elements modulo 2^bits without any gap: uint8 of ceil(n * bits / 8) bytes.

    Element i takes bits i * bits and on, lowest bit of each byte first; unused bits at the end are zero.
    """
    flat = ring.reshape(-1)
    if bits == 8 * dtype_for(bits).itemsize:
        return pack(flat, bits).view(np.uint8)
    if flat.size <= _FEW:
        spread = np.unpackbits(flat.astype(np.uint64).view(np.uint8), bitorder="little").reshape(-1, 64)
        return np.packbits(spread[:, :bits].reshape(-1), bitorder="little")
    plan = _Gaps(bits)
    octets = -(-flat.size * bits // 8)
    out = np.empty(plan.words(flat.size), np.uint64)
    for first in range(0, flat.size, _PIECE):
        piece = flat[first : first + _PIECE].astype(np.uint64)
        piece &= _mask(bits)
        plan.close(piece, out[first * bits // 64 :])
    return out.view(np.uint8)[:octets]


def unpack_bits(octets: NDArray[np.uint8], bits: int, n: int) -> Ring:
    """Return the n elements that `pack_bits` wrote: uint64, (n,).  ValueError for another number of bytes."""
    dtype = dtype_for(bits)
    if octets.shape != (-(-n * bits // 8),):
        raise ValueError(f"{n} elements of {bits} bits take {-(-n * bits // 8)} bytes, not {octets.size}")
    if bits == 8 * dtype.itemsize:
        return octets.view(dtype).astype(np.uint64)
    if n <= _FEW:
        spread = np.zeros((n, 64), np.uint8)
        spread[:, :bits] = np.unpackbits(octets, count=n * bits, bitorder="little").reshape(n, bits)
        return np.packbits(spread.reshape(-1), bitorder="little").view(np.uint64)
    plan = _Gaps(bits)
    out = np.empty(n, np.uint64)
    for first in range(0, n, _PIECE):
        part = octets[first * bits // 8 : -(-(first + _PIECE) * bits // 8)]
        out[first : first + _PIECE] = plan.open(part, min(n - first, _PIECE))
    return out


class _Gaps:
    """How elements of an odd width are moved together: first in pairs, while two fit a word, then in groups.

    A group is the least number of words of `width` bits that fills whole 64-bit words.  Groups are worked on side by
    side, each step a shift of one place of all groups.
    """

    __slots__ = ("bits", "doublings", "group", "width")

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.doublings = (64 // bits).bit_length() - 1
        self.width = bits << self.doublings
        self.group = 64 // math.gcd(self.width, 64)

    def padded(self, n: int) -> int:
        """The number of elements in the whole groups that hold n."""
        unit = self.group << self.doublings
        return -(-n // unit) * unit

    def words(self, n: int) -> int:
        """The number of 64-bit words in the whole groups that hold n elements."""
        return self.padded(n) * self.bits // 64

    def close(self, elements: Ring, out: Ring) -> None:
        """Write elements (below 2^bits) without gaps to the beginning of `out`."""
        if elements.size < self.padded(elements.size):
            elements = np.pad(elements, (0, self.padded(elements.size) - elements.size))
        for step in range(self.doublings):
            upper = elements[1::2] << np.uint64(self.bits << step)
            upper |= elements[0::2]
            elements = upper
        places = np.ascontiguousarray(elements.reshape(-1, self.group).T)
        words = np.zeros((self.group * self.width // 64, places.shape[1]), np.uint64)
        for i, place in enumerate(places):
            at, shift = divmod(i * self.width, 64)
            words[at] |= place << np.uint64(shift)
            if shift + self.width > 64:
                words[at + 1] |= place >> np.uint64(64 - shift)
        out[: words.size].reshape(words.shape[::-1])[...] = words.T

    def open(self, octets: NDArray[np.uint8], n: int) -> Ring:
        """Return the first n elements of bytes that `close` made."""
        stream = np.zeros(8 * self.words(n), np.uint8)
        stream[: min(octets.size, stream.size)] = octets[: stream.size]
        words = np.ascontiguousarray(stream.view(np.uint64).reshape(-1, self.group * self.width // 64).T)
        places = np.empty((self.group, words.shape[1]), np.uint64)
        for i, place in enumerate(places):
            at, shift = divmod(i * self.width, 64)
            np.right_shift(words[at], np.uint64(shift), out=place)
            if shift + self.width > 64:
                place |= words[at + 1] << np.uint64(64 - shift)
        elements = places.T.reshape(-1)
        for step in reversed(range(self.doublings)):
            halves = np.empty((elements.size, 2), np.uint64)
            halves[:, 0] = elements
            np.right_shift(elements, np.uint64(self.bits << step), out=halves[:, 1])
            halves &= _mask(self.bits << step)
            elements = halves.reshape(-1)
        return elements[:n] & _mask(self.bits)


def _mask(bits: int) -> np.uint64:
    return np.uint64((1 << bits) - 1)


def _check_bits(bits: int) -> None:
    if not 1 <= bits <= 64:
        raise ValueError(f"a ring has 1 to 64 bits, not {bits}")


def _encode_floats(values: NDArray[Any], frac: int, bits: int, out: NDArray[np.int64], first: int) -> None:
    limit, scale = 2 ** (bits - 1), 2.0**frac
    # Rounding keeps the order: the ends tell for all.  NaN is handed on by min and max.
    low, high = float(values.min()) * scale, float(values.max()) * scale
    if not (math.isfinite(low) and math.isfinite(high) and round(low) >= -limit and round(high) < limit):
        with np.errstate(over="ignore", invalid="ignore"):
            rounded = np.rint(values * np.float64(scale))
            bad = int(np.argmin((rounded >= -float(limit)) & (rounded < float(limit))))
        _refuse(first + bad, values[bad], bits, frac)
    scaled = values * np.float64(scale)
    np.rint(scaled, out=scaled)
    out[...] = scaled


def _encode_whole(values: NDArray[Any], frac: int, bits: int, out: NDArray[np.int64], first: int) -> None:
    low, high = -((1 << (bits - 1)) >> frac), ((1 << (bits - 1)) - 1) >> frac
    if values.min() < low or values.max() > high:
        bad = int(np.argmax((values < low) | (values > high)))
        _refuse(first + bad, values[bad], bits, frac)
    np.left_shift(values.astype(np.int64), np.int64(frac), out=out)


def _refuse(index: int, value: Any, bits: int, frac: int) -> NoReturn:
    if np.isnan(value):
        raise EncodingError(index, "is not a number")
    if np.isinf(value):
        raise EncodingError(index, "is infinite")
    raise EncodingError(index, f"does not fit {bits} bits of which {frac} are fractional")


def _short(x: AnyRing, y: AnyRing) -> bool:
    """Whether the direct way is quickest.  (Not for arrays without axes: as scalars they would warn.)"""
    return x.ndim > 0 and y.ndim > 0 and x.size <= _SHORT >= y.size


Kernel = Callable[..., None]


def _cross(times: np.ufunc, plus: np.ufunc, out: AnyRing, spare: AnyRing, *operands: AnyRing) -> None:
    x0, x1, y0, y1 = operands
    plus(y0, y1, out=spare)
    times(x0, spare, out=spare)
    times(x1, y0, out=out)
    plus(out, spare, out=out)


def _muladd(times: np.ufunc, plus: np.ufunc, out: AnyRing, spare: AnyRing, *operands: AnyRing) -> None:
    a, b, c = operands
    times(a, b, out=spare)
    plus(spare, c, out=out)


def _beaver(times: np.ufunc, plus: np.ufunc, out: AnyRing, spare: AnyRing, *operands: AnyRing) -> None:
    c, d, b, e, a = operands
    times(d, b, out=spare)
    plus(spare, c, out=spare)
    times(e, a, out=out)
    plus(out, spare, out=out)


def _by_pieces(
    kernel: Kernel,
    ring: tuple[np.ufunc, np.ufunc],
    operands: tuple[NDArray[Element], ...],
    out: NDArray[Element] | None,
) -> NDArray[Element]:
    """Run a kernel that reads every operand before it writes `out`, on pieces that fit the cache."""
    shape = operands[0].shape
    same = all(operand.shape == shape for operand in operands)
    if not same:
        shape = np.broadcast_shapes(*(operand.shape for operand in operands))
    if out is None:
        out = np.empty(shape, operands[0].dtype)
    elif out.shape != shape:
        raise ValueError(f"out has shape {out.shape}, the result {shape}")
    if out.size <= _PIECE:
        kernel(*ring, out, np.empty(shape, out.dtype), *operands)
        return out
    if same and all(array.flags.c_contiguous for array in (out, *operands)):
        target, sources = out.reshape(-1), tuple(operand.reshape(-1) for operand in operands)
    else:
        target, sources = out, tuple(np.broadcast_to(operand, shape) for operand in operands)
    pieces = list(_pieces(target.shape))

    def work(first: int, last: int) -> None:
        spare = np.empty(_PIECE, target.dtype)
        for piece in pieces[first:last]:
            part = target[piece]
            kernel(*ring, part, spare[: part.size].reshape(part.shape), *(source[piece] for source in sources))

    in_parts(work, len(pieces), _PIECES_A_CORE)
    return out


def _pieces(shape: tuple[int, ...]) -> Iterator[tuple[slice | int, ...]]:
    """Cut an array of this shape, along its first axes, into parts of at most `_PIECE` elements."""
    row = math.prod(shape[1:])
    if row > _PIECE:
        for i in range(shape[0]):
            for rest in _pieces(shape[1:]):
                yield i, *rest
        return
    step = _PIECE // row
    for first in range(0, shape[0], step):
        yield (slice(first, first + step),)
