"""A loop's body as one circuit, and the node that repeats it.

For: `roll` (walks a body until what it carries keeps its viewers), `finish` (emits the `loop` node and binds names).
Leaves to others: the conventions of the node, and when a loop is rolled at all (`loops`).
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, field, replace

import numpy as np

from dsl import syntax
from dsl.assign import assign, assigned_names
from dsl.convert import zeros_like
from dsl.masks import as_made
from dsl.region import Region, StudyBuilder, prune
from dsl.scope import Binding
from dsl.values import UNKNOWN, Unknown, Unset, Val, leaves, rebuild, same_frame
from dsl.walker import NeedsConstant, Walker
from mpc.circuit import Circuit, Value
from mpc.types import BOOL, EVERYONE, INT, Dim, DType, Shape, Type, Viewers, meet

__all__ = ["Loop", "Passes", "Rolled", "carriable", "finish", "passed", "roll", "walk_pass"]


@dataclass(frozen=True, slots=True)
class Passes:
    """What a loop runs over: how many passes, the index's start and step, and the value of the target at an index.

    tail: the target's value in one more, different pass (a smaller last batch), None when there is none.
    """

    count: Dim
    start: int
    step: int
    at: Callable[[Value], Val]
    tail: Val | None = None


@dataclass(slots=True, eq=False)
class Loop:
    """A loop being walked. regions: those made for its body. opaque: walked as it is although its body needs the index
    as a constant, since the count is not known (a study checked without its data)."""

    statement: syntax.For
    passes: Passes
    regions: list[Region] = field(default_factory=list)
    opaque: bool = False


@dataclass(frozen=True, slots=True)
class Rolled:
    """A body walked: its circuit, the outer values it starts with and reads, and what the carried names became."""

    body: Circuit
    starts: tuple[Value, ...]
    invariants: tuple[Value, ...]
    types: tuple[Type, ...]
    after: dict[str, Val]


def target_names(target: syntax.Expression) -> list[str]:
    """The names that a loop's target binds."""
    match target:
        case syntax.Name(name):
            return [name]
        case syntax.Tuple(items):
            return [name for item in items for name in target_names(item)]
    return []


def walk_pass(w: Walker, s: syntax.For, target: Val, region: Region | None = None) -> Val | None:
    """Walk the body of `s` once with the target bound; what it returned. region: the body's, None when unrolled."""
    w.loops.append(region)
    w.loop_guards.append(len(w.guards))
    try:
        # The target may have another shape in another pass, and takes the place of what had its name.
        for name in target_names(s.target):
            w.scope.names.pop(name, None)
        assign(w, s.target, target, s.iterable.span)
        return w.rules.block(w, s.body)
    finally:
        w.loops.pop()
        w.loop_guards.pop()


def passed(w: Walker, before: Container[str]) -> None:
    """Mark the names that the passes of a loop have made; `before` were there before it."""
    for name, binding in w.scope.names.items():
        if name not in before and not binding.passing:
            w.scope.names[name] = replace(binding, passing=True)


def roll(w: Walker, this: Loop) -> Rolled | None:
    """Walk the body as a circuit of its own; None after an error in it. The scope is as it was, but for names that
    start as zeros, and, after an error, for what is unknown now."""
    before = dict(w.scope.names)
    assigned = assigned_names(this.statement.body)
    own = set(target_names(this.statement.target))
    starts = {n: w.local(b.val) for n in assigned if n not in own and (b := before.get(n)) and carriable(b.val)}
    viewers: dict[tuple[str, int], Viewers] = {}
    while True:
        w.scope.names = dict(before)
        region = _region(w, this)
        carried = _enter(w, region, starts, viewers)
        after, fresh = _walk(w, this, region, starts, carried)
        w.scope.names = dict(before)
        if any(isinstance(v, Unknown) for v in after.values()):
            for name, span in assigned_names([this.statement]).items():
                w.bind(name, Binding(UNKNOWN, span))
            return None
        other = [n for n in starts if _shapes(after[n]) != _shapes(carried[n])]
        if other:
            if any(_read(region, carried[n]) for n in other) and not this.opaque:
                raise NeedsConstant(region)
            for n in other:  # of an earlier loop's pass; this loop's has nothing to do with it
                del starts[n], before[n]
            viewers.clear()
            continue
        more = {n: z for n, v in fresh.items() if (z := zeros_like(w, v)) is not None}
        if more:
            starts.update(more)
            before.update({n: Binding(v, assigned[n], passing=True) for n, v in more.items()})
        elif not _shrunk(starts, carried, after, viewers):
            return _close(w, region, starts, carried, after)


def _shapes(val: Val) -> list[tuple[DType, Shape]]:
    return [(leaf.dtype, leaf.shape) for leaf in leaves(val)]


def _read(region: Region, val: Val) -> bool:
    params = {leaf.index for leaf in leaves(val)}
    return any(params.intersection(node.src) for node in region.builder.nodes)


def carriable(val: Val) -> bool:
    """Whether a pass can hand it to the next."""
    return not isinstance(val, Unset | Unknown)


