import hashlib
import hmac
import threading

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from mpc.prg import BLOCK, KEY_BYTES, Cursor, Prg, derive, fresh_key

KEY = bytes(range(16))


def raw_stream(use: int, offset: int, n: int) -> bytes:
    """AES-CTR straight from the library, its counter block written by hand."""
    counter = ((use << 64) | offset).to_bytes(16, "big")

    return Cipher(algorithms.AES(KEY), modes.CTR(counter)).encryptor().update(bytes(n))


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 4096, (1 << 17) - 1, 1 << 17, (1 << 19) + 5])
def test_bytes_are_the_key_stream_at_their_address(n: int) -> None:
    assert Prg(KEY).bytes(7, 3, n).tobytes() == raw_stream(7, 3, n)


def test_a_block_is_aes_of_use_and_index() -> None:
    block = Cipher(algorithms.AES(KEY), modes.ECB()).encryptor().update((5).to_bytes(8, "big") + (9).to_bytes(8, "big"))

    assert Prg(KEY).bytes(5, 9, BLOCK).tobytes() == block


def test_words_are_little_endian_bytes() -> None:
    prg = Prg(KEY)

    words = prg.words((1 << 62) - 1, 12, 5)

    assert words.dtype == np.uint64
    assert words.astype("<u8").tobytes() == prg.bytes((1 << 62) - 1, 12, 40).tobytes()


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, 200))
def test_a_draw_does_not_depend_on_draws_before(skip: int, offset: int, n: int) -> None:
    prg = Prg(KEY)
    long = prg.bytes(3, 0, 16 * (offset + 20))
    prg.bytes(skip, skip, skip)
    n = min(n, 320)

    assert np.array_equal(prg.bytes(3, offset, n), long[16 * offset : 16 * offset + n])


def test_uses_and_keys_give_different_streams() -> None:
    draws = {
        Prg(key).bytes(use, offset, 32).tobytes() for key in (KEY, bytes(16)) for use in (0, 1) for offset in (0, 9)
    }

    assert len(draws) == 8


def test_the_last_block_of_a_use_does_not_run_into_the_next() -> None:
    prg = Prg(KEY)

    assert prg.bytes(1, (1 << 64) - 1, 16).tobytes() == raw_stream(1, (1 << 64) - 1, 16)
    with pytest.raises(ValueError, match="leaves the use"):
        prg.bytes(1, (1 << 64) - 1, 17)


@pytest.mark.parametrize(("use", "offset", "n"), [(-1, 0, 1), (1 << 62, 0, 1), (0, -1, 1), (0, 0, -1), (0, 1 << 64, 1)])
def test_addresses_outside_are_refused(use: int, offset: int, n: int) -> None:
    with pytest.raises(ValueError):
        Prg(KEY).bytes(use, offset, n)


@pytest.mark.parametrize("length", [0, 15, 17, 24, 33])
def test_keys_of_other_lengths_are_refused(length: int) -> None:
    with pytest.raises(ValueError, match="16 or 32"):
        Prg(bytes(length))


def test_a_long_key_is_condensed() -> None:
    key = bytes(range(32))

    assert np.array_equal(Prg(key).words(1, 0, 4), Prg(derive(key, "aes-128-ctr", length=16)).words(1, 0, 4))
    assert not np.array_equal(Prg(key).words(1, 0, 4), Prg(key[:16]).words(1, 0, 4))


def test_threads_that_share_a_key_each_get_their_own_draws() -> None:
    prg = Prg(KEY)
    wrong: list[int] = []

    def work(use: int) -> None:
        expected = raw_stream(use, 0, 70_000)
        wrong.extend(use for _ in range(100) if prg.bytes(use, 0, 70_000).tobytes() != expected)

    threads = [threading.Thread(target=work, args=(use,)) for use in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


def draws(cursor: Cursor) -> list[np.ndarray]:
    return [
        cursor.words((2, 3)),
        cursor.bits((5, 7)),
        cursor.words(0),
        cursor.packed(3),
        cursor.narrow((3, 3), 10),
        cursor.narrow(4, 64),
        cursor.words(()),
    ]


def test_two_cursors_over_one_use_agree_and_never_overlap() -> None:
    prg = Prg(KEY)
    mine, theirs = draws(prg.cursor(4)), draws(Prg(KEY).cursor(4))

    assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(mine, theirs, strict=True))
    # 48 bytes, 35 bits, nothing, 24 bytes, 9 uint16, 32 bytes, 8 bytes: in blocks 3, 1, 0, 2, 2, 2, 1
    assert np.array_equal(mine[0].reshape(-1), prg.words(4, 0, 6))
    assert np.array_equal(mine[3], prg.words(4, 4, 3))
    assert np.array_equal(mine[5], prg.words(4, 8, 4))
    assert np.array_equal(mine[6].reshape(-1), prg.words(4, 10, 1))


