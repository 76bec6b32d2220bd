"""Reads numbers written in decimal, a whole column at a time.

For: `scan` (is it a number, and of what form), `exact` (times a power of ten, as whole numbers, never through a
float) and `floats` (the nearest float64).
Leaves to others: what a number may be (`text`).

A number is `[+-] digits [. digits] [e [+-] digits]`, one digit at least before the `e`. Cells of up to 24 bytes are
read by an automaton over the columns of a byte matrix; the few that are longer, or have more digits than 64 bits
hold, one by one with `decimal`.
"""

from __future__ import annotations

import re
from decimal import Decimal
from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from runtime.sources.cells import Bytes, Cells, Mask

WIDTH: Final = 24
DIGITS: Final = 19
"""So many decimal digits fit into a uint64 whatever they are."""

INT_MAX: Final = 2**63 - 1


class Form(IntEnum):
    """What a cell holds."""

    TEXT = 0
    PLAIN = 1
    EXPONENT = 2
    NOT_FINITE = 3


_TEXT, _START, _SIGN, _WHOLE, _POINT, _PART, _E, _E_SIGN, _POWER = range(9)


def _transitions() -> NDArray[np.uint8]:
    """(state * 256 + byte) -> state. A zero byte, the padding, stays where it is."""
    table = np.full((9, 256), _TEXT, np.uint8)
    table[:, 0] = np.arange(9)
    digits, signs, powers = list(b"0123456789"), list(b"+-"), list(b"eE")
    table[_START, signs] = _SIGN
    for state, after in (
        (_START, _WHOLE),
        (_SIGN, _WHOLE),
        (_WHOLE, _WHOLE),
        (_POINT, _PART),
        (_PART, _PART),
        (_E, _POWER),
        (_E_SIGN, _POWER),
        (_POWER, _POWER),
    ):
        table[state, digits] = after
    table[[_START, _SIGN], ord(".")] = _POINT
    table[_WHOLE, ord(".")] = _PART
    for state in (_WHOLE, _PART):
        table[state, powers] = _E
    table[_E, signs] = _E_SIGN
    return table.reshape(-1)


_TABLE: Final = _transitions()
_FINAL: Final = np.array([0, 0, 0, Form.PLAIN, 0, Form.PLAIN, 0, 0, Form.EXPONENT], np.uint8)
_NUMBER: Final = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_NOT_FINITE: Final = (b"nan", b"inf", b"infinity")


class Scan(NamedTuple):
    """form: a `Form` for each cell. mantissa: its digits as a whole number with its sign. places: how many of them
    stand after the point. slow: cells for which mantissa and places say nothing, to be read one by one.
    """

    form: NDArray[np.uint8]
    mantissa: NDArray[np.int64]
    places: NDArray[np.int8]
    slow: Mask
    matrix: Bytes


def scan(cells: Cells, *, digits: bool = True) -> Scan:
    """The form of each cell (blanks trimmed before), and with `digits` also its digits."""
    width = min(int(cells.length.max(initial=1)), WIDTH)
    matrix = cells.matrix(width)
    rows = len(cells)
    state = np.full(rows, _START, np.uint8)
    magnitude = np.zeros(rows, np.uint64)
    places = np.zeros(rows, np.int8)
    used = np.zeros(rows, np.int8)
    for byte in matrix.T:
        state = _TABLE.take(state.astype(np.uint16) * 256 + byte)
        if digits:
            digit = ((state == _WHOLE) | (state == _PART)) & (byte - np.uint8(48) < 10)
            used += digit
            places += digit & (state == _PART)
            np.multiply(magnitude, 10, out=magnitude, where=digit)
            np.add(magnitude, byte - np.uint8(48), out=magnitude, where=digit)
    form = _FINAL[state]
    slow = (cells.length > WIDTH) | (used > DIGITS) | (magnitude > INT_MAX)
    mantissa = magnitude.astype(np.int64)
    np.negative(mantissa, out=mantissa, where=matrix[:, 0] == ord("-"))
    for i in np.flatnonzero(cells.length > WIDTH).tolist():
        match = _NUMBER.fullmatch(cells.one(i))
        form[i] = Form.TEXT if match is None else Form.EXPONENT if match[1] else Form.PLAIN
    form[_not_finite(cells, form)] = Form.NOT_FINITE
    return Scan(form, mantissa, places, slow, matrix)


