"""The state of one walk over a study, and what every part of the walk needs.

For: `Walker` (the circuit so far, scopes, errors with their reasons, values that must be known while compiling) and the
three ways in which a walk is left: `Reported`, `NeedsConstant`, `StageBreak`.
Leaves to others: every rule of the language (`statements`, `expressions`, `operators`, `loops`, `builtins`, …), which
are functions of a `Walker`.

**Stages.** A public value that is known only at run time (it was opened, or is too large to fold) can be needed while
compiling: by a public `if`, a loop's bounds, a size. `known` holds such values in the order in which the walk needs
them. When it needs one more, the walk ends with `StageBreak`; the run computes the circuit so far, and the study is
walked again with that value added. The walk is deterministic, and a known value changes nothing before the place where
it was needed: so the new circuit's nodes begin with the old ones, at the same indices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from dsl import syntax
from dsl.diagnostics import Reporter
from dsl.inputs import Bindings
from dsl.outputs import Output
from dsl.planned import Plans
from dsl.privacy.lineage import Clipped
from dsl.region import DomainError, Region, StudyBuilder
from dsl.scope import Binding, Scope
from dsl.source import Source, Span
from dsl.stored import StorePlan
from dsl.stypes import INTEGER, SType
from dsl.values import UNKNOWN, Array, Function, Module, Record, Tuple, Unknown, Val, describe, leaves, map_leaves
from dsl.variables import variables
from dsl.why import why_secret
from mpc.circuit import Array as NDArray
from mpc.circuit import Builder, Origin, Value
from mpc.types import INT, DType, Fixed, ShapeError, Size, TypeRuleError

__all__ = ["Frame", "NeedsConstant", "Reported", "Rules", "StageBreak", "Walker"]


MAX_STEPS = 100_000
"""Statements that one walk may take: a few lines of calls within calls would otherwise keep a node busy for hours."""


class Reported(Exception):  # noqa: N818 - not an error of ours
    """An error of the study has been recorded; what was being computed is unknown."""


class NeedsConstant(Exception):  # noqa: N818
    """The body of `region`'s loop needs its index as a constant: the loop has to be unrolled."""

    def __init__(self, region: Region) -> None:
        super().__init__(region)
        self.region = region


class StageBreak(Exception):  # noqa: N818
    """The walk cannot go on before the value of this public node is known."""

    def __init__(self, value: Value) -> None:
        super().__init__(value)
        self.value = value


class Rules(NamedTuple):
    """The parts of the walk that call one another."""

    evaluate: Callable[[Walker, syntax.Expression], Val]
    block: Callable[[Walker, Sequence[syntax.Statement]], Val | None]
    """Walks statements; the value of a `return` that ended them, None when none did."""
    module: Callable[[Walker, str, Span], Module | Unknown]


@dataclass(frozen=True, slots=True)
class Frame:
    """A call being walked: of what, from where."""

    function: Function
    span: Span
    source: Source


@dataclass(frozen=True, slots=True)
class Guard:
    """A secret condition that decides whether what is being walked counts."""

    value: Value
    span: Span


