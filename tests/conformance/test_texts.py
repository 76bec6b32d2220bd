"""Texts of secret bytes, and units of secret numbers: every operation against Python, on every scheme."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest
from order_run import PLACES, agree

from mpc.circuit import Array, Builder, Value
from mpc.circuits.scales import of_units, units
from mpc.circuits.text_parts import text_case, text_concat, text_cut, text_length, text_place, text_trim
from mpc.circuits.texts import expression_of, pieces_of, text_less, text_like
from mpc.types import INT

everywhere = pytest.mark.parametrize("where", list(PLACES))
TEXTS = ("", "a", "abc", "abcabc", "xabcyabc", "bcabca", "PROMO x", "xPROMO", "ab", "äb", "b", "aa", "abcdefghijklmn")
TEXTS += ("äb€", "€😀b", "😀")
PATTERNS = (
    "",
    "%",
    "%%",
    "abc",
    "abc%",
    "%abc",
    "%abc%",
    "%a%c%",
    "ab%bc",
    "%a%b%a%",
    "%ä%",
    "abcdefghijklmno",
    "%n",
    "a%a",
    "_",
    "__",
    "_b",
    "%_b%",
    "a_c%",
    "%b_a%",
    "_%_%_",
    "%ä_",
    "ab_%",
    "abcdefghijklm_",
    "_abcdefghijklmno",
)


def words(texts: tuple[str, ...], size: int = 2) -> Array:
    """Texts as rows of whole numbers."""
    data = [t.encode().ljust(7 * size, b"\0") for t in texts]
    return np.array([[int.from_bytes(d[7 * i : 7 * i + 7], "big") for i in range(size)] for d in data], np.int64)


def text(row: Array) -> str:
    return b"".join(int(x).to_bytes(7, "big") for x in row).rstrip(b"\0").decode()


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_is_found_as_python_finds_it(pattern: str) -> None:
    outcome = agree(lambda b, x: [text_like(x[0], pattern=pattern)], [words(TEXTS)], "rep3", [(0, 2**56 - 1)])
    expression = re.compile(pattern.replace("%", ".*").replace("_", "."), re.DOTALL)
    assert outcome.got[0].tolist() == [expression.fullmatch(t) is not None for t in TEXTS]


ESCAPED = (("!%", ["%"]), ("a!_!!%", ["a_!", "a_!b"]), ("_!%%", ["a%", "ä%b"]), ("%!a", ["a", "ba"]), ("!!!!", ["!!"]))


@pytest.mark.parametrize(("pattern", "like"), ESCAPED)
def test_what_is_escaped_is_itself(pattern: str, like: list[str]) -> None:
    texts = ("", "%", "a_!", "a_!b", "ab!", "a%", "ä%b", "%%", "a", "ba", "!!", "!a", "x")
    made = agree(lambda b, x: [text_like(x[0], pattern=pattern, escape="!")], [words(texts)], "rep3", [(0, 2**56 - 1)])
    found = {t for t, is_like in zip(texts, made.got[0].tolist(), strict=True) if is_like}
    assert found >= set(like)
    assert found == {t for t in texts if expression_of(pieces_of(pattern, "!")).fullmatch(t)}


@everywhere
@pytest.mark.parametrize("piece", ["a", "abc", "€", "b€", "😀b", "abcdefghijklmn", "abcdefghijklmno"])
def test_where_a_piece_begins(piece: str, where: str) -> None:
    found = agree(lambda b, x: [text_place(x[0], piece=piece)], [words(TEXTS)], where, [(0, 2**56 - 1)]).got[0]
    assert found.tolist() == [t.find(piece) + 1 for t in TEXTS]


@everywhere
def test_patterns_on_every_scheme(where: str) -> None:
    agree(lambda b, x: [text_like(x[0], pattern=p) for p in ("%abc%", "a%", "%c", "_b%", "%_c")], [words(TEXTS)], where)


@everywhere
def test_the_order_of_texts_is_that_of_their_bytes(where: str) -> None:
    pairs = [(a, b) for a in TEXTS for b in TEXTS]
    left, right = (words(tuple(pair[i] for pair in pairs)) for i in (0, 1))
    within = (0.0, 2.0**56 - 1)
    outcome = agree(lambda b, x: [text_less(x[0], x[1])], [left, right], where, [within, within])
    assert outcome.got[0].tolist() == [a.encode() < b.encode() for a, b in pairs]


PARTS = (
    "ääbc",
    "",
    "xyz",
    "日本語",
    "a",
    "abcdefghijklmn",
    "😀😀😀",
    "ab€dé",
    " x y",
    "  ",
    "x  ",
    "  abcdefghi ",
    "Zz[{`@",
)
CUTS = [(0, 2), (1, None), (3, 4), (2, 2), (0, 99), (1, 3), (2, 9), (5, 7), (13, 14), (0, 13), (14, None), (4, None)]


@everywhere
@pytest.mark.parametrize(("start", "stop"), CUTS)
def test_a_part_of_a_text_counts_characters(start: int, stop: int | None, where: str) -> None:
    if where == "additive-3" and (start, stop) not in CUTS[1:6]:
        return
    kept = min(14 - start, 14 if stop is None else 4 * (stop - start))
    outcome = agree(lambda b, x: [text_cut(x[0], start=start, stop=stop, bytes=max(kept, 1))], [words(PARTS)], where)
    assert [text(row) for row in outcome.got[0]] == [t[start:stop] for t in PARTS]


@everywhere
@pytest.mark.parametrize(("left", "right"), [(True, True), (True, False), (False, True)])
def test_spaces_at_the_ends_are_left_out(left: bool, right: bool, where: str) -> None:
    outcome = agree(lambda b, x: [text_trim(x[0], left=left, right=right, bytes=14)], [words(PARTS)], where)
    strip = {(True, True): str.strip, (True, False): str.lstrip, (False, True): str.rstrip}[left, right]
    assert [text(row) for row in outcome.got[0]] == [strip(t, " ") for t in PARTS]


@everywhere
def test_texts_are_joined(where: str) -> None:
    left, right = tuple(a for a in PARTS for _ in TEXTS), tuple(b for _ in PARTS for b in TEXTS)
    outcome = agree(lambda b, x: [text_concat(x[0], x[1], bytes=28)], [words(left), words(right)], where)
    assert [text(row) for row in outcome.got[0]] == [a + b for a, b in zip(left, right, strict=True)]


@everywhere
@pytest.mark.parametrize("piece", ["", "-", "é: ", "12345678"])
def test_a_text_of_the_study_is_joined_with_secret_ones(piece: str, where: str) -> None:
    def both(b: Builder, x: Sequence[Value]) -> list[Value]:
        known = b.const(words((piece,))[0], INT)
        size = 14 + max(len(piece.encode()), 1)
        return [text_concat(known, x[0], bytes=size), text_concat(x[0], known, bytes=size)]

    before, after = agree(both, [words(PARTS)], where).got
    assert [text(row) for row in before] == [piece + t for t in PARTS]
    assert [text(row) for row in after] == [t + piece for t in PARTS]


@everywhere
def test_letters_in_one_case_and_how_many_there_are(where: str) -> None:
    def all_of(b: Builder, x: Sequence[Value]) -> list[Value]:
        del b
        return [text_case(x[0], upper=True), text_case(x[0], upper=False), text_length(x[0])]

    every = tuple(chr(c) for c in range(1, 128))
    upper, lower, lengths = agree(all_of, [words(PARTS + every)], where).got
    letters = str.maketrans({chr(c): chr(c - 32) for c in range(ord("a"), ord("z") + 1)})
    back = str.maketrans({chr(c): chr(c + 32) for c in range(ord("A"), ord("Z") + 1)})
    assert [text(row) for row in upper] == [t.translate(letters) for t in PARTS + every]
    assert [text(row) for row in lower] == [t.translate(back) for t in PARTS + every]
    assert lengths.tolist() == [len(t) for t in PARTS + every]


@everywhere
def test_parts_of_no_texts(where: str) -> None:
    def every(b: Builder, x: Sequence[Value]) -> list[Value]:
        del b
        parts = [text_cut(x[0], start=1, stop=3, bytes=8), text_trim(x[0], left=True, right=True, bytes=14)]
        return [*parts, text_concat(x[0], x[0], bytes=28), text_case(x[0], upper=True), text_length(x[0])]

    agree(every, [np.zeros((0, 2), np.int64)], where)


def test_one_character_is_not_one_byte() -> None:
    b = Builder()
    found = text_like(b.const(words(("ä", "ab", "日")), INT), pattern="_")
    assert found.constant.tolist() == [True, False, True]


@everywhere
def test_units_are_exact_both_ways(where: str) -> None:
    x = np.array([-(2.0**45), -1.25, -(2.0**-16), 0.0, 2.0**-16, 3.5, 2.0**45])
    n = np.array([-(2**61), -1, 0, 1, 2**52], np.int64)
    agree(lambda b, v: [units(v[0], frac=16), of_units(v[1], frac=16)], [x, n], where)
