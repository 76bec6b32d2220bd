"""The circuit: a list of vectorised operations in dependency order, and the builder that makes one.

A `Node` is one operation over whole arrays; its index in the circuit is its name.  Values are positional
(`src`), metadata is by keyword (`attrs`).  Loops stay rolled: a `loop` node holds its body as a circuit.
A circuit at the *surface* speaks of numbers (`mul`, `sigmoid`, `sort`); after `lower` it speaks of shares
(`mul_trunc`, `ltz`, `open`).  Both are `Circuit`s; `spec` says what is legal at each level.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mpc.types import BOOL, EVERYONE, INT, DType, Fixed, Shape, Size, Type, TypeRuleError, meet

__all__ = ["Array", "Attrs", "Builder", "Circuit", "Const", "Node", "Origin", "Value", "natural", "reachable"]

Array = npt.NDArray[Any]
Attrs = Mapping[str, Any]

FOLD_LIMIT = 1 << 20
"""Public results with more elements than this are computed at run time, not kept in the circuit's text."""


class Origin(NamedTuple):
    """Where in the user's text a node comes from; survives every pass.

    operator: of a query's plan, the number of the operator that it belongs to; 0 for none.
    """

    source: str
    start: int
    end: int
    operator: int = 0


def natural(dtype: DType) -> np.dtype[Any]:
    """The NumPy dtype of a clear value: int64, float64 or bool."""
    return np.dtype({"int": np.int64, "fixed": np.float64, "bool": np.bool_}[dtype.kind])


class Const:
    """A public array as an attribute: hashable by content, read-only."""

    __slots__ = ("_key", "array")

    def __init__(self, array: npt.ArrayLike) -> None:
        self.array: Array = np.ascontiguousarray(array).reshape(np.shape(array))
        self.array.setflags(write=False)
        self._key: bytes | None = None

    @property
    def key(self) -> bytes:
        """SHA-256 over dtype, shape and contents."""
        if self._key is None:
            a = self.array
            head = f"{a.dtype.str}{a.shape}".encode()
            self._key = hashlib.sha256(head + a.tobytes()).digest()
        return self._key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Const) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        if self.array.size <= 4:
            return repr(self.array.tolist())
        return f"<{self.array.dtype}{list(self.array.shape)} {self.key.hex()[:12]}>"


@dataclass(frozen=True, slots=True)
class Node:
    """One vectorised operation over whole arrays."""

    op: str
    src: tuple[int, ...]
    attrs: tuple[tuple[str, Hashable], ...]
    type: Type
    origin: Origin | None = field(default=None, compare=False)
    outs: tuple[Type, ...] = ()
    """Types of all results, for the few operations with several (`loop`, `sort_by`, `shuffle`): read with `item`."""

    def __getitem__(self, name: str) -> Any:
        for key, value in self.attrs:
            if key == name:
                return value
        raise KeyError(name)

    def get(self, name: str, default: Any = None) -> Any:
        """The attribute `name`, or `default`."""
        for key, value in self.attrs:
            if key == name:
                return value
        return default

    @property
    def types(self) -> tuple[Type, ...]:
        """Types of all results."""
        return self.outs or (self.type,)

    def text(self, index: int) -> str:
        """One line of the circuit's textual form."""
        args = " ".join(f"%{i}" for i in self.src)
        attrs = " ".join(f"{k}={v.digest[:12] if isinstance(v, Circuit) else v!r}" for k, v in self.attrs)
        types = ", ".join(map(str, self.types))
        return f"%{index} = {self.op} {args}{' {' + attrs + '}' if attrs else ''} : {types}"