def _not_finite(cells: Cells, form: NDArray[np.uint8]) -> NDArray[np.intp]:
    texts = np.flatnonzero((form == Form.TEXT) & (cells.length > 0) & (cells.length <= 9))
    if not len(texts):
        return texts
    words = np.strings.lstrip(np.strings.lower(cells.take(texts).words(9)), b"+-")
    return texts[np.isin(words, _NOT_FINITE)]


class Exact(NamedTuple):
    """values: int64. uneven: cells with more places than asked for. large: cells that do not fit. Both are 0 there."""

    values: NDArray[np.int64]
    uneven: Mask
    large: Mask


def exact(cells: Cells, found: Scan, places: int) -> Exact:
    """The plain numbers of `found` times 10**places. Zeros after the last place that counts do no harm."""
    plain = (found.form == Form.PLAIN) & ~found.slow
    values, uneven, large = rescale(np.where(plain, found.mantissa, 0), np.where(plain, found.places, 0), places)
    for i in np.flatnonzero(found.slow & (found.form == Form.PLAIN)).tolist():
        number = _scaled(cells.one(i), places)
        uneven[i] = number is None
        large[i] = number is not None and not -INT_MAX - 1 <= number <= INT_MAX
        values[i] = 0 if number is None or large[i] else number
    return Exact(values, uneven, large)


def rescale(mantissa: NDArray[np.int64], have: NDArray[np.int8], want: int) -> Exact:
    """mantissa * 10**(want - have), exactly."""
    values = mantissa.astype(np.int64)
    uneven = np.zeros(len(values), np.bool_)
    large = np.zeros(len(values), np.bool_)
    for places in np.unique(have).tolist():
        shift, here = want - places, have == places
        if shift == 0:
            continue
        if shift > 0:
            factor = 10 ** min(shift, 19)
            large |= here & ((values > INT_MAX // factor) | (values < -(INT_MAX // factor)))
            if factor <= INT_MAX:
                np.multiply(values, factor, out=values, where=here & ~large)
        else:
            factor = 10 ** min(-shift, 18)
            whole = values // factor
            uneven |= here & (whole * factor != values)
            if -shift > 18:
                uneven |= here & (values != 0)
            np.copyto(values, whole, where=here)
    values[uneven | large] = 0
    return Exact(values, uneven, large)


def _scaled(text: bytes, places: int) -> int | None:
    """The number times 10**places, or None if that is not whole; 2**64 stands for everything beyond 64 bits."""
    sign, digits, exponent = Decimal(text.decode("ascii")).as_tuple()
    assert isinstance(exponent, int)
    shift = exponent + places
    if shift < 0:
        if any(digits[max(len(digits) + shift, 0) :]):
            return None
        digits, shift = digits[: max(len(digits) + shift, 0)], 0
    magnitude = int("".join(map(str, digits)).lstrip("0")[:40] or "0")
    if magnitude and shift + len(str(magnitude)) > 20:
        magnitude = 2**64
    else:
        magnitude *= 10**shift if magnitude else 1
    return -magnitude if sign else magnitude


def floats(cells: Cells, found: Scan) -> NDArray[np.float64]:
    """The nearest float64 of each plain or exponent number, infinite beyond its range; 0 for all other cells."""
    number = (found.form == Form.PLAIN) | (found.form == Form.EXPONENT)
    long = cells.length > WIDTH
    text = found.matrix.copy()
    text[~number | long] = 0
    text[~number | long, 0] = ord("0")
    values = text.view(f"S{text.shape[1]}").reshape(len(cells)).astype(np.float64)
    for i in np.flatnonzero(number & long).tolist():
        values[i] = float(cells.one(i))
    return values
