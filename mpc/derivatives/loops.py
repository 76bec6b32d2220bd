"""Backwards through rolled loops, which stay rolled.

A loop carries values from pass to pass, and going back through a pass needs what was carried into it.  So the way
forward is laid again with a tape: a loop that does the same and also keeps, in arrays with the pass as first axis, the
carried values that the way back will read.  The way back is a second loop over the passes in reverse: it takes a pass's
values off the tape, computes the body's nodes again, and sweeps over them; it carries the adjoints of the carried
values, and adds up those of the invariants.

Costs: memory of `count` times the carried values that are kept (no others); work of the body once more, for the parts
that the derivative reads.  A loop within the body is treated likewise within both loops.  The original loop remains
only if something else uses its results.
Griewank and Walther (2008), section 4: the tape is theirs, with every pass a check-point and none between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import NamedTuple

from mpc.circuit import Builder, Circuit, Node, Value, reachable
from mpc.derivatives.adjoint import Adjoint, count_of, zeros
from mpc.derivatives.sweep import Back, Depends, sweep
from mpc.op import catalogue
from mpc.types import EVERYONE, INT, Dim, Type, Viewers, meet

__all__ = ["retrace"]


class Repeat(NamedTuple):
    """A `loop` node taken apart; `types` are those of the carried values, `outer` those of the invariants."""

    body: Circuit
    passes: Dim
    start: int
    step: int
    types: tuple[Type, ...]
    outer: tuple[Type, ...]

    @classmethod
    def of(cls, node: Node, operands: Sequence[Type]) -> Repeat:
        """From the node and the types of its operands."""
        return cls(
            node["body"], node["count"], node["start"], node["step"], node.types, tuple(operands[node["carried"] :])
        )


def retrace(builder: Builder, depends: Depends) -> tuple[dict[int, int], dict[int, Back]]:
    """Lay the way forward again, with tapes in the loops among the nodes that matter.

    Returns where nodes have a new counterpart, and what each new loop does on the way back.
    """
    where: dict[int, int] = {}
    backs: dict[int, Back] = {}
    if not any(builder.nodes[i].op == "loop" for i in depends.nodes):
        return where, backs
    for index in sorted(depends.nodes):
        node = builder.nodes[index]
        src = [Value(builder, where.get(i, i)) for i in node.src]
        with builder.at(node.origin):
            if node.op == "loop":
                active = {k for k, i in enumerate(node.src) if i in depends.nodes}
                tape = _tape(builder, node, src, active)
                backs[tape.value.index] = tape.back
                where[index] = tape.value.index
            elif any(i in where for i in node.src):
                where[index] = _again(builder, node, src).index
    return where, backs


def _again(builder: Builder, node: Node, src: Iterable[Value]) -> Value:
    """The same operation on other operands."""
    record = catalogue().get(node.op)
    pure = node.op not in ("loop", "input") and (record is None or record.pure)
    return builder.append(node.op, src, dict(node.attrs), node.outs or node.type, pure=pure)


def _copy(
    inner: Builder, body: Circuit, params: Mapping[int, Value], active: Set[int]
) -> tuple[dict[int, Value], dict[int, Back]]:
    """The body's nodes in another builder, with tapes in the loops that depend on the active parameters."""
    needed = reachable(body, body.results)
    variables = {i for i in needed if body.nodes[i].op == "param" and body.nodes[i]["index"] in active}
    depends = Depends(body.nodes, variables, needed)
    where: dict[int, Value] = {}
    backs: dict[int, Back] = {}
    for index in sorted(needed):
        node = body.nodes[index]
        src = [where[i] for i in node.src]
        with inner.at(node.origin):
            if node.op == "param":
                where[index] = params[node["index"]]
            elif node.op == "loop" and index in depends.nodes:
                tape = _tape(inner, node, src, {k for k, i in enumerate(node.src) if i in depends.nodes})
                backs[tape.value.index] = tape.back
                where[index] = tape.value
            else:
                where[index] = _again(inner, node, src)
    return where, backs


# -- forward, with a tape ----------------------------------------------------------------------


def _tape(builder: Builder, node: Node, src: Sequence[Value], active: Set[int]) -> Tape:
    """The loop again, keeping what the way back reads; `active` are the operands that depend on a variable."""
    repeat = Repeat.of(node, [v.type for v in src])
    carried = len(repeat.types)
    actives = _closed(repeat, active)
    way = _way_back(builder, repeat, actives, {j: EVERYONE for j in sorted(actives) if j < carried})
    kept = tuple(j for kind, j in way.sources if kind == "tape")
    stacks = [zeros(builder, repeat.types[j].dtype, (repeat.passes, *repeat.types[j].shape)) for j in kept]
    starts, invariants = src[:carried], src[carried:]
    body, types = _keeping(builder, repeat, kept)
    attrs = {"body": body, "count": repeat.passes, "carried": len(types), "start": 0, "step": 1}
    value = builder.append("loop", [*starts, *stacks, *invariants], attrs, types, pure=False)
    return Tape(builder, repeat, value, tuple(invariants), frozenset(actives), kept)