def _region(w: Walker, this: Loop) -> Region:
    region = Region(StudyBuilder(), outer=w.region, opaque=this.opaque)
    passes = this.passes
    if isinstance(passes.count, int):
        ends = (passes.start, passes.start + passes.step * (passes.count - 1))
        region.first, region.last = min(ends), max(ends)
    this.regions.append(region)
    return region


def _enter(
    w: Walker, region: Region, starts: dict[str, Val], viewers: dict[tuple[str, int], Viewers]
) -> dict[str, Val]:
    """Parameters for the carried names, bound in the scope."""
    carried: dict[str, Val] = {}
    count = 0
    for name, start in starts.items():
        params = []
        for k, leaf in enumerate(leaves(start)):
            count += 1
            seen = viewers.setdefault((name, k), leaf.type.seen_by)
            params.append(region.builder.append("param", (), {"index": count}, leaf.type.seen(seen)))
        carried[name] = rebuild(start, params)
        binding = w.scope.names[name]
        w.bind(name, replace(binding, val=carried[name]))
    region.carried = count
    return carried


def _walk(
    w: Walker, this: Loop, region: Region, starts: dict[str, Val], carried: dict[str, Val]
) -> tuple[dict[str, Val], dict[str, Val]]:
    """One walk over the body: what the carried names become, and the names that are new and used after the loop."""
    s = this.statement
    found = len(w.reporter.diagnostics)
    known = set(w.scope.names)
    with w.inside(region):
        index = region.builder.append("param", (), {"index": 0}, Type(INT, (), EVERYONE))
        walk_pass(w, s, this.passes.at(index), region)
        after = {n: w.local(w.scope.names[n].val) for n in starts}
    failed = any(d.severity == "error" for d in w.reporter.diagnostics[found:])
    if failed:
        return dict.fromkeys(starts, UNKNOWN) or {"": UNKNOWN}, {}
    if any(not same_frame(after[n], carried[n]) for n in starts):
        if not region.opaque:
            raise NeedsConstant(region)
        return dict.fromkeys(starts, UNKNOWN), {}
    new = [n for n in w.scope.names if n not in known and n not in target_names(s.target)]
    return after, {n: w.scope.names[n].val for n in new if w.mentioned(n, s.span.end)}


def _shrunk(
    starts: dict[str, Val],
    carried: dict[str, Val],
    after: dict[str, Val],
    viewers: dict[tuple[str, int], Viewers],
) -> bool:
    """Whether a carried value is seen by fewer than its parameter says; `viewers` is brought up to date."""
    shrunk = False
    for name in starts:
        for k, (param, leaf) in enumerate(zip(leaves(carried[name]), leaves(after[name]), strict=True)):
            seen = meet([param.type.seen_by, leaf.type.seen_by])
            if seen != param.type.seen_by:
                viewers[name, k] = seen
                shrunk = True
    return shrunk


def _close(w: Walker, region: Region, starts: dict[str, Val], carried: dict[str, Val], after: dict[str, Val]) -> Rolled:
    results = [leaf for n in starts for leaf in leaves(after[n])]
    params = [leaf for n in starts for leaf in leaves(carried[n])]
    outer = [w.region.bring(leaf) for n in starts for leaf in leaves(starts[n])]
    body, kept = prune(region.builder.finish(results), region.carried)
    invariants = tuple(region.invariants[k] for k in kept)
    return Rolled(body, tuple(outer), invariants, tuple(p.type for p in params), after)


def finish(w: Walker, this: Loop, rolled: Rolled) -> None:
    """Emit the `loop` node and bind what it carried."""
    passes, s = this.passes, this.statement
    if rolled.types:
        attrs = {
            "body": rolled.body,
            "count": passes.count,
            "carried": len(rolled.types),
            "start": passes.start,
            "step": passes.step,
        }
        node = w.builder.append("loop", (*rolled.starts, *rolled.invariants), attrs, list(rolled.types))
        results = iter(w.builder.items(node))
        for name, val in rolled.after.items():
            binding = w.scope.names[name]
            found = []
            for leaf in leaves(val):
                out = next(results)
                found.append(as_made(out, leaf) if leaf.dtype == BOOL else out)
            w.bind(name, replace(binding, val=rebuild(val, found)))
    for name, span in assigned_names(s.body).items():
        before = w.scope.names.get(name)
        if name not in rolled.after and not (before and isinstance(before.val, Unknown)):
            w.bind(name, Binding(Unset("it is given one within this loop only", s.iterable.span), span))
    _last(w, this)


def _last(w: Walker, this: Loop) -> None:
    """As in Python, a loop's target keeps its last value."""
    passes, s = this.passes, this.statement
    names = target_names(s.target)
    reassigned = set(assigned_names(s.body))
    usable = isinstance(passes.count, int) and not reassigned & set(names)
    for name in names:
        w.scope.names.pop(name, None)
        w.bind(name, Binding(Unset("it is given one within this loop only", s.iterable.span), s.target.span))
    if usable and isinstance(passes.count, int) and any(w.mentioned(n, s.span.end) for n in names):
        index = w.builder.const(np.int64(passes.start + passes.step * (passes.count - 1)), INT)
        assign(w, s.target, passes.at(index), s.iterable.span)