def test_a_cursor_counts_blocks() -> None:
    cursor = Prg(KEY).cursor(4, 100)
    cursor.words(3)
    cursor.bits(129)

    assert cursor.offset == 104


def test_bits_are_the_low_bits_first() -> None:
    prg = Prg(KEY)

    bits = prg.cursor(8).bits(20)

    assert bits.tolist() == [int(prg.words(8, 0, 1)[0]) >> i & 1 for i in range(20)]


@pytest.mark.parametrize(
    ("bits", "dtype"), [(1, "u1"), (8, "u1"), (9, "u2"), (16, "u2"), (17, "u4"), (33, "u8"), (64, "u8")]
)
def test_narrow_draws_fill_their_ring(bits: int, dtype: str) -> None:
    values = Prg(KEY).cursor(1).narrow((50, 40), bits)

    assert values.dtype == np.dtype(dtype)
    assert values.shape == (50, 40)
    assert int(np.bitwise_or.reduce(values, axis=None)) == (1 << bits) - 1
    assert int(np.bitwise_and.reduce(values, axis=None)) == 0


def test_draws_look_uniform() -> None:
    ones = int(Prg(KEY).cursor(2).bits(1 << 20).sum())

    assert abs(ones - (1 << 19)) < 5 * 512  # five deviations


@pytest.mark.parametrize("n", [0, 1, 2, 3, 100, 50_000])
def test_permutation_is_the_stable_argsort_of_the_words(n: int) -> None:
    prg = Prg(KEY)

    order = prg.permutation(6, n)

    assert order.dtype == np.int64
    assert np.array_equal(order, np.argsort(prg.words(6, 0, n), kind="stable"))


def test_permutation_settles_runs_of_equal_high_bits() -> None:
    """Words that differ in low bits alone, and words that are equal: what chance shows once in 2^40."""
    words = np.array([9, 5, 5, 1 << 40, 7, (1 << 40) | 3, (1 << 40) | 1, 5, 0], np.uint64)

    class Fixed(Prg):
        def words(self, use: int, offset: int, n: int) -> np.ndarray:
            return words[offset : offset + n]

    assert Fixed(KEY).permutation(0, 9).tolist() == np.argsort(words, kind="stable").tolist()


def test_permutations_reach_every_order() -> None:
    prg = Prg(KEY)
    seen = {tuple(prg.permutation(use, 4).tolist()) for use in range(400)}

    assert len(seen) == 24


def test_derive_is_hkdf_sha256() -> None:
    """Extract and expand of RFC 5869 by hand, over the tagged writing of the context."""
    secret = hmac.digest(bytes(32), b"key", hashlib.sha256)
    info = b"s" + (4).to_bytes(8, "big") + b"work" + b"i" + (1).to_bytes(8, "big") + b"\x07"
    first = hmac.digest(secret, info + b"\x01", hashlib.sha256)
    second = hmac.digest(secret, first + info + b"\x02", hashlib.sha256)

    assert derive(b"key", "work", 7) == first
    assert derive(b"key", "work", 7, length=40) == (first + second)[:40]


def test_contexts_never_read_alike() -> None:
    contexts: list[tuple[bytes | str | int, ...]] = [(), ("",), (b"",), (0,), ("ab", "c"), ("a", "bc"), ("abc",)]
    contexts += [(b"ab", "c"), (1, "c"), (-1, "c"), (127,), (128,), (255,), (256,), (-128,), (-129,)]

    assert len({derive(KEY, *context) for context in contexts}) == len(contexts)


def test_fresh_keys_differ() -> None:
    keys = {fresh_key() for _ in range(10)}

    assert len(keys) == 10
    assert {len(key) for key in keys} == {KEY_BYTES}


def test_the_key_is_not_shown() -> None:
    assert repr(Prg(KEY)) == "Prg(<key>)"
