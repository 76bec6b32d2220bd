import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpc.bitslice import from_wire, pack_bool, pack_rows, slice_bits, to_wire, unpack_bool, unslice, words_for


def values(*shape: int, seed: int = 1) -> np.ndarray:
    x = np.random.default_rng(seed).integers(0, 1 << 64, shape, np.uint64)
    x.setflags(write=False)
    return x


def bit(words: np.ndarray, i: int) -> int:
    """Bit i of one row of words, by the definition of the layout."""
    return int(words[i // 64]) >> (i % 64) & 1


@pytest.mark.parametrize("width", [1, 3, 7, 8, 9, 16, 17, 20, 32, 33, 40, 63, 64])
def test_row_j_holds_bit_j_of_every_element(width: int) -> None:
    x = values(150)

    words = slice_bits(x, width)

    assert words.shape == (width, 3)
    assert words.dtype == np.uint64
    assert [[bit(row, i) for i in range(150)] for row in words] == [[int(v) >> j & 1 for v in x] for j in range(width)]


@pytest.mark.parametrize("n", range(201))
def test_unslice_undoes_slice(n: int) -> None:
    for stack, width in ((2, 64), (2, 37), (2, 5), (50, 64), (50, 37), (50, 16), (50, 5)):
        x = values(stack, n)
        words = slice_bits(x, width)
        words.setflags(write=False)

        assert words.shape == (stack, width, words_for(n))
        assert np.array_equal(unslice(words, n), x & np.uint64((1 << width) - 1))


@pytest.mark.parametrize("shape", [(100_003,), (3, 66_000), (2, 3, 64), (300, 70), (0, 5), (2, 0)])
@pytest.mark.parametrize("width", [64, 33, 9])
def test_large_and_stacked_arrays(shape: tuple[int, ...], width: int) -> None:
    x = values(*shape)

    words = slice_bits(x, width)

    assert words.shape == (*shape[:-1], width, words_for(shape[-1]))
    assert np.array_equal(unslice(words, shape[-1]), x & np.uint64((1 << width) - 1))
    for j in (0, width - 1):
        assert np.array_equal(words[..., j, :], pack_bool((x >> np.uint64(j) & np.uint64(1)).astype(np.uint8)))


def test_narrow_types_and_strided_inputs() -> None:
    x = values(2, 300)

    assert np.array_equal(slice_bits(x[:, ::3], 10), slice_bits(np.ascontiguousarray(x[:, ::3]), 10))
    assert np.array_equal(slice_bits(x[::-1].T, 64), slice_bits(np.ascontiguousarray(x[::-1].T), 64))
    assert np.array_equal(slice_bits(x.astype(np.uint16), 12), slice_bits(x, 12))
    assert np.array_equal(slice_bits(x.astype(np.uint16), 20), slice_bits(x & np.uint64(0xFFFF), 20))
    words = slice_bits(x, 40)
    assert np.array_equal(unslice(words[:, ::2], 300), unslice(np.ascontiguousarray(words[:, ::2]), 300))


@pytest.mark.parametrize("n", [1, 63, 65, 100])
def test_padding_is_zero_when_made_and_ignored_when_read(n: int) -> None:
    x = values(n)
    words = slice_bits(x, 20)
    last = np.uint64((1 << n % 64) - 1)

    assert not (words[:, -1] & ~last).any()
    words[:, -1] |= ~last
    assert np.array_equal(unslice(words, n), x & np.uint64((1 << 20) - 1))
    clean = from_wire(to_wire(words, n), 20, n)
    assert np.array_equal(clean, slice_bits(x, 20))
    assert not unpack_bool(~words, n).shape[-1] - n


@pytest.mark.parametrize("n", [*range(130), 1000, 4097])
def test_bools_pack_and_unpack(n: int) -> None:
    bits = (values(3, n) & np.uint64(1)).astype(np.uint8)
    bits.setflags(write=False)

    words = pack_bool(bits)

    assert words.shape == (3, words_for(n))
    assert [[bit(row, i) for i in range(n)] for row in words] == bits.tolist()
    assert np.array_equal(unpack_bool(words, n), bits)
    assert unpack_bool(words, n).dtype == np.uint8
    assert np.array_equal(pack_bool(bits.astype(bool)), words)


@settings(max_examples=60)
@given(st.integers(0, 70), st.integers(0, 200), st.integers(0, 100))
def test_wire_form_holds_the_bits_and_nothing_else(rows: int, n: int, seed: int) -> None:
    words = values(rows, words_for(n), seed=seed)

    message = to_wire(words, n)

    assert message.dtype == np.uint8
    assert message.flags.c_contiguous
    assert message.shape == ((rows * n + 7) // 8,)
    number = int.from_bytes(message.tobytes(), "little")
    assert number == sum(bit(words[r], i) << (r * n + i) for r in range(rows) for i in range(n))
    assert np.array_equal(unpack_bool(from_wire(message, rows, n), n), unpack_bool(words, n))


@pytest.mark.parametrize("n", [511, 512, 700, 4093, 4104, 10_001, 130_001])
@pytest.mark.parametrize("rows", [1, 2, 9, 64])
def test_long_wire_forms(rows: int, n: int) -> None:
    words = values(rows, words_for(n))
    message = to_wire(words, n)
    message.setflags(write=False)

    back = from_wire(message, rows, n)

    bits = np.unpackbits(words.view(np.uint8), axis=-1, count=n, bitorder="little")
    assert np.array_equal(message, np.packbits(bits.reshape(-1), bitorder="little"))
    assert np.array_equal(back, pack_bool(bits))


@pytest.mark.parametrize("size", [0, 24, 26])
def test_messages_of_other_lengths_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="take 25 bytes"):
        from_wire(np.zeros(size, np.uint8), 20, 10)


def test_shapes_that_do_not_fit_are_refused() -> None:
    words = values(8, 2)
    for call in (unslice, unpack_bool, to_wire):
        for n in (64, 129):
            with pytest.raises(ValueError, match="words"):
                call(words, n)
    for width in (0, 65):
        with pytest.raises(ValueError, match="1 to 64"):
            slice_bits(values(3), width)


@pytest.mark.parametrize(("n", "width"), [(5, 3), (3000, 1), (3000, 64), (2049, 82), (5000, 200)])
def test_rows_are_packed_alike_however_they_lie_in_memory(n: int, width: int) -> None:
    bits = np.random.default_rng(n).integers(0, 2, (2, n, width), np.uint8)
    turned = np.ascontiguousarray(bits.swapaxes(1, 2)).swapaxes(1, 2)
    for x in (bits, turned):
        np.testing.assert_array_equal(pack_rows(x), np.packbits(bits, axis=-1, bitorder="little"))
