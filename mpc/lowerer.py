"""The builder that lowers: a surface operation comes out as primitives on shares.

`Lowerer` is a `Builder` whose `emit` does not add the surface operation but what computes it: a clear value is
computed in the clear by whoever sees it; a secret one becomes primitives (`mul_trunc`, `ltz`, `b2a`, …) by the rules
of `rules.py` or, for a composite operation, by its own `expand`, written over the same `Value`s.  Lowering knows no
protocol: every protocol does all primitives.  It needs the names of the compute nodes, since what is opened inside an
algorithm (the shuffled places of a sort) is seen by them alone.

Ranges: each value may have an `Interval` in natural units, which follows from declared ranges.  It narrows
comparisons; where it exceeds what the ring holds, `RangeOverflowError`; where nothing is known, an `Assumption` is
listed.

The ring is Z_2^64, two's complement.  `int` fills it; `fixed` stays within +-2^62 units (2^46 at 16 fraction bits), so
that the difference of any two values has a sign; a product before its truncation stays within +-2^62 too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from mpc.boolean import in_chain, sparseness
from mpc.circuit import Builder, Origin, Value
from mpc.link import NEAR
from mpc.op import Interval, Op, find
from mpc.quicksort import Stage
from mpc.types import (
    BOOL,
    DEFAULT_FRAC,
    EVERYONE,
    INT,
    NOBODY,
    DType,
    Fixed,
    Layout,
    Narrow,
    Shape,
    Type,
    broadcast_shapes,
    count,
    meet,
)

__all__ = ["ROOM", "RULES", "STRUCTURAL", "Assumption", "Lowerer", "RangeOverflowError", "Rule", "is_share", "low"]

ROOM = 62
"""Bits of magnitude that a fixed-point value, or a product before its truncation, may take."""

STRUCTURAL = frozenset(
    ["reshape", "broadcast_to", "transpose", "slice", "dynamic_slice", "take", "concat", "update", "dynamic_update"]
)


class Assumption(NamedTuple):
    """Something that the compiler could not prove from declared ranges and takes for granted."""

    origin: Origin | None
    op: str
    limit_bits: int | None = None
    """The value's magnitude is taken to stay below 2^limit_bits in natural units; None: `op` says what is taken."""

    @property
    def text(self) -> str:
        """What is taken for granted, in words."""
        return self.op if self.limit_bits is None else f"{self.op} stays below 2^{self.limit_bits} in magnitude"


class RangeOverflowError(ValueError):
    """A value's declared range exceeds what the ring can hold."""

    def __init__(self, origin: Origin | None, op: str, interval: Interval, limit: float) -> None:
        self.origin = origin
        self.op = op
        self.interval = interval
        self.limit = limit
        super().__init__(
            f"the result of {op} may be anything from {interval.lo:.6g} to {interval.hi:.6g}, "
            f"and at most {limit:.6g} in magnitude fits"
        )


