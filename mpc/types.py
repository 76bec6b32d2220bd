"""What a value of a circuit is: element type, shape, who may see it, and how the machine holds it.

Types live in the circuit, never on run-time values: a value at run time is a bare ndarray.  Shapes may
hold symbolic sizes (`Size`) while a study is checked without its data; they are whole numbers once the
job's inputs are bound.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final, Literal, TypeAlias

__all__ = [
    "BOOL",
    "DEFAULT_FRAC",
    "EVERYONE",
    "INT",
    "NOBODY",
    "DType",
    "Dim",
    "Fixed",
    "Layout",
    "Narrow",
    "Shape",
    "ShapeError",
    "Size",
    "Type",
    "TypeRuleError",
    "Viewers",
    "broadcast_shapes",
    "count",
    "meet",
    "size_of",
    "viewers_text",
]

DEFAULT_FRAC: Final = 16
"""Fraction bits of `fixed` unless the job says otherwise."""


class TypeRuleError(ValueError):
    """An operation was given operands that its type rule refuses; the message is for the study's author."""


class ShapeError(TypeRuleError):
    """Shapes do not go together."""


class Size:
    """A size not yet known: a polynomial with whole coefficients over named sizes (`n`, `2*n + 1`, `n*m`)."""

    __slots__ = ("_terms",)

    def __init__(self, terms: Iterable[tuple[tuple[str, ...], int]]) -> None:
        self._terms = tuple(sorted((m, c) for m, c in terms if c))

    @classmethod
    def named(cls, name: str) -> Size:
        """The size called `name`."""
        return cls([((name,), 1)])

    @staticmethod
    def _combine(pairs: Iterable[tuple[tuple[str, ...], int]]) -> Dim:
        total: dict[tuple[str, ...], int] = {}
        for monomial, coefficient in pairs:
            total[monomial] = total.get(monomial, 0) + coefficient
        total = {m: c for m, c in total.items() if c}
        if not total:
            return 0
        if set(total) == {()}:
            return total[()]
        return Size(total.items())

    @staticmethod
    def _terms_of(value: Dim) -> tuple[tuple[tuple[str, ...], int], ...]:
        return value._terms if isinstance(value, Size) else (((), int(value)),)

    def __add__(self, other: Dim) -> Dim:
        return Size._combine([*self._terms, *Size._terms_of(other)])

    def __radd__(self, other: Dim) -> Dim:
        return self + other

    def __neg__(self) -> Dim:
        return Size._combine((m, -c) for m, c in self._terms)

    def __sub__(self, other: Dim) -> Dim:
        return Size._combine([*self._terms, *((m, -c) for m, c in Size._terms_of(other))])

    def __rsub__(self, other: Dim) -> Dim:
        return -(self - other)

    def __mul__(self, other: Dim) -> Dim:
        return Size._combine((tuple(sorted(m + w)), c * d) for m, c in self._terms for w, d in Size._terms_of(other))

    def __rmul__(self, other: Dim) -> Dim:
        return self * other

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Size) and self._terms == other._terms

    def __hash__(self) -> int:
        return hash(self._terms)

    def __str__(self) -> str:
        parts = []
        for monomial, coefficient in reversed(self._terms):
            factors = ([str(coefficient)] if coefficient != 1 or not monomial else []) + list(monomial)
            parts.append("*".join(factors))
        return " + ".join(parts).replace("+ -", "- ")

    __repr__ = __str__


Dim: TypeAlias = "int | Size"
Shape: TypeAlias = "tuple[Dim, ...]"


def count(shape: Sequence[Dim]) -> int:
    """Number of elements of a shape whose sizes are all known."""
    total = 1
    for dim in shape:
        if isinstance(dim, Size):
            raise ShapeError(f"the size {dim} is not known yet")
        total *= dim
    return total


def size_of(shape: Sequence[Dim]) -> Dim:
    """Number of elements of a shape, symbolic where the shape is."""
    total: Dim = 1
    for dim in shape:
        total = total * dim
    return total


def broadcast_shapes(*shapes: Shape) -> Shape:
    """NumPy's broadcasting, for symbolic sizes too: two sizes go together when equal or when one is 1."""
    rank = max((len(s) for s in shapes), default=0)
    out: list[Dim] = []
    for axis in range(rank):
        dim: Dim = 1
        for shape in shapes:
            at = axis - (rank - len(shape))
            if at < 0 or shape[at] == 1:
                continue
            if dim == 1:
                dim = shape[at]
            elif dim != shape[at]:
                listed = " and ".join(shape_text(s) for s in shapes)
                raise ShapeError(f"shapes {listed} do not go together")
        out.append(dim)
    return tuple(out)