def _closed(repeat: Repeat, active: Set[int]) -> set[int]:
    """The operands (by place) that depend on a variable in some pass, of those that are numbers with fraction."""
    body, carried = repeat.body, len(repeat.types)
    types = (*repeat.types, *repeat.outer)
    found = {k for k in active if types[k].dtype.kind == "fixed"}
    needed = reachable(body, body.results)
    while True:
        variables = {i for i in needed if body.nodes[i].op == "param" and body.nodes[i]["index"] - 1 in found}
        depends = Depends(body.nodes, variables, needed)
        more = {j for j in range(carried) if body.results[j] in depends.nodes and types[j].dtype.kind == "fixed"}
        if more <= found:
            return found
        found |= more


def _keeping(builder: Builder, repeat: Repeat, kept: Sequence[int]) -> tuple[Circuit, list[Type]]:
    """The body with arrays that collect carried values, and the types of all that it carries."""
    inner, carried = type(builder)(), len(repeat.types)
    at = inner.append("param", (), {"index": 0}, Type(INT, (), EVERYONE))
    types = [*repeat.types, *(_stacked(repeat, j) for j in kept)]
    values = [inner.append("param", (), {"index": 1 + n}, t) for n, t in enumerate(types)]
    outer = [inner.append("param", (), {"index": 1 + len(types) + n}, t) for n, t in enumerate(repeat.outer)]
    params = dict(enumerate([_index(repeat, at), *values[:carried], *outer]))
    where, _ = _copy(inner, repeat.body, params, set())
    results = [where[i] for i in repeat.body.results]
    for stack, j in zip(values[carried:], kept, strict=True):
        row = values[j].reshape((1, *values[j].shape))
        results.append(inner.emit("dynamic_update", stack, row, at, axis=0))
    return inner.finish(results), types


def _stacked(repeat: Repeat, j: int) -> Type:
    t = repeat.types[j]
    return t.with_(shape=(repeat.passes, *t.shape))


def _index(repeat: Repeat, number: Value) -> Value:
    """The loop's own index in a pass with this number."""
    out = number if repeat.step == 1 else number * repeat.step
    return out if repeat.start == 0 else out + repeat.start


# -- backwards ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tape:
    """A loop with a tape: what is needed to go back through it.

    active: operands of the original loop that depend on a variable, by place. kept: the carried values on the tape.
    """

    builder: Builder
    repeat: Repeat
    value: Value
    invariants: tuple[Value, ...]
    active: frozenset[int]
    kept: tuple[int, ...]

    def back(self, seeds: Mapping[int, Adjoint]) -> Sequence[Adjoint | None]:
        """From the adjoints of results to those of the operands."""
        repeat, carried = self.repeat, len(self.repeat.types)
        live = {j: g for j, g in seeds.items() if j in self.active and j < carried}
        found: dict[int, Adjoint] = live
        if repeat.passes != 0 and live:
            found = self._passes(live)
        places: list[int | None] = [*range(carried), *(None for _ in self.kept)]
        places += range(carried, carried + len(repeat.outer))
        return [None if k is None else found.get(k) for k in places]

    def _passes(self, seeds: Mapping[int, Adjoint]) -> dict[int, Adjoint]:
        repeat, builder = self.repeat, self.builder
        way = _way_back(builder, repeat, self.active, {k: _viewers(g) for k, g in sorted(seeds.items())})
        scales = {g.scale for g in seeds.values()}
        scale = scales.pop() if len(scales) == 1 else 1.0
        starts = [self._start(k, t, seeds, scale) for k, t in zip(way.slots, way.types, strict=True)]
        stacks = self.builder.items(self.value)[len(repeat.types) :]
        outer = [stacks[self.kept.index(k)] if kind == "tape" else self.invariants[k] for kind, k in way.sources]
        attrs = {"body": way.body, "count": repeat.passes, "carried": len(starts), "start": 0, "step": 1}
        out = builder.items(builder.append("loop", [*starts, *outer], attrs, list(way.types), pure=False))
        return {k: Adjoint(builder, v.shape, v, scale) for k, v in zip(way.slots, out, strict=True) if k in way.reached}

    def _start(self, k: int, t: Type, seeds: Mapping[int, Adjoint], scale: float) -> Value:
        g = seeds.get(k)
        if g is None:
            return zeros(self.builder, t.dtype, t.shape)
        return (replace(g, scale=1.0) if g.scale == scale else g).whole(t.dtype)


