"""The catalogue: one record for each operation of the surface language.

A record says all there is to say of an operation: its type rule, its definition in the clear (`ref`, which is
the plain protocol, the constant folder, what a private value costs, and the reference of every test), how it is
computed on shares (`expand`, over `Value`s; the few operations that `lower` maps straight onto protocol
primitives have none), the interval of its result, its domain and its largest error.
A composite operation is one function under `@op` in one file of `mpc/circuits/`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np

from mpc.circuit import Attrs, Origin, Value
from mpc.types import BOOL, INT, DType, Fixed, Shape, Type, TypeRuleError, Viewers, broadcast_shapes

__all__ = [
    "Interval",
    "Op",
    "OutsideError",
    "OverflowsError",
    "Signature",
    "boolean",
    "catalogue",
    "elementwise",
    "find",
    "numeric",
    "op",
    "register",
    "same",
    "widened",
]

Signature = tuple[DType, Shape]
Infer = Callable[[Sequence[Type], Attrs], "Signature | list[Signature]"]

P = ParamSpec("P")
R = TypeVar("R")


class OutsideError(IndexError):
    """A definition (`Op.ref`) got an index outside its axis; whoever computed with it says where, in `origin`."""

    origin: Origin | None = None


class OverflowsError(ArithmeticError):
    """Something depends on a whole number beyond 64 bits: a result of `op` at `origin`, which `viewers` see."""

    def __init__(self, op: str, viewers: Viewers, origin: Origin | None) -> None:
        self.op = op
        self.viewers = viewers
        self.origin = origin
        super().__init__(f"a result of {op} does not fit into 64 bits")


class Interval(NamedTuple):
    """All that a value may be, in natural units; None in its place means: not known, taken to fit its type."""

    lo: float
    hi: float

    @property
    def magnitude(self) -> float:
        """The largest absolute value."""
        return max(abs(self.lo), abs(self.hi))


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """One operation."""

    name: str
    infer: Infer
    """(types, attrs) -> (element type, shape), or a list of them for several results.  Viewers follow by themselves."""
    ref: Callable[..., Any] | None
    """NumPy on natural arrays (int64, float64, bool): the definition."""
    expand: Callable[..., Any] | None = None
    """On shares, over `Value`s; None: `lower` knows the primitive."""
    bound: Callable[[Sequence[Interval | None], Sequence[Type], Attrs], Interval | None] | None = None
    """Interval of the result from those of the operands."""
    wide: Callable[..., Any] | None = None
    """`ref` in floating point, within 2^61, if whole numbers that it gives may be beyond 64 bits: to find these."""
    domain: tuple[tuple[float, float], ...] = ()
    """For each operand, the interval (natural units) in which `tolerance` holds; empty: the whole type."""
    tolerance: float = 0.0
    """Largest absolute error over the domain, with 16 fraction bits; 0: exact."""
    relative: float = 0.0
    """Largest error relative to the result, beside `tolerance`."""
    pure: bool = True
    """Equal operands give equal results, so two of it may be one."""
    doc: str = ""


_CATALOGUE: dict[str, Op] = {}


def register(record: Op) -> Op:
    """Add a record; a name is given once."""
    if record.name in _CATALOGUE:
        raise AssertionError(f"the operation {record.name} is defined twice")
    _CATALOGUE[record.name] = record
    return record


def find(name: str) -> Op:
    """The record of `name`."""
    import mpc.circuits  # noqa: F401 - fills the catalogue on first use

    return _CATALOGUE[name]


def catalogue() -> dict[str, Op]:
    """All operations by name."""
    import mpc.circuits  # noqa: F401

    return dict(_CATALOGUE)


def op(
    name: str,
    *,
    infer: Infer,
    ref: Callable[..., Any],
    bound: Callable[[Sequence[Interval | None], Sequence[Type], Attrs], Interval | None] | None = None,
    domain: tuple[tuple[float, float], ...] = (),
    tolerance: float = 0.0,
    relative: float = 0.0,
    pure: bool = True,
    wide: Callable[..., Any] | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Enter a composite operation into the catalogue.

    The decorated function computes it on shares: positional `Value`s, keyword attributes.  The name it leaves
    behind in its module *emits* the operation instead, so that composites may call one another.
    """

    def wrap(expand: Callable[P, R]) -> Callable[P, R]:
        register(
            Op(
                name=name,
                infer=infer,
                ref=ref,
                expand=expand,
                bound=bound,
                domain=domain,
                tolerance=tolerance,
                relative=relative,
                pure=pure,
                wide=wide,
                doc=expand.__doc__ or "",
            )
        )

        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            values = [a for a in args if isinstance(a, Value)]
            if len(values) != len(args):
                raise AssertionError(f"{name}: operands are values, attributes go by keyword")
            out = values[0].builder.emit(name, *values, **kwargs)
            return out if not out.node.outs else out.builder.items(out)  # type: ignore[return-value]

        call.__doc__ = expand.__doc__
        call.__name__ = name
        return call

    return wrap


def widened(ref: Callable[..., Any]) -> Callable[..., Any]:
    """A definition with all operands in floating point, for `Op.wide`."""

    def wide(*src: Any, **attrs: Any) -> Any:
        return ref(*(np.asarray(x, np.float64) for x in src), **attrs)

    return wide


# -- common type rules -------------------------------------------------------------------------


def _kinds(types: Sequence[Type]) -> str:
    return " and ".join(t.dtype.kind for t in types)


def same(types: Sequence[Type], attrs: Attrs) -> Signature:  # noqa: ARG001
    """One operand; the result is like it."""
    return types[0].dtype, types[0].shape


def boolean(types: Sequence[Type], attrs: Attrs) -> Signature:  # noqa: ARG001
    """Truth values, broadcast; the result is a truth value."""
    if any(t.dtype != BOOL for t in types):
        raise TypeRuleError(f"expects truth values, not {_kinds(types)}")
    return BOOL, broadcast_shapes(*(t.shape for t in types))


def numeric(types: Sequence[Type], attrs: Attrs) -> Signature:  # noqa: ARG001
    """Numbers of one element type, broadcast; `int` beside `fixed` gives `fixed`."""
    kinds = {t.dtype.kind for t in types}
    if "bool" in kinds:
        raise TypeRuleError(f"expects numbers, not {_kinds(types)}")
    shape = broadcast_shapes(*(t.shape for t in types))
    if kinds == {"int"}:
        return INT, shape
    return Fixed(max(t.dtype.frac for t in types)), shape


def elementwise(types: Sequence[Type], attrs: Attrs) -> Signature:
    """One number each; the result is fixed point."""
    dtype, shape = numeric(types, attrs)
    return (dtype if dtype.kind == "fixed" else Fixed()), shape
