"""What is known of how exact a value is, and the rules: from the errors of operands to that of the result.

For: `Known`, `Reason`, `Use`, `rule` (enters one), `RULES`.
Leaves to others: the rules themselves (one topic a file), the walk over a circuit (`walk`).

The error of a value is the difference between what a run computes and exact arithmetic on the numbers as they were
read, in double precision: a number that is shared is off by up to half a unit of its type, 2^-17 of a `fixed`.  It is
the largest error over all values that the declared ranges allow.  Where something is compared that has an error, the
other side may be taken: what follows is said under the condition that nothing compared lies so near to equal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, TypeVar

from mpc.circuit import Node, Origin
from mpc.op import Interval, find
from mpc.types import DEFAULT_FRAC, Size

__all__ = ["DOUBLE", "RULES", "Claim", "Known", "Reason", "Rule", "Unknown", "Use", "Weight", "going_in", "rule"]

DOUBLE: Final = 2.0**-52
"""What an operation in the clear is off by, relative to its result: twice the rounding of double precision."""


class Reason(NamedTuple):
    """Why there is no bound. text: in words; origin: of the operation or input that lacks it; grown: there would be
    one, but it says nothing."""

    text: str
    origin: Origin | None
    grown: bool = False


class Unknown(Exception):  # noqa: N818 - no error: a rule has no answer
    """A rule cannot say how large an error is."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.text)
        self.reason = reason


class Weight(NamedTuple):
    """That a value is a sum over rows, or their number.

    rows: which, by the nodes that say so. each: the largest error of a row. range: all that a row may be. more: what
    the sum is off by beside its rows. number: it is how many they are.
    """

    rows: frozenset[tuple[object, ...]]
    each: float
    range: Interval | None
    more: float = 0.0
    number: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a value, in natural units.

    range: all that it may be, as computed and exactly; None: `open` says why nothing is known. error: the largest
    absolute error; None: `why` says why there is no bound. near: the condition of what is said: nothing that was
    compared on the way lies so near to equal (0: no condition). seen: the range that lowering knows too, which decides
    how exact public factors are. grid: a multiple of its type's unit, so that sharing it costs nothing. unit: what a
    whole number counts, which conditions are said in: 1, or that of a fixed-point number.
    """

    range: Interval | None = None
    error: float | None = 0.0
    near: float = 0.0
    why: Reason | None = None
    open: Reason | None = None
    seen: Interval | None = None
    grid: bool = False
    unit: float = 1.0
    weight: Weight | None = None


class Claim(NamedTuple):
    """What a rule says where it is more than an error.

    near: a further condition. range: a narrower range than that of the operation's record. weight: of a sum over rows.
    of: the operand whose entries, or zeros, or sums, these are: other operands' conditions count as far as `near` says.
    """

    error: float
    near: float = 0.0
    range: Interval | None = None
    weight: Weight | None = None
    of: int | None = None


Rule = Callable[["Use"], "float | Claim | Sequence[Claim | Reason]"]
"""What an operation makes of its operands.  With one result, all operands have a bound; with several, some may have
none, and neither have the results that they become.  Raises Unknown."""

RULES: Final[dict[str, Rule]] = {}
F = TypeVar("F", bound=Rule)


def rule(*names: str) -> Callable[[F], F]:
    """Enter a rule for operations."""

    def enter(f: F) -> F:
        for name in names:
            assert name not in RULES, name
            RULES[name] = f
        return f

    return enter


def going_in(known: Known, node: Node) -> Known:
    """What a value is as an operand on shares: a `fixed` in the clear is encoded, off by up to half a unit."""
    if known.error is None or known.grid or node.type.secret or node.type.dtype.kind != "fixed":
        return known
    half, weight = 2.0 ** -(node.type.dtype.frac + 1), known.weight
    weight = None if weight is None else weight._replace(more=weight.more + half)
    return replace(known, error=known.error + half, grid=True, weight=weight)


@dataclass(slots=True)
class Use:
    """One operation in its circuit.

    src: what is known of its operands as they go in, those that are shared for it shared; nodes: the operands' nodes.
    circuit, values: all nodes, and what is known of those before. ranges: of its results, by its record. firm: lowering
    knows the ranges that `seen` says. factors: for shares that are others times a public number, those and the number.
    """

    index: int
    node: Node
    src: tuple[Known, ...]
    nodes: tuple[Node, ...]
    circuit: Sequence[Node]
    values: Sequence[tuple[Known, ...]]
    ranges: tuple[Interval | None, ...]
    firm: bool
    factors: dict[int, tuple[int, float]]

    @property
    def clear(self) -> bool:
        """Whether somebody computes it in the clear, in double precision."""
        return not self.node.type.secret

    @property
    def floats(self) -> bool:
        """Whether its result is a number with fraction that is computed in double precision."""
        return self.clear and self.node.type.dtype.kind == "fixed"

    @property
    def unit(self) -> float:
        """The unit of the result's type; 0 of whole numbers."""
        return 2.0**-self.node.type.dtype.frac if self.node.type.dtype.kind == "fixed" else 0.0

    @property
    def rough(self) -> float:
        """How many times the largest error that a record states for 16 fraction bits, with those of the result.

        Fewer bits have larger units; with more, a polynomial is left that was fitted for 16.
        """
        frac = self.node.type.dtype.frac
        return 1.0 if frac == DEFAULT_FRAC else max(2.0, 2.0 ** (DEFAULT_FRAC - frac))

    def error(self, k: int) -> float:
        """The largest error of operand k.  Raises Unknown."""
        error = self.src[k].error
        if error is None:
            raise Unknown(self.src[k].why or Reason("nothing is known of an error", self.node.origin))
        return error

    @property
    def errors(self) -> list[float]:
        """Those of all operands.  Raises Unknown."""
        return [self.error(k) for k in range(len(self.src))]

    def unknown(self, text: str) -> Unknown:
        """That there is no bound, because of this operation."""
        return Unknown(Reason(text, self.node.origin))

    def range(self, k: int) -> Interval:
        """The range of operand k.  Raises Unknown."""
        known = self.src[k].range
        if known is None:
            raise Unknown(self.src[k].open or Reason("nothing is known of a range", self.node.origin))
        return known

    def size(self, k: int) -> float:
        """The largest magnitude of operand k.  Raises Unknown."""
        return self.range(k).magnitude

    def out(self) -> float:
        """The largest magnitude of the result.  Raises Unknown."""
        known = self.ranges[0]
        if known is not None:
            return known.magnitude
        why = next((s.open for s in self.src if s.range is None and s.open is not None), None)
        raise Unknown(why or Reason(f"nothing is known of the range of {self.node.op}", self.node.origin))

    def rounding(self, n: int = 1) -> float:
        """What n steps of double precision add where the result is computed in the clear, else 0.  Raises Unknown."""
        return n * self.out() * DOUBLE if self.floats else 0.0

    def own(self) -> float:
        """What the operation adds to the errors of its operands, by its record.  Raises Unknown."""
        if self.clear:
            return self.rounding(4)
        record = find(self.node.op)
        relative = record.relative * self.out() if record.relative else 0.0
        return record.tolerance * self.rough + relative

    def count(self, axis: int | None) -> int:
        """How many elements of the first operand there are along an axis, or in all.  Raises Unknown."""
        shape, n = self.nodes[0].type.shape, 1
        for dim in shape if axis is None else (shape[axis],):
            if isinstance(dim, Size):
                raise self.unknown("how many numbers are added is not known yet: give --data or --size")
            n *= dim
        return n