def shape_text(shape: Shape) -> str:
    """`[n, 4]`, or `a single value`."""
    return "[" + ", ".join(map(str, shape)) + "]" if shape else "a single value"


Viewers: TypeAlias = "frozenset[str] | None"
EVERYONE: Final[Viewers] = None
NOBODY: Final[frozenset[str]] = frozenset()


def meet(viewers: Iterable[Viewers]) -> Viewers:
    """Who may see a result: those who see all of its operands."""
    out: Viewers = EVERYONE
    for v in viewers:
        if v is not None:
            out = v if out is None else out & v
    return out


def viewers_text(viewers: Viewers) -> str:
    """`public`, `secret`, or the names of those who see it."""
    if viewers is None:
        return "public"
    return f"seen by {', '.join(sorted(viewers))}" if viewers else "secret"


@dataclass(frozen=True, slots=True)
class DType:
    """Element type: a whole number, a fixed-point number with `frac` fraction bits, or a truth value.

    bits: the width of its ring, 64 but for *narrow* whole numbers, which only shares and what is encoded to meet them
    are: row numbers, destinations, counts and flags inside an algorithm.
    """

    kind: Literal["int", "fixed", "bool"]
    frac: int = 0
    bits: int = 64

    @property
    def narrow(self) -> bool:
        """Whether the ring is smaller than Z_2^64."""
        return self.bits < 64

    def __str__(self) -> str:
        if self.narrow:
            return f"{self.kind}{self.bits}"
        return self.kind if self.kind != "fixed" or self.frac == DEFAULT_FRAC else f"fixed({self.frac})"


INT: Final = DType("int")
BOOL: Final = DType("bool")


def Narrow(bits: int) -> DType:  # noqa: N802 - reads as a type
    """Whole numbers modulo 2^bits, 1 <= bits <= 64; INT itself for 64."""
    if not 1 <= bits <= 64:
        raise ValueError(f"a ring has 1 to 64 bits, not {bits}")
    return DType("int", bits=bits)


def Fixed(frac: int = DEFAULT_FRAC) -> DType:  # noqa: N802 - reads as a type
    """Fixed point with `frac` fraction bits."""
    return DType("fixed", frac)


class Layout(Enum):
    """How the machine holds a value; set by lowering, `CLEAR` before it.

    CLEAR: the plain value, a NumPy array in natural units (int64, float64, bool), at those who may see it.
    RING:  a clear value already encoded as ring elements (the narrowest unsigned type), ready to meet shares.
    ARITH: additive or replicated shares over Z_2^bits: array (k, *shape) of the narrowest unsigned type, uint64 mostly.
    BITS:  shares over Z_2 of a truth value: uint8 array (k, *shape) of 0 and 1.
    MASKED: array (2, *shape) of a ring's type: this node's share of a mask, and the value less the mask, which all
            nodes know.  Made and used by protocols that have such values (`Scheme.prepare`), never by lowering.
    """

    CLEAR = "clear"
    RING = "ring"
    ARITH = "arith"
    BITS = "bits"
    MASKED = "masked"


@dataclass(frozen=True, slots=True)
class Type:
    """Element type, shape, viewers and layout of one value of a circuit."""

    dtype: DType
    shape: Shape = ()
    seen_by: Viewers = EVERYONE
    layout: Layout = field(default=Layout.CLEAR)

    @property
    def secret(self) -> bool:
        """True if no party may see the value."""
        return self.seen_by is not None and not self.seen_by

    @property
    def shared(self) -> bool:
        """True if the value is held in shares, whatever their form."""
        return self.layout in (Layout.ARITH, Layout.BITS, Layout.MASKED)

    @property
    def public(self) -> bool:
        """True if everyone may see the value."""
        return self.seen_by is None

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements, when all of the shape is known; ShapeError otherwise."""
        return count(self.shape)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The shape, when all of it is known; ShapeError otherwise."""
        count(self.shape)
        return tuple(d for d in self.shape if isinstance(d, int))

    def with_(self, *, dtype: DType | None = None, shape: Shape | None = None, layout: Layout | None = None) -> Type:
        """This type with some parts replaced."""
        return replace(
            self,
            dtype=self.dtype if dtype is None else dtype,
            shape=self.shape if shape is None else shape,
            layout=self.layout if layout is None else layout,
        )

    def seen(self, viewers: Viewers) -> Type:
        """This type, seen by `viewers`."""
        return replace(self, seen_by=viewers)

    def __str__(self) -> str:
        shape = "[" + ", ".join(map(str, self.shape)) + "]" if self.shape else ""
        layout = "" if self.layout is Layout.CLEAR else f" {self.layout.value}"
        return f"{self.dtype}{shape} {viewers_text(self.seen_by)}{layout}"
