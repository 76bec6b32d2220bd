"""Texts of secret bytes, and units of secret numbers: every operation against Python, on every scheme."""

from __future__ import annotations

import re

import numpy as np
import pytest
from order_run import PLACES, agree

from mpc.circuit import Array, Builder
from mpc.circuits.scales import of_units, units
from mpc.circuits.texts import text_cut, text_less, text_like
from mpc.op import find
from mpc.types import INT, Type, TypeRuleError

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


@pytest.mark.parametrize(("start", "stop"), [(0, 2), (1, None), (3, 4), (2, 2), (0, 99)])
def test_a_part_of_a_text_counts_characters(start: int, stop: int | None) -> None:
    b = Builder()
    x = b.const(words(("ääbc", "", "xyz", "日本語")), INT)
    out = text_cut(x, start=start, stop=stop, bytes=14)
    assert [text(row) for row in out.constant] == [t[start:stop] for t in ("ääbc", "", "xyz", "日本語")]


def test_a_part_of_a_text_is_for_who_sees_it() -> None:
    with pytest.raises(TypeRuleError):
        find("text_cut").infer([Type(INT, (3, 2), frozenset())], {"start": 0, "stop": 1, "bytes": 7})


def test_one_character_is_not_one_byte() -> None:
    b = Builder()
    found = text_like(b.const(words(("ä", "ab", "日")), INT), pattern="_")
    assert found.constant.tolist() == [True, False, True]


@everywhere
def test_units_are_exact_both_ways(where: str) -> None:
    x = np.array([-(2.0**45), -1.25, -(2.0**-16), 0.0, 2.0**-16, 3.5, 2.0**45])
    n = np.array([-(2**61), -1, 0, 1, 2**52], np.int64)
    agree(lambda b, v: [units(v[0], frac=16), of_units(v[1], frac=16)], [x, n], where)