class WayBack(NamedTuple):
    """A body that goes back through one pass.

    slots: whose adjoints it carries, by their place among the original operands. reached: those of them that get any.
    sources: what its invariants are, ("tape", carried value) or ("outer", invariant).
    """

    body: Circuit
    slots: tuple[int, ...]
    reached: frozenset[int]
    types: tuple[Type, ...]
    sources: tuple[tuple[str, int], ...]


def _viewers(g: Adjoint) -> Viewers:
    return EVERYONE if g.value is None else g.value.type.seen_by


def _way_back(builder: Builder, repeat: Repeat, active: Set[int], seeds: Mapping[int, Viewers]) -> WayBack:
    """The body for adjoints that begin at carried values, seen by those who are given with each.

    It is built until nothing new gets an adjoint and those that have one keep their viewers.
    """
    types = (*repeat.types, *repeat.outer)
    slots = list(seeds)
    seen = dict(seeds)
    while True:
        carried = tuple(types[k].seen(seen.setdefault(k, EVERYONE)) for k in slots)
        inner, results, found = _one_pass(builder, repeat, active, slots, carried)
        more = sorted(found - set(slots))
        narrower = {k: meet([t.seen_by, v.type.seen_by]) for k, t, v in zip(slots, carried, results, strict=True)}
        if not more and all(narrower[k] == seen[k] for k in slots):
            break
        seen.update(narrower)
        slots += more
    body, sources = _pruned(inner.finish(results), len(slots), len(repeat.types))
    return WayBack(body, tuple(slots), frozenset(found), carried, sources)


def _one_pass(
    builder: Builder, repeat: Repeat, active: Set[int], slots: Sequence[int], carried: Sequence[Type]
) -> tuple[Builder, list[Value], set[int]]:
    """One walk back through the body: what the slots' adjoints become, and all operands that get one."""
    inner, many = type(builder)(), len(repeat.types)
    number = inner.append("param", (), {"index": 0}, Type(INT, (), EVERYONE))
    at = count_of(inner, repeat.passes) - 1 - number
    adjoints = [inner.append("param", (), {"index": 1 + n}, t) for n, t in enumerate(carried)]
    first = 1 + len(slots)
    values = []
    for j, t in enumerate(repeat.types):
        stack = inner.append("param", (), {"index": first + j}, _stacked(repeat, j))
        values.append(inner.emit("dynamic_slice", stack, at, axis=0, length=1).reshape(t.shape))
    outer = [inner.append("param", (), {"index": first + many + n}, t) for n, t in enumerate(repeat.outer)]
    operands = [*values, *outer]
    params = dict(enumerate([_index(repeat, at), *operands]))
    where, backs = _copy(inner, repeat.body, params, {1 + k for k in active})
    ends = [where[i] for i in repeat.body.results]
    variables = {operands[k].index: k for k in active}
    depends = Depends(inner.nodes, variables.keys(), reachable(inner.finish(), [v.index for v in ends]))
    seeds: dict[int, Adjoint] = {}
    for k, g in zip(slots, adjoints, strict=True):
        if k < many and ends[k].index in depends.nodes:
            here, seed = seeds.get(ends[k].index), Adjoint(inner, g.shape, g)
            seeds[ends[k].index] = seed if here is None else here.plus(seed)
    found = {variables[i]: g for i, g in sweep(inner, seeds, depends, backs).items()}
    results = []
    for k, param in zip(slots, adjoints, strict=True):
        new = found[k].whole(param.dtype) if k in found else None
        if k >= many:
            results.append(param if new is None else param + new)
        else:
            results.append(zeros(inner, param.dtype, param.shape) if new is None else new)
    return inner, results, set(found)


def _pruned(circuit: Circuit, carried: int, many: int) -> tuple[Circuit, tuple[tuple[str, int], ...]]:
    """Without what the results do not need; the parameters after the carried ones are numbered anew."""
    needed = reachable(circuit, circuit.results)
    used = sorted(node["index"] for i in needed if (node := circuit.nodes[i]).op == "param" and node["index"] > carried)
    where: dict[int, int] = {}
    nodes: list[Node] = []
    for i in sorted(needed):
        moved = replace(circuit.nodes[i], src=tuple(where[s] for s in circuit.nodes[i].src))
        if moved.op == "param" and moved["index"] > carried:
            moved = replace(moved, attrs=(("index", 1 + carried + used.index(moved["index"])),))
        where[i] = len(nodes)
        nodes.append(moved)
    places = [index - 1 - carried for index in used]
    sources = tuple(("tape", k) if k < many else ("outer", k - many) for k in places)
    return Circuit(tuple(nodes), tuple(where[i] for i in circuit.results)), sources
