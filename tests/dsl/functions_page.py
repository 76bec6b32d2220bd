"""The page `docs/functions.md`: what every function is defined on and how far it may be off, from the records of the
operations that it is.
"""

from __future__ import annotations

import math

from dsl.builtins import BUILTINS, SPECIALS
from mpc.op import Op, find

HEAD = """# Functions: where they are defined, and how exact

`parley check` says of every result how far it may be from exact arithmetic on the numbers as they were read:

    How exact
    result                         against exact arithmetic on what was read
    by_region: region, n, highest  exact
    by_region: income              error at most 3.1e-05
    score                          error at most 0.0021
    passes                         right unless what is compared lies within 0.0021 of equal
    ratio                          no bound: the divisor may be 0, or as near to it as one likes, line 20

It is a largest error, over all values that the declared ranges allow and however truncations fall out; what is usual is
far less. Whole numbers, decimals, dates, texts and truth values are exact. A `fixed` that is shared is rounded to the
nearest 2^-16 (`--frac` changes that), and each operation passes on the errors of what it is given and adds its own, as
below. What a party computes alone is computed in double precision, and counts as such.

- **unless what is compared …**: a comparison of numbers that are off may come out the other way where they are nearly
  equal, and so may what hangs on it: what is chosen, counted, kept by a `where`, put in order.
- **no bound**: products, quotients and functions need to know how large their operands may be: declare ranges. In
  training, where a loop carries values on, a largest error would grow with every pass, and nothing is said.
- **beside the noise**: of what noise was added to, the part that is computed.

`--json` has them under `errors`: `name`, `columns`, `error` (`null` with a `reason` and its `line`), `unless_within`.

## Whole numbers that do not fit

`int`, `decimal`, dates and counts have 64 bits. What a party computes alone, what all may see, and everything under
`parley run --plain` is right, or the job ends with E0418, the line, and whose number it was; the others are told the
line, and nothing of the data. In a study's constants it is E0501, before anything runs.

A number that does not fit is an error when something that is shared, opened or revealed depends on it, and not before.
So nobody is harmed by

- the side of a choice that is not taken: `x * x if x < 1000 else 0`, `case when`, an `if` whose condition one party
  sees;
- rows that a `where` drops, missing values, and the padding of `rows <= n`, where the result leaves them out: they are
  emptied before a query is revealed, grouped or added up. Rows that go on into a join with tables of others are shared
  as they are, dropped ones too, and must fit: choose, with `case when`, what shall count.

A sum fits if its result does, whatever its parts add up to on the way. A comparison with a number that does not fit,
and an order by one, depends on it.

On shares nobody sees what wraps. There `parley check` proves from declared ranges that numbers fit, ends with E0501 if
they may not, and lists under "Taken for granted" where nothing is known. That list says of a divisor that it is not 0
unless the quotient is chosen only where it is not: `x / n if n > 0 else 0`, or under `if n != 0:`; in a query a
quotient by 0 is missing.

## Columns of which no row is left

`sum`, `mean`, `min` and `max` leave out missing values, and of a query's column its invisible rows (what a `where` or a
join dropped). Where none is left they are 0, of dates 1970-01-01, of truth values false, and nobody sees that none was:
SQL's aggregates are missing there, and NumPy's are NaN or an error. Where it may happen, let a query say it (`select
max(m) as m from q`), or count beside it: `sum(q.m == q.m)`.

## What each function adds

Largest errors with 16 fraction bits; with others, what does not follow from the unit 2^-16 is within twice of it, or of
as many units. "of r": relative to the result.
"""

OPERATORS = {
    "`+ -`": "add",
    "`*`": "mul",
    "`@`": "matmul",
    "`/`": "div",
    "`//`": "floordiv",
    "`%`": "mod",
    "`**`": "power",
    "`== != < <= > >=`": "lt",
    "`and or not`": "and",
    "`a if c else b`": "select",
    "`x[i]`": "take",
}
"""Operators and the operations that they are, of numbers with fraction."""

SAME = {"clamp": "clip", "concat": "concat", "stack": "concat", "max_pool": "max", "conv2d": "dot", "avg_pool": "mean"}
"""Functions that are an operation of another name."""

EXACT = (
    "arange",
    "batches",
    "coalesce",
    "compact",
    "day",
    "eye",
    "full",
    "int",
    "len",
    "load",
    "matrix",
    "month",
    "ones",
    "randn",
    "range",
    "shuffle",
    "year",
    "zeros",
)
"""Functions that compute nothing, or with whole numbers alone."""

MADE = {
    "accuracy": ("", "2^-15"),
    "clip_norm": ("norm below 2^13 c", "2^-13 of r, and 2^-15"),
    "cross_entropy": ("", "2^-12 (1 + &#124;y&#124;); of each row of a matrix, 2^-13 for each column"),
    "grad": ("", "as the products and functions that the derivative is made of"),
    "round": ("", "exact; with places above 0, 2^-17"),
    "squared_error": ("&#124;a - b&#124; ≤ 2^15", "2^-15"),
    "standardize": ("columns of a deviation of 2^-4 or more", "2^-12 (1.5 + &#124;r&#124;)"),
}
"""Functions that are made of several operations: their domain, and what a test finds of their error."""


BOTH = "&#124;{}&#124;"
"""A magnitude; a bar would end the table's cell."""


def page() -> str:
    """The whole page."""
    lines = [HEAD, "| function | defined for | largest error |", "|---|---|---|"]
    for shown, name in OPERATORS.items():
        lines.append(f"| {shown} | {domain(find(name))} | {error(find(name))} |")
    for name in sorted(n for n in [*BUILTINS, *SPECIALS] if not n.startswith("_")):
        if name in MADE:
            where, off = MADE[name]
        elif name in EXACT:
            where, off = "", "exact"
        else:
            record = find(SAME.get(name, name))
            where, off = domain(record), error(record)
        lines.append(f"| `{name}` | {where} | {off} |")
    return "\n".join(lines) + "\n" + TAIL


TAIL = """
Functions of `ml` and `stats` say in their own text (`dsl/library/`) what they are defined on and how exact they are.
"""


def error(record: Op) -> str:
    """Its own largest error, in words."""
    parts = [power(record.tolerance)] if record.tolerance else []
    parts += [f"{power(record.relative)} of r"] if record.relative else []
    return " + ".join(parts) or "exact"


def domain(record: Op) -> str:
    """Where it is stated, in words; empty: everywhere."""
    signed = {"div": ("x", BOTH.format("y")), "reciprocal": (BOTH.format("x"),)}
    names = signed.get(record.name, ("x", "y"))
    return ", ".join(filter(None, (_within(n, *d) for n, d in zip(names, record.domain, strict=False))))


def _within(name: str, lo: float, hi: float) -> str:
    if hi >= 2.0**61:
        return ""
    if lo == -hi:
        return f"{BOTH.format(name)} ≤ {power(hi)}"
    if lo > 0:
        return f"{power(lo)} ≤ {name} ≤ {power(hi)}"
    return f"{name} ≤ {power(hi)}" if lo < 0 else f"0 ≤ {name} ≤ {power(hi)}"


def power(x: float) -> str:
    """2^-15, or the number."""
    mantissa, exponent = math.frexp(x)
    return f"2^{exponent - 1}" if mantissa == 0.5 and exponent != 2 else f"{x:g}"