@dataclass(frozen=True, eq=False)
class Circuit:
    """Nodes in dependency order and the indices of the results (for a loop's body: what it carries on)."""

    nodes: tuple[Node, ...]
    results: tuple[int, ...] = ()

    def __iter__(self) -> Iterator[tuple[int, Node]]:
        return enumerate(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def text(self) -> str:
        """The whole circuit as text, bodies of loops after their loop; stable, for golden files and the digest."""
        lines = []
        for index, node in self:
            lines.append(node.text(index))
            for key, value in node.attrs:
                if isinstance(value, Circuit):
                    lines += [f"    {key}: {line}" for line in value.text().splitlines()]
        lines.append("results " + " ".join(f"%{i}" for i in self.results))
        return "\n".join(lines) + "\n"

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the text, constants by content: what parties compare before a run."""
        state = hashlib.sha256()
        for index, node in self:
            state.update(node.text(index).encode())
            for _, value in node.attrs:
                if isinstance(value, Const):
                    state.update(value.key)
                elif isinstance(value, Circuit):
                    state.update(value.digest.encode())
        state.update(repr(self.results).encode())
        return state.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Circuit) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


def reachable(circuit: Circuit, roots: Iterable[int], stop: Container[int] = ()) -> set[int]:
    """The nodes that `roots` need, themselves included; not beyond those in `stop`."""
    seen: set[int] = set()
    todo = list(roots)
    while todo:
        i = todo.pop()
        if i not in seen:
            seen.add(i)
            if i not in stop:
                todo.extend(circuit.nodes[i].src)
    return seen


class Builder:
    """Makes a surface circuit: infers types, folds public constants, shares equal nodes.

    `lower` derives from it: the same algorithms written over `Value` then emit nodes on shares.
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.origin: Origin | None = None
        self._seen: dict[tuple[Hashable, ...], int] = {}
        self.found: dict[tuple[Hashable, ...], Any] = {}
        """What algorithms that draw at random have made, for later ones that need the same: see `by_bits`."""

    # -- nodes ---------------------------------------------------------------------------------

    def append(
        self,
        op: str,
        src: Iterable[Value],
        attrs: Attrs,
        types: Type | Sequence[Type],
        *,
        pure: bool = True,
    ) -> Value:
        """Add a node with the given result types, or find its equal.  Returns its first result."""
        first, outs = (types, ()) if isinstance(types, Type) else (types[0], tuple(types))
        sources = []
        for v in src:
            if v.builder is not self:
                raise AssertionError(f"{op}: an operand belongs to another circuit")
            sources.append(v.index)
        packed = tuple(sorted(attrs.items()))
        node = Node(op, tuple(sources), packed, first, self.origin, outs)
        key = (op, node.src, packed, first, outs)
        if pure and key in self._seen:
            return Value(self, self._seen[key])
        self.nodes.append(node)
        if pure:
            self._seen[key] = len(self.nodes) - 1
        return Value(self, len(self.nodes) - 1)

    def items(self, value: Value) -> tuple[Value, ...]:
        """All results of a node with several."""
        node = self.nodes[value.index]
        if not node.outs:
            return (value,)
        return tuple(self.append("item", (value,), {"index": i}, t) for i, t in enumerate(node.outs))

    def emit(self, op: str, *src: Value, **attrs: Any) -> Value:
        """Add the operation `op` on `src`.  TypeRuleError if its type rule refuses the operands."""
        from mpc.exact import unfit
        from mpc.op import find

        record = find(op)
        types = [v.type for v in src]
        result = record.infer(types, attrs)
        viewers = meet(t.seen_by for t in types)
        several = not isinstance(result, tuple)
        signatures = result if isinstance(result, list) else [result]
        outs = [Type(d, s, viewers) for d, s in signatures]
        if not several and src and record.ref is not None and self._foldable(outs[0], src):
            arrays = [v.constant for v in src]
            done = np.asarray(record.ref(*arrays, **attrs))
            if unfit(record, types, arrays, attrs, [done]) == [None]:
                return self.const(done, outs[0].dtype)
            self.overflows(op)
        return self.append(op, src, attrs, outs if several else outs[0], pure=record.pure)

    def overflows(self, op: str) -> None:
        """A public result does not fit: it is left to be computed, and an error where something needs it."""

    def emit_many(self, op: str, *src: Value, **attrs: Any) -> tuple[Value, ...]:
        """As `emit`, for an operation with several results."""
        return self.items(self.emit(op, *src, **attrs))

    def _foldable(self, out: Type, src: Sequence[Value]) -> bool:
        if any(v.node.op != "const" for v in src) or any(isinstance(d, Size) for d in out.shape):
            return False
        return int(np.prod(out.sizes, dtype=np.int64)) <= FOLD_LIMIT

    def const(self, array: npt.ArrayLike, dtype: DType | None = None) -> Value:
        """A public constant; `dtype` from the array's kind when not given."""
        a = np.asarray(array)
        if dtype is None:
            dtype = BOOL if a.dtype.kind == "b" else INT if a.dtype.kind in "iu" else Fixed()
        const = Const(a.astype(natural(dtype)))
        return self.append("const", (), {"value": const}, Type(dtype, const.array.shape, EVERYONE))

    @contextmanager
    def at(self, origin: Origin | None) -> Iterator[None]:
        """Nodes made inside bear this origin."""
        before, self.origin = self.origin, origin if origin is not None else self.origin
        try:
            yield
        finally:
            self.origin = before

    def finish(self, results: Iterable[Value] = ()) -> Circuit:
        """The circuit built so far."""
        return Circuit(tuple(self.nodes), tuple(v.index for v in results))


class Value:
    """A handle on one node of a circuit being built, with NumPy's operators.

    Composite operations are written over `Value`s once and serve every protocol.
    """

    __slots__ = ("builder", "index")

    def __init__(self, builder: Builder, index: int) -> None:
        self.builder = builder
        self.index = index

    @property
    def node(self) -> Node:
        """The node that makes this value."""
        return self.builder.nodes[self.index]

    @property
    def type(self) -> Type:
        """Its type."""
        return self.builder.nodes[self.index].type

    @property
    def shape(self) -> Shape:
        """Its shape."""
        return self.type.shape

    @property
    def dtype(self) -> DType:
        """Its element type."""
        return self.type.dtype

    @property
    def ndim(self) -> int:
        """Number of its axes."""
        return len(self.type.shape)

    @property
    def is_const(self) -> bool:
        """True if its contents are known while compiling."""
        return self.node.op == "const"

    @property
    def constant(self) -> Array:
        """The contents of a constant."""
        const = self.node["value"]
        assert isinstance(const, Const)
        return const.array

    # -- operators -----------------------------------------------------------------------------

    def lift(self, other: Value | float | bool | Array) -> Value:
        """`other` as a value of this circuit; a bare number takes this value's element type where it fits."""
        if isinstance(other, Value):
            return other
        array = np.asarray(other)
        if self.dtype.kind == "fixed" and array.dtype.kind in "iuf":
            return self.builder.const(array, self.dtype)
        return self.builder.const(array)

    def _two(self, op: str, other: Value | float | Array, swap: bool = False) -> Value:
        right = self.lift(other)
        pair = (right, self) if swap else (self, right)
        return self.builder.emit(op, *pair)

    def __add__(self, other: Value | float | Array) -> Value:
        return self._two("add", other)

    def __radd__(self, other: float | Array) -> Value:
        return self._two("add", other, swap=True)

    def __sub__(self, other: Value | float | Array) -> Value:
        return self._two("sub", other)

    def __rsub__(self, other: float | Array) -> Value:
        return self._two("sub", other, swap=True)

    def __mul__(self, other: Value | float | Array) -> Value:
        return self._two("mul", other)

    def __rmul__(self, other: float | Array) -> Value:
        return self._two("mul", other, swap=True)

    def __matmul__(self, other: Value | Array) -> Value:
        return self._two("matmul", other)

    def __neg__(self) -> Value:
        return self.builder.emit("neg", self)

    def __lt__(self, other: Value | float | Array) -> Value:  # type: ignore[misc]
        return self._two("lt", other)

    def __gt__(self, other: Value | float | Array) -> Value:  # type: ignore[misc]
        return self._two("lt", other, swap=True)

    def __ge__(self, other: Value | float | Array) -> Value:  # type: ignore[misc]
        return ~(self < other)

    def __le__(self, other: Value | float | Array) -> Value:  # type: ignore[misc]
        return ~(self > other)

    def equals(self, other: Value | float | Array) -> Value:
        """Element-wise equality, a truth value (`==` keeps Python's meaning for handles)."""
        return self._two("eq", other)

    def __and__(self, other: Value | bool | Array) -> Value:
        return self._two("and", other)

    def __or__(self, other: Value | bool | Array) -> Value:
        return self._two("or", other)

    def __xor__(self, other: Value | bool | Array) -> Value:
        return self._two("xor", other)

    def __invert__(self) -> Value:
        return self.builder.emit("not", self)

    def __bool__(self) -> bool:
        raise TypeError("the value of a circuit decides nothing in Python: use select()")

    def __getitem__(self, key: int | slice | tuple[int | slice, ...]) -> Value:
        """NumPy's basic indexing with whole numbers and slices."""
        keys = key if isinstance(key, tuple) else (key,)
        if len(keys) > self.ndim:
            raise TypeRuleError(f"{len(keys)} indices for an array of {self.ndim} axes")
        parts: list[tuple[int, int, int]] = []
        drop: list[int] = []
        for axis, (k, dim) in enumerate(zip(keys, self.type.sizes[: len(keys)], strict=True)):
            if isinstance(k, slice):
                parts.append(k.indices(dim))
                continue
            at = k + dim if k < 0 else k
            if not 0 <= at < dim:
                raise TypeRuleError(f"index {k} is outside an axis of size {dim}")
            parts.append((at, at + 1, 1))
            drop.append(axis)
        parts += [(0, dim, 1) for dim in self.type.sizes[len(keys) :]]
        whole = all(p == (0, d, 1) for p, d in zip(parts, self.type.sizes, strict=True))
        out = self if whole else self.builder.emit("slice", self, parts=tuple(parts))
        if drop:
            out = out.reshape(tuple(d for axis, d in enumerate(out.shape) if axis not in drop))
        return out

    # -- common shapes of work -----------------------------------------------------------------

    def reshape(self, shape: Shape) -> Value:
        """The same elements in another shape."""
        return self if shape == self.shape else self.builder.emit("reshape", self, shape=shape)

    def broadcast_to(self, shape: Shape) -> Value:
        """NumPy's broadcast_to."""
        return self if shape == self.shape else self.builder.emit("broadcast_to", self, shape=shape)

    def transpose(self, axes: tuple[int, ...] | None = None) -> Value:
        """NumPy's transpose."""
        order = tuple(reversed(range(self.ndim))) if axes is None else axes
        return self if order == tuple(range(self.ndim)) else self.builder.emit("transpose", self, axes=order)

    def sum(self, axis: int | None = None, keepdims: bool = False) -> Value:
        """Sum over one axis, or over all."""
        return self.builder.emit("sum", self, axis=axis, keepdims=keepdims)

    def to_int(self) -> Value:
        """A truth value as 0 or 1."""
        return self if self.dtype == INT else self.builder.emit("to_int", self)

    def to_fixed(self, frac: int | None = None) -> Value:
        """As fixed point; `frac` fraction bits (the default 16)."""
        wanted = Fixed() if frac is None else Fixed(frac)
        return self if self.dtype == wanted else self.builder.emit("to_fixed", self, frac=wanted.frac)

    def __repr__(self) -> str:
        return f"<{self.node.text(self.index)}>"