@dataclass(slots=True, eq=False)
class Walker:
    """One walk. abstract: sizes may be symbolic, nothing is known of what is opened."""

    reporter: Reporter
    bindings: Bindings
    known: Sequence[NDArray]
    abstract: bool
    rules: Rules
    scope: Scope
    region: Region
    source: Source
    span: Span = Span(0, 0)  # noqa: RUF009 - a constant
    parties: dict[str, Span] = field(default_factory=dict)
    frames: list[Frame] = field(default_factory=list)
    guards: list[Guard] = field(default_factory=list)
    tentative: int = 0
    """Of how many choices a side is being walked that may not be taken: what it computes need not be defined."""
    loops: list[Region | None] = field(default_factory=list)
    """The loops being walked in the current function, innermost last: the body's region, None for an unrolled one."""
    loop_guards: list[int] = field(default_factory=list)
    """For each of them, how many guards there were around it."""
    outputs: list[Output] = field(default_factory=list)
    revealed: dict[tuple[str, str], Span] = field(default_factory=dict)
    stores: list[StorePlan] = field(default_factory=list)
    loaded: dict[str, Val] = field(default_factory=dict)
    """What an earlier study stored, by name."""
    modules: dict[str, Module] = field(default_factory=dict)
    scopes: list[Scope] = field(default_factory=list)
    """The scopes of all calls being walked, the study's first."""
    pending: list[Val] = field(default_factory=list)
    """Values of expressions that are being put together: alive although no name holds them."""
    resolved: dict[int, Value] = field(default_factory=dict)
    sizes: dict[str, int | Size] = field(default_factory=dict)
    """Letters that inputs have bound."""
    library: Traversable = field(default_factory=lambda: files("dsl").joinpath("library"))
    """Where modules are found."""
    tree: syntax.Study | None = None
    """The study or module being walked."""
    mentions: dict[int, dict[str, int]] = field(default_factory=dict)
    differentiated: dict[int, frozenset[str]] = field(default_factory=dict)
    """For a function, study or module, the names that it differentiates by."""

    plans: Plans = field(default_factory=Plans)
    """How queries are carried out."""
    clipped: dict[tuple[Builder, int], Clipped] = field(default_factory=dict)
    """The values whose norm is limited, by circuit and index."""
    steps: int = 0
    """Statements walked so far, in calls and loops written out again each time."""

    def step(self, span: Span) -> None:
        """Count a statement; an error that ends the walk when there are too many."""
        self.steps += 1
        if self.steps > MAX_STEPS:
            message = f"the study takes more than {MAX_STEPS} steps to compile"
            self.reporter.error("E0310", message, span, "reached here: loops are written out, or calls multiply")
            self.reporter.finish()

    # -- places ------------------------------------------------------------------------------------

    @property
    def builder(self) -> StudyBuilder:
        """The circuit being built."""
        return self.region.builder

    @property
    def root(self) -> Region:
        """The study's own circuit."""
        region = self.region
        while region.outer is not None:
            region = region.outer
        return region

    @property
    def frac(self) -> int:
        """Fraction bits of `fixed`."""
        return self.bindings.frac

    @property
    def fixed(self) -> DType:
        """The element type of `fixed`."""
        return Fixed(self.frac)

    @property
    def in_library(self) -> bool:
        """Whether the text being walked is the library's."""
        return self.source is not self.reporter.source

    @contextmanager
    def at(self, span: Span) -> Iterator[None]:
        """Nodes made inside come from `span`."""
        before, origin, builder = self.span, self.builder.origin, self.builder
        self.span = span
        builder.origin = self.origin(span)
        try:
            yield
        finally:
            self.span, builder.origin = before, origin

    def origin(self, span: Span) -> Origin:
        """`span` as a node bears it: within the study's own text, so for code of the library the call of it."""
        source, place = self.source, span
        for frame in reversed(self.frames):
            if source is self.reporter.source:
                break
            source, place = frame.source, frame.span
        return Origin(source.name, place.start, place.end, self.plans.current)

    @contextmanager
    def inside(self, region: Region) -> Iterator[None]:
        """What is built inside goes into `region`."""
        before, self.region = self.region, region
        region.builder.origin = self.origin(self.span)
        try:
            yield
        finally:
            self.region = before

    # -- errors ------------------------------------------------------------------------------------

    def error(
        self,
        code: str,
        message: str,
        span: Span,
        label: str = "",
        *,
        secret: Val | Value | None = None,
        secondary: Sequence[tuple[Span, str]] = (),
        helps: Sequence[str] = (),
    ) -> Unknown:
        """Record an error. secret: the value whose being secret is the reason, which a second label explains.

        An error in code of the library is shown where the study called it.
        """
        labels = list(secondary) + self.why(secret)
        frames = list(self.frames)
        source, inside = self.source, ""
        while source is not self.reporter.source and frames:
            frame = frames.pop()
            inside = f"inside `{frame.function.name}`"
            source, span = frame.source, frame.span
        if inside:
            label, helps, labels = f"{label} ({inside})" if label else inside, (), self.why(secret)
        elif self.frames:
            labels.append((frames[-1].span, "in this call"))
        self.reporter.error(code, message, span, label, secondary=labels[:3], helps=list(helps)[:2], source=source)
        return UNKNOWN

    def fail(
        self,
        code: str,
        message: str,
        span: Span,
        label: str = "",
        *,
        secret: Val | Value | None = None,
        secondary: Sequence[tuple[Span, str]] = (),
        helps: Sequence[str] = (),
    ) -> NoReturn:
        """As `error`; the value being computed becomes unknown."""
        self.error(code, message, span, label, secret=secret, secondary=secondary, helps=helps)
        raise Reported

    def refused(self, error: TypeRuleError, span: Span) -> Unknown:
        """Record what a type rule refused."""
        if isinstance(error, DomainError):
            return self.error(error.code, str(error), span)
        return self.error("E0302" if isinstance(error, ShapeError) else "E0301", str(error), span)

    def why(self, secret: Val | Value | None) -> list[tuple[Span, str]]:
        """Labels that say why a value is secret."""
        if secret is None:
            return []
        values = [secret] if isinstance(secret, Value) else list(leaves(secret))
        for value in values:
            if not value.type.public:
                region: Region | None = self.region
                while region is not None and region.builder is not value.builder:
                    region = region.outer
                return [] if region is None else why_secret(region, value)
        return []

    def text(self, span: Span) -> str:
        """The text at a place of the source being walked, on one line."""
        return " ".join(self.source.excerpt(span).split())

    # -- values ------------------------------------------------------------------------------------

    def evaluate(self, expression: syntax.Expression) -> Val:
        """The value of an expression."""
        return self.rules.evaluate(self, expression)

    def evaluate_known(self, expression: syntax.Expression) -> Val:
        """As `evaluate`; raises Reported when it is unknown."""
        val = self.evaluate(expression)
        if isinstance(val, Unknown):
            raise Reported
        return val

    def array(self, val: Val, span: Span, what: str = "a number or an array") -> Array:
        """`val` as an array, or an error at `span`; `1, 2` is one where an array is expected, as for NumPy."""
        if isinstance(val, Array):
            return val
        if isinstance(val, Tuple) and val.items:
            from dsl.convert import stacked

            return stacked(self, [self.array(item, span, what) for item in val.items], span)
        if isinstance(val, Unknown):
            raise Reported
        return self.fail("E0301", f"expected {what}, got {describe(val)}", span, describe(val))

    def full(self, array: Array, span: Span) -> Array:
        """`array`, which must have all its elements."""
        if array.valid is None:
            return array
        from dsl.masks import unfilled

        return unfilled(self, array, span)

    def local(self, val: Val) -> Val:
        """`val` with its values brought into the region being built."""
        if self.region.outer is None or isinstance(val, Function | Module):
            return val
        return map_leaves(val, self.region.bring, same_rows=True)

    def integer(self, number: int) -> Array:
        """A whole number that is known."""
        return Array(self.builder.const(np.int64(number), INT), INTEGER)

    def const(self, array: npt.ArrayLike, stype: SType) -> Array:
        """A constant of a surface type."""
        return Array(self.builder.const(array, stype.dtype(self.frac)), stype)

    # -- values that must be known while compiling ---------------------------------------------------

    def concrete(self, value: Value, span: Span, role: str, *, code: str = "E0303", helps: Sequence[str] = ()) -> Value:
        """`value` as a constant, or as a `size` node when the study is checked without its data.

        role: what needs it, for the message `a secret value decides {role}`. Raises NeedsConstant when an unrolled loop
        would make it constant, StageBreak when a run would, Reported when it is not public.
        """
        if value.is_const or value.node.op == "size":
            return value
        if not value.type.public:
            seen = ", ".join(sorted(value.type.seen_by or ()))
            word = f"what only {seen} sees" if seen else "a secret value"
            label = f"{value.dtype}, seen by {f'{seen} alone' if seen else 'no party'}"
            self.fail(code, f"{word} decides {role}", span, label, secret=value, helps=helps)
        loops = self.region.loops(value)
        if loops:
            if not loops[-1].opaque:
                raise NeedsConstant(loops[-1])
            return self.opaque(span)
        if self.abstract:
            return self.opaque(span)
        return self._resolve(value)

    def _resolve(self, value: Value) -> Value:
        region, at = self.region.source(value)
        if region.outer is not None:
            # Computed inside a loop from what does not change there: the loop's first pass has it as well.
            raise NeedsConstant(region)
        known = self.resolved.get(at.index)
        if known is None:
            if len(self.resolved) >= len(self.known):
                raise StageBreak(at)
            array = np.asarray(self.known[len(self.resolved)])
            known = self.root.builder.const(array.reshape(at.type.sizes), at.dtype)
            self.resolved[at.index] = known
        return self.region.bring(known)

    def opaque(self, span: Span) -> Value:
        """A size that nothing is known of but the text it comes from."""
        return self.region.dim(Size.named(self.text(span)))

    def whole(self, val: Val, span: Span, role: str, *, code: str = "E0303", helps: Sequence[str] = ()) -> int | Size:
        """A whole number that must be known while compiling, or a symbolic size."""
        array = self.array(val, span, "a whole number")
        if array.stype.kind not in {"int", "bool"} or array.shape or array.valid is not None:
            self.fail("E0301", f"{role} must be a whole number", span, describe(array))
        value = self.concrete(array.value, span, role, code=code, helps=helps)
        if value.node.op == "size":
            size: Size = value.node["dim"]
            return size
        return int(value.constant)

    def number(self, val: Val, span: Span, role: str, *, code: str = "E0303", helps: Sequence[str] = ()) -> int:
        """As `whole`, where a symbolic size will not do."""
        dim = self.whole(val, span, role, code=code, helps=helps)
        if isinstance(dim, Size):
            self.fail("E0310", f"{role} must be known before the data are", span, f"{dim}")
        return dim

    # -- scopes ------------------------------------------------------------------------------------

    def bind(self, name: str, binding: Binding) -> None:
        """Give `name` a binding in the innermost scope."""
        self.scope.names[name] = replace(binding, val=self.own(name, binding.val))

    def own(self, name: str, val: Val) -> Val:
        """`val` as nodes of its own where something is differentiated by `name` (see `variables`)."""
        root = self.frames[-1].function.definition if self.frames else self.tree
        if root is None or not isinstance(val, Array | Tuple | Record):
            return val
        names = self.differentiated.get(id(root))
        if names is None:
            names = self.differentiated[id(root)] = variables(root)
        if name not in names:
            return val
        # Appended, not emitted: a constant must not fold into one that others share.
        return map_leaves(
            val, lambda v: v.builder.append("variable", (v,), {}, v.type, pure=False) if v.dtype.kind == "fixed" else v
        )

    def mentioned(self, name: str, after: int) -> bool:
        """Whether the text of the function or study being walked has `name` after an offset."""
        root = self.frames[-1].function.definition if self.frames else self.tree
        if root is None:
            return True
        last = self.mentions.get(id(root))
        if last is None:
            last = {}
            for node in syntax.walk(root):
                if isinstance(node, syntax.Name):
                    last[node.id] = max(last.get(node.id, 0), node.span.start)
            self.mentions[id(root)] = last
        return last.get(name, -1) >= after

    def alive(self) -> Iterator[Value]:
        """Every value of the study's own circuit that the rest of the walk may use."""
        for scope in self.scopes:
            for binding in scope.names.values():
                yield from leaves(binding.val)
        for val in self.pending:
            yield from leaves(val)
