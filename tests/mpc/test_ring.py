import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mpc import ring
from mpc.ring import EncodingError

TOP = 1 << 64
EXTREMES = [0, 1, 2, (1 << 21) - 1, 1 << 21, (1 << 43) - 1, 1 << 43, (1 << 63) - 1, 1 << 63, (1 << 63) + 1, TOP - 1]
elements = st.one_of(st.sampled_from(EXTREMES), st.integers(0, TOP - 1))


def words(*shape: int, seed: int = 1) -> np.ndarray:
    """Uniform words, a tenth of them extremes; read-only, as every argument in these tests."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, TOP, shape, np.uint64)
    extremes = rng.choice(np.array(EXTREMES, np.uint64), shape)
    return frozen(np.where(rng.random(shape) < 0.1, extremes, x))


def frozen(x: np.ndarray) -> np.ndarray:
    x.setflags(write=False)
    return x


def by_python(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a @ b over Python's whole numbers, then modulo 2^64."""
    return np.asarray(np.matmul(a.astype(object), b.astype(object)) % TOP).astype(np.uint64)


# -- matrix products ---------------------------------------------------------------------------------------------------


@settings(max_examples=80)
@given(st.data())
def test_small_products_are_exact(data: st.DataObject) -> None:
    m, k, n = (data.draw(st.integers(1, 6)) for _ in range(3))
    a = frozen(data.draw(hnp.arrays(np.uint64, (m, k), elements=elements)))
    b = frozen(data.draw(hnp.arrays(np.uint64, (k, n), elements=elements)))

    assert np.array_equal(ring.matmul(a, b), by_python(a, b))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((7,), (7,)),
        ((300,), (300,)),
        ((300,), (300, 40)),
        ((40, 300), (300,)),
        ((2, 3, 4, 5), (5,)),
        ((5,), (2, 3, 5, 4)),
        ((2, 1, 4, 5), (3, 5, 6)),
        ((3, 4, 5), (5, 6)),
        ((4, 5), (3, 5, 6)),
        ((1, 200), (200, 60)),
        ((60, 200), (200, 3)),
        ((9, 40), (40, 70)),
        ((3, 60, 3), (3, 200)),
    ],
)
def test_shapes_are_those_of_numpy(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    a, b = words(*left), words(*right, seed=2)

    result = ring.matmul(a, b)

    assert isinstance(result, np.ndarray)
    assert result.dtype == np.uint64
    assert result.shape == np.matmul(a, b).shape
    assert np.array_equal(result, by_python(a, b))


@pytest.mark.parametrize(
    ("m", "k", "n"), [(129, 150, 130), (81, 513, 90), (90, 1025, 85), (600, 90, 45), (45, 70, 1300)]
)
def test_products_by_limbs_are_those_of_the_integer_loops(m: int, k: int, n: int) -> None:
    """NumPy's own `@` wraps around, and is itself held to Python's numbers above."""
    a, b = words(m, k), words(k, n, seed=2)
    expected = a @ b
    strided_a, strided_b = frozen(np.asfortranarray(a)), frozen(np.repeat(b, 2, axis=1))[:, ::2]

    assert np.array_equal(ring.matmul(a, b), expected)
    assert np.array_equal(ring.matmul(strided_a, b), expected)
    assert np.array_equal(ring.matmul(a, frozen(np.asfortranarray(b))), expected)
    assert np.array_equal(ring.matmul(frozen(a[::-1].copy())[::-1], strided_b), expected)
    assert np.array_equal(ring.matmul(b.T, a.T), expected.T)
    assert np.array_equal(ring.matmul(ring.split(a), b), expected)
    assert np.array_equal(ring.matmul(strided_a, ring.split(b)), expected)
    assert np.array_equal(ring.matmul(ring.split(strided_a), ring.split(strided_b)), expected)


@pytest.mark.parametrize(
    "value", [1 << 21, (1 << 21) - 1, (1 << 43) + (1 << 21), (1 << 63) - 1, 1 << 63, TOP - (1 << 21)]
)
@pytest.mark.parametrize("k", [512, 1024, 1025])
def test_the_largest_limbs_at_the_longest_inner_dimension(value: int, k: int) -> None:
    """Constant matrices of the numbers whose limbs are largest, where sums of limbs' products come closest to 2^53."""
    worst = (1 << 21) + (1 << 43) + (1 << 63)  # every balanced limb at its lowest
    for x, y in ((value, value), (value, worst), (worst, worst)):
        a, b = frozen(np.full((64, k), x, np.uint64)), frozen(np.full((k, 128), y, np.uint64))

        assert np.array_equal(ring.matmul(a, b), np.full((64, 128), x * y * k % TOP, np.uint64))


@pytest.mark.parametrize("a_bits", [1, 22, 23, 44, 45, 64])
@pytest.mark.parametrize("b_bits", [10, 22, 44, 64])
def test_promised_bounds_keep_products_exact(a_bits: int, b_bits: int) -> None:
    a, b = bounded(150, 2050, bits=a_bits), bounded(2050, 140, bits=b_bits)
    expected = a @ b

    assert np.array_equal(ring.matmul(a, b, a_bits=a_bits, b_bits=b_bits), expected)
    assert np.array_equal(ring.matmul(ring.split(a, bits=a_bits), b, b_bits=b_bits), expected)
    assert ring.split(a, bits=a_bits).planes.shape == (min(3, -(-a_bits // 22)), 150, 2050)


def bounded(*shape: int, bits: int) -> np.ndarray:
    """Signed numbers of `bits` bits, both ends among them."""
    low = -(1 << (bits - 1))
    x = np.random.default_rng(bits).integers(low, -low - 1, shape, np.int64, endpoint=True)
    x[0], x[-1] = low, -low - 1
    return frozen(x.view(np.uint64))


@pytest.mark.parametrize(("bits", "value"), [(22, 1 << 21), (22, TOP - (1 << 21) - 1), (44, 1 << 63), (10, 1 << 43)])
def test_broken_promises_are_refused(bits: int, value: int) -> None:
    a = np.zeros((200, 200), np.uint64)
    a[77, 12] = value
    with pytest.raises(ValueError, match="promised"):
        ring.split(a, bits=bits)
    with pytest.raises(ValueError, match="promised"):
        ring.matmul(words(200, 200), frozen(a), b_bits=bits)


def test_stacks_of_large_matrices() -> None:
    a, b = words(2, 1, 130, 140), words(3, 140, 150, seed=2)
    expected = np.matmul(a, b)

    assert np.array_equal(ring.matmul(a, b), expected)
    assert np.array_equal(ring.matmul(ring.split(a), ring.split(b)), expected)
    assert np.array_equal(ring.matmul(ring.split(a), b[0]), np.matmul(a, b[0]))
    assert np.array_equal(ring.matmul(a, ring.split(b[0])), np.matmul(a, b[0]))
    assert np.array_equal(ring.matmul(a[0, 0], ring.split(b)), np.matmul(a[0, 0], b))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((0, 5), (5, 3)),
        ((4, 0), (0, 3)),
        ((4, 5), (5, 0)),
        ((0,), (0,)),
        ((0,), (0, 4)),
        ((0, 3, 4), (4, 5)),
        ((2, 0, 4), (2, 4, 0)),
    ],
)
def test_empty_shapes(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    a, b = words(*left), words(*right)

    result = ring.matmul(a, b)

    assert result.shape == np.matmul(a, b).shape
    assert not result.any()
    if min(a.ndim, b.ndim) > 1:
        assert np.array_equal(ring.matmul(ring.split(a), ring.split(b)), result)


@pytest.mark.parametrize(
    ("left", "right"), [((3, 4), (5, 6)), ((4,), (5,)), ((), (3,)), ((3,), ()), ((2, 3, 4), (3, 4, 5))]
)
def test_shapes_that_do_not_match_are_refused(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    with pytest.raises(ValueError):
        ring.matmul(words(*left), words(*right))


def test_vectors_are_not_split() -> None:
    with pytest.raises(ValueError, match="matrices"):
        ring.split(words(5))


# -- element by element ------------------------------------------------------------------------------------------------

KERNELS = [
    (ring.mul_cross, 4, lambda x0, x1, y0, y1: x0 * (y0 + y1) + x1 * y0),
    (ring.and_cross, 4, lambda x0, x1, y0, y1: (x0 & (y0 ^ y1)) ^ (x1 & y0)),
    (ring.muladd, 3, lambda a, b, c: a * b + c),
    (ring.beaver, 5, lambda c, d, b, e, a: c + d * b + e * a),
    (ring.and_beaver, 5, lambda c, d, b, e, a: c ^ (d & b) ^ (e & a)),
]
each_kernel = pytest.mark.parametrize(("kernel", "count", "meaning"), KERNELS, ids=lambda x: getattr(x, "__name__", ""))


@each_kernel
@pytest.mark.parametrize(
    "shape", [(), (0,), (1,), (1000,), (1 << 15,), (100_003,), (3, 40_000), (400, 300), (2, 0, 3), (3, 2, 9000)]
)
def test_kernels_mean_what_they_say(kernel, count, meaning, shape) -> None:
    operands = [words(*shape, seed=i) for i in range(count)]

    result = kernel(*operands)

    assert result.dtype == np.uint64
    assert result.shape == shape
    assert np.array_equal(result, meaning(*(np.atleast_1d(operand) for operand in operands)).reshape(shape))


@each_kernel
@pytest.mark.parametrize("small", [(), (1,), (300,), (400, 1), (1, 400, 300)])
def test_kernels_broadcast(kernel, count, meaning, small) -> None:
    operands = [words(*(small if i in (1, 3) else (400, 300)), seed=i) for i in range(count)]

    assert np.array_equal(kernel(*operands), meaning(*operands))


@each_kernel
@pytest.mark.parametrize("n", [50, 70_000])
def test_kernels_may_write_over_any_one_operand(kernel, count, meaning, n) -> None:
    for target in range(count):
        operands = [words(n, seed=i) for i in range(count)]
        expected = meaning(*operands)
        operands[target] = out = operands[target].copy()

        assert kernel(*operands, out=out) is out
        assert np.array_equal(out, expected)


@each_kernel
def test_kernels_take_strided_operands_and_narrow_rings(kernel, count, meaning) -> None:
    strided = [words(500, 600, seed=i)[::2, ::-1].T for i in range(count)]
    narrow = [words(70_000, seed=i).astype(np.uint16) for i in range(count)]
    out = np.zeros((600, 500), np.uint64)[:, ::2]

    assert np.array_equal(kernel(*strided), meaning(*strided))
    assert np.array_equal(kernel(*strided, out=out), meaning(*strided))
    assert kernel(*narrow).dtype == np.uint16
    assert np.array_equal(kernel(*narrow), meaning(*narrow))


def test_out_of_another_shape_is_refused() -> None:
    a = words(5)
    with pytest.raises(ValueError, match="shape"):
        ring.muladd(a, a, a, out=np.zeros((2, 5), np.uint64))


# -- fixed point -------------------------------------------------------------------------------------------------------


@settings(max_examples=300)
@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 63), st.integers(1, 64))
def test_floats_are_rounded_half_to_even_or_refused(value: float, frac: int, bits: int) -> None:
    raw = round(Fraction(value) * (1 << frac))
    values = frozen(np.array([0.0, value]))
    if -(1 << (bits - 1)) <= raw < 1 << (bits - 1):
        assert ring.encode(values, frac, bits=bits).tolist() == [0, raw % TOP]
    else:
        with pytest.raises(EncodingError) as caught:
            ring.encode(values, frac, bits=bits)
        assert caught.value.index == 1


@settings(max_examples=200)
@given(st.integers(-(1 << 63), (1 << 63) - 1), st.integers(0, 63), st.integers(1, 64))
def test_whole_numbers_are_exact_or_refused(value: int, frac: int, bits: int) -> None:
    values = frozen(np.array([0, value], np.int64))
    if -(1 << (bits - 1)) <= value << frac < 1 << (bits - 1):
        assert ring.encode(values, frac, bits=bits).tolist() == [0, (value << frac) % TOP]
    else:
        with pytest.raises(EncodingError, match="entry 1 does not fit"):
            ring.encode(values, frac, bits=bits)


@pytest.mark.parametrize("dtype", ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"])
def test_every_type_of_number_is_encoded(dtype: str) -> None:
    values = frozen(np.array([[0, 1], [1, 0]]).astype(dtype))

    assert ring.encode(values, 16).tolist() == [[0, 1 << 16], [1 << 16, 0]]


def test_the_ends_of_the_range() -> None:
    below = math.nextafter(2.0**47, 0)

    assert ring.encode(np.array([-(2.0**47), below]), 16).tolist() == [1 << 63, int(below * 2**16)]
    assert ring.encode(np.array([-(1 << 47), (1 << 47) - 1]), 16).tolist() == [1 << 63, ((1 << 47) - 1) << 16]
    assert ring.encode(np.array([0.5, 1.5, 2.5, -0.5, -1.5]), 0).view(np.int64).tolist() == [0, 2, 2, 0, -2]
    for bad in (2.0**47, math.nextafter(-(2.0**47), -math.inf), 1e308, -1e308):
        with pytest.raises(EncodingError, match="does not fit"):
            ring.encode(np.array([bad]), 16)
    with pytest.raises(EncodingError, match="does not fit"):
        ring.encode(np.array([1 << 63], np.uint64), 0)


@pytest.mark.parametrize(
    ("bad", "reason"), [(math.nan, "not a number"), (math.inf, "infinite"), (-math.inf, "infinite"), (1e30, "fit")]
)
@pytest.mark.parametrize("index", [0, 7, 40_000, 99_999])
def test_the_first_bad_entry_is_named_and_not_shown(bad: float, reason: str, index: int) -> None:
    values = np.zeros((100, 1000))
    values.flat[index:] = bad

    with pytest.raises(EncodingError, match=reason) as caught:
        ring.encode(frozen(values), 20)

    assert caught.value.index == index
    assert "e+30" not in str(caught.value)


def test_bad_entries_count_in_c_order() -> None:
    values = np.zeros((3, 5))
    values[1, 2] = math.nan

    with pytest.raises(EncodingError) as caught:
        ring.encode(frozen(values.T), 16)

    assert caught.value.index == 2 * 3 + 1


@pytest.mark.parametrize(
    "values", [np.array([1j]), np.array(["1"]), np.array([None]), np.array([1], "M8[D]"), np.zeros(2, np.longdouble)]
)
def test_other_types_are_refused(values: np.ndarray) -> None:
    with pytest.raises(TypeError):
        ring.encode(values, 16)


@settings(max_examples=200)
@given(elements, st.integers(0, 63))
def test_decoding_gives_the_nearest_float(element: int, frac: int) -> None:
    signed = element - TOP if element >> 63 else element

    (value,) = ring.decode(frozen(np.array([element], np.uint64)), frac)

    assert value == Fraction(signed).__float__() / 2.0**frac
    if abs(signed) <= 1 << 53:
        assert Fraction(float(value)) == Fraction(signed, 1 << frac)


@pytest.mark.parametrize("shape", [(), (0,), (2, 3), (70_000,), (3, 0)])
def test_codecs_keep_shapes(shape: tuple[int, ...]) -> None:
    values = frozen(np.asarray(np.random.default_rng(1).integers(-(1 << 40), 1 << 40, shape) / 2.0**16))

    encoded = ring.encode(values, 16)
    decoded = ring.decode(encoded, 16)

    assert isinstance(encoded, np.ndarray)
    assert encoded.shape == decoded.shape == shape
    assert np.array_equal(decoded, values)


@given(elements, st.integers(1, 64))
def test_signed_numbers_and_back(element: int, bits: int) -> None:
    low = element % (1 << bits)
    array = frozen(np.array([element], np.uint64))

    signed = frozen(ring.to_signed(array, bits))

    assert signed.dtype == np.int64
    assert signed.tolist() == [low - (1 << bits) if low >> (bits - 1) else low]
    assert ring.from_signed(signed, bits).tolist() == [low]


def test_narrow_types_are_signed_by_their_own_width() -> None:
    narrow = frozen(np.array([0, 127, 128, 255], np.uint8))

    assert ring.to_signed(narrow).tolist() == [0, 127, -128, -1]
    assert ring.to_signed(narrow, 7).tolist() == [0, -1, 0, -1]
    assert ring.decode(narrow, 1).tolist() == [0.0, 63.5, -64.0, -0.5]


@pytest.mark.parametrize("bits", [0, 65, -1])
def test_widths_outside_are_refused(bits: int) -> None:
    x = words(3)
    for call in (ring.to_signed, ring.from_signed, ring.pack, ring.unpack, ring.pack_bits):
        with pytest.raises(ValueError, match="1 to 64"):
            call(x.view(np.int64) if call is ring.from_signed else x, bits)
    with pytest.raises(ValueError, match="1 to 64"):
        ring.encode(np.zeros(3), 0, bits=bits)


@pytest.mark.parametrize("frac", [-1, 64])
def test_fractions_outside_are_refused(frac: int) -> None:
    with pytest.raises(ValueError, match="fractional"):
        ring.encode(np.zeros(3), frac)


# -- narrow rings on the wire ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", range(1, 65))
def test_packing_keeps_the_ring_and_nothing_else(bits: int) -> None:
    x = words(100, 3)[::2]

    packed = frozen(ring.pack(x, bits))

    assert packed.dtype.itemsize == min(size for size in (1, 2, 4, 8) if 8 * size >= bits)
    assert packed.flags.c_contiguous
    assert packed.tolist() == (x.astype(object) % (1 << bits)).tolist()
    assert np.array_equal(ring.unpack(packed, bits), x & np.uint64((1 << bits) - 1))


def test_bits_that_a_peer_sets_beyond_the_ring_are_dropped() -> None:
    assert ring.unpack(frozen(np.array([0xFFFF, 0x0400], np.uint16)), 10).tolist() == [0x3FF, 0]


@pytest.mark.parametrize("bits", range(1, 65))
@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 8, 31, 65, 513, 2048, 2049])
def test_bit_packing_leaves_no_gap(bits: int, n: int) -> None:
    x = words(n, seed=bits)

    packed = frozen(ring.pack_bits(x, bits))

    assert packed.dtype == np.uint8
    assert packed.shape == ((n * bits + 7) // 8,)
    number = sum(value % (1 << bits) << (i * bits) for i, value in enumerate(x.tolist()))
    assert int.from_bytes(packed.tobytes(), "little") == number
    assert np.array_equal(ring.unpack_bits(packed, bits, n), x & np.uint64((1 << bits) - 1))


@pytest.mark.parametrize("bits", [1, 3, 10, 17, 31, 33, 48, 63])
@pytest.mark.parametrize("n", [(1 << 15) - 1, 1 << 15, (1 << 15) + 1, 100_001])
def test_long_bit_packing(bits: int, n: int) -> None:
    x = words(n, seed=bits)
    spread = np.unpackbits(x.view(np.uint8), bitorder="little").reshape(n, 64)[:, :bits]

    packed = ring.pack_bits(x, bits)

    assert np.array_equal(packed, np.packbits(spread.reshape(-1), bitorder="little"))
    assert np.array_equal(ring.unpack_bits(packed, bits, n), x & np.uint64((1 << bits) - 1))


def test_bit_packing_takes_narrow_types_and_any_shape() -> None:
    x = words(20, 30)

    assert np.array_equal(ring.pack_bits(x.T, 11), ring.pack_bits(x.T.astype(np.uint16), 11))


@pytest.mark.parametrize("size", [0, 12, 14])
def test_bit_packed_messages_of_other_lengths_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="take 13 bytes"):
        ring.unpack_bits(np.zeros(size, np.uint8), 10, 10)