class Lowerer(Builder):
    """A builder whose operations come out as primitives on shares."""

    def __init__(
        self, nodes: Sequence[str], parent: Lowerer | None = None, carried: int = 0, round_bytes: int = NEAR
    ) -> None:
        super().__init__()
        self.round_bytes: int = parent.round_bytes if parent else round_bytes
        """What a round counts beside bytes: `mpc.link`."""
        self.names = tuple(nodes)
        self.parent = parent
        self.carried = carried
        """In a loop's body: how many parameters after the index change from one iteration to the next."""
        self.ranges: dict[int, Interval] = {}
        self.assumptions: list[Assumption] = parent.assumptions if parent else []
        self.factors: dict[int, tuple[Value, float]] = {}
        """For a share that is another one times a public number: that one and the number."""
        self.hoisted: list[tuple[Value, Value]] = []
        """In a loop's body: (clear parameter, its shared twin), for values shared once before the loop."""

    # -- ranges --------------------------------------------------------------------------------

    def range(self, x: Value) -> Interval | None:
        """What is known of x's values, in natural units."""
        if x.is_const and x.dtype != BOOL:
            c = x.constant
            if not c.size:
                return Interval(0, 0)
            # Not every number is on the grid: half a unit more either way.
            slack = 2.0 ** -(x.dtype.frac + 1) if x.dtype.kind == "fixed" and not np.array_equal(c, np.rint(c)) else 0
            return Interval(c.min().item() - slack, c.max().item() + slack)
        if x.dtype == BOOL:
            return Interval(0, 1)
        return self.ranges.get(x.index)

    def know(self, x: Value, interval: Interval | None) -> Value:
        """Note what is known of x; narrower than before, never wider."""
        if interval is not None and math.isfinite(interval.lo) and math.isfinite(interval.hi):
            old = self.ranges.get(x.index)
            if old is not None:
                interval = Interval(max(old.lo, interval.lo), min(old.hi, interval.hi))
            self.ranges[x.index] = interval
        return x

    def raw_bits(self, x: Value) -> int | None:
        """Bits of magnitude of x in ring units (|raw| <= 2^bits), when known."""
        interval = self.range(x)
        if interval is None:
            return None
        units = math.ceil(interval.magnitude * (1 << x.dtype.frac))
        return max(int(units), 1).bit_length()

    def width(self, x: Value) -> int:
        """Width in which x is a signed number: 64 when nothing is known."""
        bits = self.raw_bits(x)
        return 64 if bits is None else min(bits + 1, 64)

    def fits(self, what: str, interval: Interval | None, frac: int, *, bits: int = ROOM, noted: bool = True) -> None:
        """Error if `interval` at `frac` fraction bits exceeds +-2^bits units; when unknown, an assumption to note."""
        limit = 2.0 ** (bits - frac)
        if interval is None:
            if noted:
                self.assumptions.append(Assumption(self.origin, what, bits - frac))
        elif interval.hi >= limit or interval.lo < -limit:
            raise RangeOverflowError(self.origin, what, interval, limit)

    def taken(self, what: str) -> None:
        """Note something other than a magnitude that is taken for granted."""
        self.assumptions.append(Assumption(self.origin, what))

    # -- emitting ------------------------------------------------------------------------------

    def emit(self, op: str, *src: Value, **attrs: Any) -> Value:
        """Compute `op`: in the clear where someone sees all operands, by primitives otherwise."""
        record = find(op)
        clear = all(v.type.layout is Layout.CLEAR for v in src)
        viewers = meet(v.type.seen_by for v in src)
        if clear and (viewers is None or viewers) and op != "open":
            out = super().emit(op, *src, **attrs)
        else:
            out = self._secret(record, src, attrs)
        if record.bound is not None and not out.is_const:
            interval = record.bound([self.range(v) for v in src], [v.type for v in src], attrs)
            self.know(out, self._loosened(record, out, interval))
        return out

    def _loosened(self, record: Op, out: Value, interval: Interval | None) -> Interval | None:
        """Bounds of approximations allow for 16 fraction bits; with others, some more units and a part of the value."""
        rough = record.expand is not None and (record.tolerance or record.relative)
        if interval is None or not rough or out.dtype.kind != "fixed" or out.dtype.frac == DEFAULT_FRAC:
            return interval
        slack = 2.0 ** (2 - out.dtype.frac) + interval.magnitude * 2.0**-8
        return Interval(interval.lo - slack, interval.hi + slack)

    def _secret(self, record: Op, src: Sequence[Value], attrs: dict[str, Any]) -> Value:
        operands = [v if v.type.public or v.type.layout is not Layout.CLEAR else self.shared(v) for v in src]
        ring = _narrow_ring(record.name, operands)
        if ring is not None:
            return self._in_ring(record, operands, attrs, ring)
        infer = record.infer([v.type for v in operands], attrs)
        rule = RULES.get(record.name)
        if rule is not None:
            assert isinstance(infer, tuple)
            done = rule(self, operands, attrs, infer[0], infer[1])
            if done is not None:
                return done
        if record.expand is None:
            raise AssertionError(f"{record.name} has neither a rule nor an expansion")
        result = record.expand(*operands, **attrs)
        if isinstance(result, Value):
            return result
        return self.bundle(result)

    def _in_ring(self, record: Op, operands: Sequence[Value], attrs: dict[str, Any], ring: DType) -> Value:
        """An operation on narrow shares, whose type rule speaks of whole numbers of any width."""
        types = [v.type.with_(dtype=INT) if v.dtype.narrow else v.type for v in operands]
        signature = record.infer(types, attrs)
        assert isinstance(signature, tuple)
        done = RULES[record.name](self, operands, attrs, ring, signature[1])
        assert done is not None
        return done

    def bundle(self, values: Sequence[Value]) -> Value:
        """Several values as one node, to be read with `items`."""
        return self.append("bundle", values, {}, [v.type for v in values])

    def items(self, value: Value) -> tuple[Value, ...]:
        """All results; those of a bundle are the values themselves."""
        node = self.nodes[value.index]
        if node.op == "bundle":
            return tuple(Value(self, i) for i in node.src)
        return super().items(value)

    def on_shares(self, op: str, src: Sequence[Value], attrs: dict[str, Any], dtype: DType, shape: Shape) -> Value:
        """Add a primitive or local kernel whose result is a share."""
        return self.append(op, src, attrs, Type(dtype, shape, NOBODY, Layout.BITS if dtype == BOOL else Layout.ARITH))

    # -- between clear and shared --------------------------------------------------------------

    def encode(self, x: Value, frac: int, bits: int = 64) -> Value:
        """A clear value as elements of Z_2^bits with `frac` fraction bits (uint8 0/1 for truth values)."""
        dtype = BOOL if x.dtype == BOOL else (Fixed(frac) if frac or x.dtype.kind == "fixed" else Narrow(bits))
        out = Type(dtype, x.shape, x.type.seen_by, Layout.RING)
        return self.append("encode", (x,), {"frac": frac}, out)

    def shared(self, x: Value) -> Value:
        """x as a share: a private value is shared by its owner, a public one is a constant share."""
        t = x.type
        if t.shared:
            return x
        twin = self._twin(x)
        if twin is not None:
            return twin
        ring = self.encode(x, t.dtype.frac)
        if t.seen_by is None or t.seen_by >= set(self.names):
            out = self.on_shares("constant", (ring,), {}, t.dtype, t.shape)
        else:
            owner = min(t.seen_by)
            out = self.on_shares("share", (ring,), {"owner": owner}, t.dtype, t.shape)
        return self.know(out, self.ranges.get(x.index))

    def narrow(self, x: Value, bits: int) -> Value:
        """x as a share over Z_2^bits: a share of whole numbers, a public one, or a truth value.

        Of a number its low bits are kept, which is free and commutes with sums and products: what comes out right mod
        2^bits may wrap on the way, and may have wrapped before.  A truth value takes the rounds of `b2a`, and fewer
        bytes than in Z_2^64; in Z_2 it is free.  The ways back: `widen`, `parity`, to open it.
        """
        dtype = Narrow(bits)
        if x.dtype == dtype and is_share(x):
            return x
        if x.dtype == BOOL and bits == 1:
            return self.on_shares("narrow", (self.shared(x),), {}, dtype, x.shape)
        if x.dtype == BOOL:
            return self.on_shares("b2a", (self.shared(x),), {"width": bits} if dtype.narrow else {}, dtype, x.shape)
        if x.dtype.kind != "int" or x.dtype.bits < bits:
            raise AssertionError(f"{x.dtype} cannot be brought to {bits} bits")
        if x.type.public:
            out = self.on_shares("constant", (self.encode(x, 0, bits),), {}, dtype, x.shape)
        else:
            out = self.on_shares("narrow", (self.shared(x),), {}, dtype, x.shape)
        return self.know(out, self.range(x))

    def parity(self, x: Value) -> Value:
        """The lowest ring bit of a share of numbers of any ring, a truth value: free, since sums mod 2 are xors."""
        return self.on_shares("parity", (x,), {}, BOOL, x.shape)

    def _twin(self, x: Value) -> Value | None:
        """Inside a loop: the share of a private value that comes from outside, made once before the loop."""
        if self.parent is None or x.type.seen_by is None:
            return None
        node = x.node
        if node.op == "param" and node["index"] > self.carried:
            for clear, twin in self.hoisted:
                if clear.index == x.index:
                    return twin
            layout = Layout.BITS if x.dtype == BOOL else Layout.ARITH
            attrs = {"index": -1 - len(self.hoisted)}
            twin = self.append("param", (), attrs, Type(x.dtype, x.shape, NOBODY, layout))
            self.know(twin, self.ranges.get(x.index))
            self.hoisted.append((x, twin))
            return twin
        if node.op in STRUCTURAL and node.src:
            first = Value(self, node.src[0])
            if self._twin(first) is None:
                return None
            rest = [Value(self, i) for i in node.src[1:]]
            return self.emit(node.op, self.shared(first), *rest, **dict(node.attrs))
        return None

    def decode(self, x: Value) -> Value:
        """Ring elements back in natural units: whole numbers of any ring as signed ones."""
        dtype = INT if x.dtype.narrow else x.dtype
        return self.append("decode", (x,), {"frac": x.dtype.frac}, x.type.with_(dtype=dtype, layout=Layout.CLEAR))

    def deliver(self, x: Value, to: tuple[str, ...] | None) -> Value:
        """x in the clear at `to` (None: everyone): the only way in which anything is opened by name."""
        t = x.type
        viewers = EVERYONE if to is None else frozenset(to)
        if t.layout is Layout.CLEAR:
            if t.seen_by is None or (viewers is not None and viewers <= t.seen_by):
                return x
            told = {"owner": min(t.seen_by), "to": to}
            return self.append("tell", (x,), told, t.seen(viewers))
        ring = self.append("open", (x,), {"to": to}, Type(t.dtype, t.shape, viewers, Layout.RING))
        return self.know(self.decode(ring), self.range(x))

    def open_to_nodes(self, x: Value) -> Value:
        """x in the clear at the compute nodes, inside an algorithm whose security argument allows it."""
        return self.deliver(x, self.names)

    def order_to_nodes(self, bits: Value, stages: Sequence[Stage]) -> Value:
        """The places of rows in ascending order, (n,), in the clear at the nodes; bits (n, width), lowest first.

        The rows are distinct numbers, and have just been moved by a fresh permutation: see `Player.order`.
        """
        t = Type(INT, bits.shape[:1], frozenset(self.names))
        return self.append("order", (bits,), {"stages": tuple(stages)}, t, pure=False)

    # -- primitives for composite operations ----------------------------------------------------

    def view(self, x: Value, dtype: DType) -> Value:
        """The same ring elements read as another number type (units of a fixed-point value as whole numbers)."""
        return x if x.dtype == dtype else self.on_shares("view", (x,), {}, dtype, x.shape)

    def trunc(self, x: Value, m: int, dtype: DType) -> Value:
        """x / 2^m in ring units, to a neighbour, read as `dtype`."""
        return x if m == 0 else self.on_shares("trunc", (x,), {"m": m}, dtype, x.shape)

    def shift(self, x: Value, m: int, width: int, dtype: DType) -> Value:
        """floor(x / 2^m) in ring units, exactly, for a signed number of `width` bits."""
        return x if m == 0 else self.on_shares("shift", (x,), {"m": m, "width": width}, dtype, x.shape)

    def ltz(self, x: Value, width: int | None = None) -> Value:
        """[x < 0] for a signed number of `width` ring bits (what is known of x when not given)."""
        chained = in_chain((width or self.width(x)) - 1, count(x.type.sizes), self.round_bytes)
        return self.on_shares("ltz", (x,), {"width": width or self.width(x), "in_chain": chained}, BOOL, x.shape)

    def eqz(self, x: Value, width: int | None = None) -> Value:
        """[x = 0]."""
        return self.on_shares("eqz", (x,), {"width": width or self.width(x)}, BOOL, x.shape)

    def bits(self, x: Value, width: int) -> Value:
        """The low `width` ring bits of x along a new last axis, lowest first; one alone is free."""
        if width == 1:
            return self._padded(self.parity(x), (*x.shape, 1))
        attrs = {"width": width, "sparse": sparseness(width - 1, count(x.type.sizes), self.round_bytes)}
        return self.on_shares("bits", (x,), attrs, BOOL, (*x.shape, width))

    def product(self, op: str, x: Value, y: Value, m: int, dtype: DType) -> Value:
        """x `op` y ("mul" or "matmul") on the raw ring, then / 2^m, read as `dtype`: two shares, or one clear.

        The caller answers for the room of the raw product (`fits`).  Of narrow operands the product is in their ring.
        """
        from mpc.circuits.arithmetic import matmul_shape

        dtype = x.dtype if x.dtype.narrow else dtype
        if op == "matmul":
            shape = matmul_shape(x.shape, y.shape)
            # Protocols see matrices and equal numbers of axes only.
            x = self._padded(x, (1, *x.shape)) if x.ndim == 1 else x
            y = self._padded(y, (*y.shape, 1)) if y.ndim == 1 else y
        else:
            shape = broadcast_shapes(x.shape, y.shape)
        x, y = self.align(x, y)
        made = matmul_shape(x.shape, y.shape) if op == "matmul" else broadcast_shapes(x.shape, y.shape)
        shares = [v.type.layout is Layout.ARITH for v in (x, y)]
        if all(shares):
            fused = f"{op}_trunc" if m else op
            out = self.on_shares(fused, (x, y), {"m": m} if m else {}, dtype, made)
        else:
            pair = (y, x) if op == "mul" and shares[1] else (x, y)
            out = self.trunc(self.on_shares(f"{op}_clear", pair, {}, dtype, made), m, dtype)
        return self._padded(out, shape)

    def random_bits(self, shape: Shape) -> Value:
        """Fresh uniform truth values that no party knows."""
        out = Type(BOOL, shape, NOBODY, Layout.BITS)
        return self.append("random_bits", (), {"shape": shape}, out, pure=False)

    def permutation(self, n: int) -> Value:
        """A handle on a fresh secret permutation of n rows."""
        handle = Type(INT, (n,), NOBODY, Layout.ARITH)
        return self.append("permutation", (), {"n": n}, handle, pure=False)

    def permute(self, handle: Value, x: Value, *, inverse: bool = False) -> Value:
        """The rows of x moved by the handle's permutation, or back."""
        out = self.on_shares("permute", (handle, x), {"inverse": inverse}, x.dtype, x.shape)
        return self.know(out, self.range(x))

    def align(self, *values: Value) -> tuple[Value, ...]:
        """The values with leading axes of size 1 added, so that all have the same number."""
        rank = max(v.ndim for v in values)
        return tuple(self._padded(v, (*(1,) * (rank - v.ndim), *v.shape)) for v in values)

    def _padded(self, v: Value, shape: Shape) -> Value:
        if shape == v.shape:
            return v
        return self.know(self.append("reshape", (v,), {"shape": shape}, v.type.with_(shape=shape)), self.range(v))

    def scaled(self, x: Value, frac: int) -> Value:
        """The share of a number at `frac` fraction bits: up without cost, down by a truncation."""
        step = frac - x.dtype.frac
        dtype = Fixed(frac) if frac or x.dtype.kind == "fixed" else INT
        if x.dtype == dtype or x.dtype.narrow:
            return x
        if step == 0:
            return self.know(self.view(x, dtype), self.range(x))
        if step < 0:
            out = self.trunc(x, -step, dtype)
        else:
            self.fits("the conversion to fixed point", self.range(x), frac)
            factor = self.append("encode", (self.const(1 << step),), {"frac": 0}, Type(INT, (), EVERYONE, Layout.RING))
            out = self.on_shares("mul_clear", (x, self._padded(factor, (1,) * x.ndim)), {}, dtype, x.shape)
        return self.know(out, self.range(x))


def low(x: Value) -> Lowerer:
    """The lowering builder behind a value, for composite operations that use primitives."""
    return cast(Lowerer, x.builder)


def is_share(x: Value) -> bool:
    """True if the value is held as shares."""
    return x.type.shared


NARROW = frozenset(["add", "sub", "neg", "mul", "matmul", "sum", "cumsum"]) | STRUCTURAL
"""Operations that act on narrow shares, and make such ones."""


def _narrow_ring(op: str, operands: Sequence[Value]) -> DType | None:
    """The narrow ring of the shares among the operands, if any; AssertionError for another's share, or another `op`."""
    rings = {v.dtype for v in operands if is_share(v) and v.dtype != BOOL}
    if not any(r.narrow for r in rings):
        return None
    if op not in NARROW or len(rings) > 1:
        raise AssertionError(f"{op} in rings {', '.join(sorted(map(str, rings)))}")
    return rings.pop()


Rule = Callable[[Lowerer, Sequence[Value], dict[str, Any], DType, Shape], "Value | None"]
"""(builder, operands, attributes, element type, shape) -> the result, or None to fall back on the expansion."""

RULES: dict[str, Rule] = {}
"""Surface operations that are primitives, or nearly: filled by `rules.py`."""
