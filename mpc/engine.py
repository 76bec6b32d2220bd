"""The engine: runs a schedule at one place, without I/O.

It is itself a step: it yields one joint exchange a round and is sent what arrived.  Whoever drives it (an executor over
sockets, or `lockstep` in one thread) moves the bytes.  Every place runs the same schedule, so all count rounds and
uses alike: a compute node does everything, a client only what it brings, sees or receives, the dealer only deals.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from mpc.circuit import Array, Const, Node, Origin, natural, reachable
from mpc.exact import Ranges, certain, compute
from mpc.local import KERNELS, decode, encode
from mpc.merging import sizes
from mpc.places import Places
from mpc.protocol import USES, Dealer, Exchange, Player, Scheme, Seat, Step, Template, blocks, interactive
from mpc.quicksort import batches
from mpc.ring import EncodingError
from mpc.schedule import Schedule
from mpc.types import BOOL, INT, Layout, Type

__all__ = ["Engine", "InputKey", "Report", "UndefinedError", "alone", "keep_key", "node_key", "own_key", "spared"]

InputKey = tuple[str, str]
"""(name of the input or table, column; empty for an array), or what `own_key` and `keep_key` give."""


def own_key(name: str, column: str, scan: int) -> InputKey:
    """The column as one scan of the table has it, where its owner dropped rows."""
    return name, f"{column}@{scan}"


def keep_key(name: str, scan: int, at: int) -> InputKey:
    """What the owner says of a scan's rows in place of condition `at`."""
    return name, f"#keep {at}@{scan}"


def node_key(index: int) -> InputKey:
    """The result of the node `index` of the one timetable that the inputs are for, which its owner has otherwise."""
    return "#node", str(index)


def alone(schedule: Schedule, me: str) -> frozenset[int]:
    """The nodes that the party `me` works out alone, in the clear."""
    viewers = frozenset([me])
    return frozenset(
        i
        for i, n in enumerate(schedule.circuit.nodes)
        if n.type.seen_by == viewers and n.op not in ("loop", "tell", "reveal", "carry") and not interactive(n)
    )


def _given(inputs: Iterable[InputKey]) -> frozenset[int]:
    """The nodes whose results are among inputs."""
    return frozenset(int(column) for name, column in inputs if name == "#node")


def spared(schedule: Schedule, me: str, inputs: Collection[InputKey]) -> frozenset[int]:
    """The nodes that the party `me` alone sees and need not work out, as what they lead to is among `inputs`."""
    nodes = schedule.circuit.nodes
    said = {i for i, n in enumerate(nodes) if n.op == "keep" and keep_key(n["name"], n["scan"], n["at"]) in inputs}
    said |= _given(inputs)
    if not said:
        return frozenset()
    own = alone(schedule, me)
    roots = {*range(len(nodes))} - own | {*schedule.circuit.results}
    return frozenset(own - reachable(schedule.circuit, roots, stop=said))


class UndefinedError(Exception):
    """A clear value that is to be shared is no number, or too large; `origin` is where it was computed."""

    def __init__(self, origin: Origin | None) -> None:
        super().__init__("a value to be shared is no number, or too large")
        self.origin = origin


@dataclass(slots=True)
class Report:
    """What a place learned in a run, by output name (reveal's `name`, `column`), and how far it got."""

    outputs: dict[tuple[str, str], Array] = field(default_factory=dict)
    kept: dict[int, Any] = field(default_factory=dict)
    """Values of result nodes of the circuit, by node: shares and clear values that a later stage goes on with."""


def _joined(exchanges: Sequence[Exchange]) -> Exchange:
    """What several steps send and expect in one round, in their order."""
    send: dict[int, list[Array]] = {}
    expect: dict[int, list[Template]] = {}
    for ex in exchanges:
        for p, arrays in ex.send.items():
            send.setdefault(p, []).extend(arrays)
        for p, templates in ex.expect.items():
            expect.setdefault(p, []).extend(templates)
    return Exchange(send, expect)


def _part(got: Mapping[int, Sequence[Array]], ex: Exchange, taken: dict[int, int]) -> dict[int, Sequence[Array]]:
    """What arrived for one of several steps; `taken` counts what those before it took."""
    mine: dict[int, Sequence[Array]] = {}
    for p, templates in ex.expect.items():
        first = taken[p]
        taken[p] = first + len(templates)
        mine[p] = got[p][first : taken[p]]
    return mine


def _turns(node: Node) -> int:
    """How many times a step that is not done in blocks takes fresh use numbers."""
    match node.op:
        case "order":
            return sum(1 for _ in batches(node["stages"]))
        case "merge":
            return len(sizes(node["runs"]))
    return 1


class Engine:
    """One place's side of a run.

    inputs: this party's own arrays in natural units, by `InputKey`.
    carried: for `carry` nodes of a later stage, what an earlier one kept, by its label.
    """

    def __init__(
        self,
        schedule: Schedule,
        seat: Seat,
        inputs: Mapping[InputKey, Array],
        *,
        carried: Mapping[int, Any] | None = None,
    ) -> None:
        self.schedule = schedule
        self.places: Places = schedule.places
        self.seat = seat
        self.name = schedule.places.names[seat.me]
        self.inputs = inputs
        self.carried = carried or {}
        self.spared = spared(schedule, self.name, inputs)
        self.given = _given(inputs)
        self.ranges = Ranges()
        self.use = 0
        self.report = Report()
        scheme: Scheme = schedule.scheme
        self.scheme = scheme
        self.player: Player | None = scheme.player(seat) if seat.me < seat.nodes else None
        self.dealer: Dealer | None = scheme.dealer(seat) if seat.me == seat.dealer else None

    def run(self) -> Step[Report]:
        """The whole schedule; one exchange for each of its rounds."""
        values = yield from self._circuit(self.schedule, {})
        for index in self.schedule.circuit.results:
            value = values.get(index)
            # What all see may decide how the study goes on.
            self.report.kept[index] = certain(value) if self.schedule.circuit.nodes[index].type.public else value
        return self.report

    # -- one circuit ---------------------------------------------------------------------------

    def _circuit(self, s: Schedule, params: Mapping[int, Any]) -> Step[dict[int, Any]]:
        values: dict[int, Any] = {}
        active: list[tuple[int, Step[Any], Exchange]] = []
        nodes = s.circuit.nodes
        for r in range(s.rounds + 1):
            for index in s.plan[r]:
                node = nodes[index]
                step = self._start(s, index, node, [values[i] for i in node.src], params)
                if step is None:
                    if s.length[index] == 0:
                        values[index] = self._local(node, index, s, values, params)
                        self._release(s, index, values)
                    else:
                        active.append((index, self._idle(s.length[index]), Exchange({}, {})))
                        next(active[-1][1])
                    continue
                try:
                    active.append((index, step, next(step)))
                except StopIteration as stop:
                    values[index] = stop.value
                    self._release(s, index, values)
            if r == s.rounds:
                break
            active = yield from self._round(s, r, active, values)
        if active:
            raise AssertionError("a step took more rounds than its protocol declares")
        return values

    def _round(
        self, s: Schedule, r: int, active: list[tuple[int, Step[Any], Exchange]], values: dict[int, Any]
    ) -> Step[list[tuple[int, Step[Any], Exchange]]]:
        """Join what the active steps send, let it travel, hand out what arrived."""
        # Alone, a step's exchange travels as it is: most rounds of a chain are such.
        joint = active[0][2] if len(active) == 1 else _joined([ex for _, _, ex in active])
        got = yield joint
        taken = dict.fromkeys(joint.expect, 0)
        following = []
        for index, step, ex in active:
            mine = got if ex is joint else _part(got, ex, taken)
            try:
                following.append((index, step, step.send(mine)))
            except StopIteration as stop:
                if s.start[index] + s.length[index] != r + 1:
                    raise AssertionError(f"{s.circuit.nodes[index].op} ended before its declared rounds") from None
                values[index] = stop.value
                self._release(s, index, values)
        return following

    def _release(self, s: Schedule, index: int, values: dict[int, Any]) -> None:
        for dead in s.release.get(index, ()):
            values[dead] = None

    def _idle(self, rounds: int) -> Step[None]:
        for _ in range(rounds):
            yield Exchange({}, {})

    # -- interactive nodes ---------------------------------------------------------------------

    def _start(
        self, s: Schedule, index: int, node: Node, src: list[Any], params: Mapping[int, Any]
    ) -> Step[Any] | None:
        """The step of an interactive node at this place; None where it is local or none of this place's business."""
        del params
        if node.op == "loop":
            return self._loop(s.bodies[index], node, src)
        if node.op == "tell":
            return self._tell(node, certain(src[0]))
        if not interactive(node):
            return None
        src = list(map(certain, src))
        attrs: dict[str, Any] = dict(node.attrs)
        if "to" in attrs:
            attrs["to"] = self.places.of(attrs["to"])
        if "owner" in attrs:
            attrs["owner"] = self.places.names.index(attrs["owner"])
        types = [s.circuit.nodes[i].type for i in node.src]
        parts = blocks(node, types)
        use = self.use
        self.use += USES * max(_turns(node), len(parts))
        if len(parts) > 1:
            computes = self.player is not None or self.dealer is not None
            return self._blocks(node, parts, use, src, attrs, types) if computes else None
        if self.dealer is not None:
            return self.dealer.deal(node.op, use, types, attrs, src)
        if self.player is not None:
            return self._play(node, use, src, attrs, types)
        return self._client(node, src, attrs, types)

    def _blocks(
        self,
        node: Node,
        parts: Sequence[tuple[int, int]],
        use: int,
        src: list[Any],
        attrs: dict[str, Any],
        types: Sequence[Type],
    ) -> Step[Any]:
        """An element-wise step on many elements, block after block."""
        out: Array | None = None
        flat = [None if v is None else v.reshape(v.shape[0], -1) for v in src]
        for k, (first, last) in enumerate(parts):
            if self.dealer is not None:
                inner = [t.with_(shape=(last - first,)) for t in types]
                yield from self.dealer.deal(node.op, use + USES * k, inner, attrs)
                continue
            block = [v[:, first:last] for v in flat if v is not None]
            done = yield from self._play(node, use + USES * k, block, attrs, types)
            if out is None:
                out = np.empty((done.shape[0], parts[-1][1], *done.shape[2:]), done.dtype)
            out[:, first:last] = done
        return None if out is None else out.reshape(out.shape[0], *node.type.sizes)

    def _play(self, node: Node, use: int, src: list[Any], attrs: dict[str, Any], types: Sequence[Type]) -> Step[Any]:
        bits = types[0].dtype == BOOL if node.op != "permute" else types[1].dtype == BOOL
        step = getattr(self.player, node.op)
        if node.op == "share":
            mine = src[0] if attrs["owner"] == self.seat.me else None
            return step(use, mine, owner=attrs["owner"], shape=node.type.sizes, bits=bits)  # type: ignore[no-any-return]
        if node.op in ("open", "permute"):
            attrs["bits"] = bits
        if types[-1].dtype.narrow:
            attrs["width"] = types[-1].dtype.bits
        return step(use, *src, **attrs)  # type: ignore[no-any-return]

    def _client(self, node: Node, src: list[Any], attrs: dict[str, Any], types: Sequence[Type]) -> Step[Any] | None:
        bits = types[0].dtype == BOOL
        shape = types[0].sizes
        if node.op == "share" and attrs["owner"] == self.seat.me:
            return self.scheme.client_share(src[0], shape, bits, self.seat)
        if node.op == "open" and self.seat.me in attrs["to"]:
            return self.scheme.client_open(shape, bits, self.seat, types[0].dtype.bits)
        return None

    def _tell(self, node: Node, value: Any) -> Step[Any]:
        """The owner of a clear value sends it as it is to those who shall know it."""
        owner = self.places.names.index(node["owner"])
        to = [p for p in self.places.of(node.get("to")) if p != owner]
        dtype = np.dtype(np.uint8) if node.type.dtype == BOOL else natural(node.type.dtype)
        if self.seat.me == owner:
            wire = np.ascontiguousarray(value).reshape(np.shape(value)).astype(dtype)
            yield Exchange({p: [wire] for p in to if wire.nbytes}, {})
            return value
        template = Template(node.type.sizes, dtype.str)
        expected = self.seat.me in to and template.nbytes > 0
        got = yield Exchange({}, {owner: [template]} if expected else {})
        if self.seat.me not in to:
            return None
        array = got[owner][0] if expected else np.zeros(template.shape, dtype)
        return array.astype(natural(node.type.dtype))

    def _loop(self, body: Schedule, node: Node, src: list[Any]) -> Step[Any]:
        carried = int(node["carried"])
        state, rest = list(src[:carried]), src[carried:]
        for k in range(int(node["count"])):
            index = np.asarray(int(node["start"]) + int(node["step"]) * k, np.int64)
            params = dict(enumerate([index, *state, *rest]))
            values = yield from self._circuit(body, params)
            state = [values[i] for i in body.circuit.results]
        return state

    # -- local nodes ---------------------------------------------------------------------------

    def _local(self, node: Node, index: int, s: Schedule, values: dict[int, Any], params: Mapping[int, Any]) -> Any:
        if s is self.schedule:
            if index in self.spared:
                return None
            if index in self.given:
                return self.inputs[node_key(index)]
        match node.op:
            case "const":
                const = node["value"]
                assert isinstance(const, Const)
                return const.array
            case "param":
                return params[node["index"]]
            case "carry":
                return self.carried.get(node["label"])
            case "item":
                whole = values[node.src[0]]
                return None if whole is None else whole[node["index"]]
            case "bundle":
                return [values[i] for i in node.src]
            case "permutation":
                return self._permutation(node)
            case "random_bits":
                use = self.use
                self.use += USES
                return None if self.player is None else self.player.random_bits(use, shape=node.type.sizes)
        if self.dealer is not None:
            return self._held(node, index, [values[i] for i in node.src], s)
        if node.type.layout in (Layout.CLEAR, Layout.RING):
            if not self._sees(node.type):
                return None
            return self._clear(node, index, [values[i] for i in node.src], s)
        if self.player is None:
            return None
        return self._kernel(node, [values[i] for i in node.src], s)

    def _permutation(self, node: Node) -> Any:
        use = self.use
        self.use += USES
        if self.player is not None:
            return self.player.permutation(use, n=node["n"])
        if self.dealer is not None:
            try:
                next(self.dealer.deal("permutation", use, [], dict(node.attrs)))
            except StopIteration as stop:
                return stop.value
            raise AssertionError("a permutation is drawn without a message")
        return None

    def _held(self, node: Node, index: int, src: list[Any], s: Schedule) -> Any:
        """What the dealer holds: masks that it dealt, as nodes move them, and public numbers that say where."""
        if not src or any(v is None for v in src):
            return None
        if node.type.layout is Layout.MASKED:
            return self._kernel(node, src, s)
        place = node.type.layout is Layout.CLEAR and node.type.public and node.type.dtype == INT and not node.type.shape
        return self._clear(node, index, src, s) if place and node.op != "reveal" else None

    def _kernel(self, node: Node, src: list[Any], s: Schedule) -> Any:
        player = cast(Player, self.player)  # the dealer moves masks alone, and that takes no player
        return KERNELS[node.op](player, list(map(certain, src)), node, [s.circuit.nodes[i].type for i in node.src])

    def _sees(self, t: Type) -> bool:
        return t.seen_by is None or self.name in t.seen_by

    def _clear(self, node: Node, index: int, src: list[Any], s: Schedule) -> Any:
        match node.op:
            case "input":
                return self._input(node)
            case "keep":
                said = self.inputs.get(keep_key(node["name"], node["scan"], node["at"]))
                return compute(s.circuit, index, src) if said is None else said
            case "encode":
                x = certain(src[0])
                try:
                    return encode(x, s.circuit.nodes[node.src[0]].type, node["frac"], node.type.dtype.bits)
                except EncodingError as error:
                    raise UndefinedError(node.origin) from error
            case "decode":
                return decode(src[0], s.circuit.nodes[node.src[0]].type)
            case "reshape" if node.type.layout is Layout.RING:
                return src[0].reshape(node["shape"])
            case "reveal":
                # A value that this party happens to see may be another's result under the same name.
                if node["to"] is None or self.name in node["to"]:
                    self.report.outputs[node["name"], node.get("column", "")] = certain(src[0])
                return src[0]
            case _:
                return compute(s.circuit, index, src, self.ranges)

    def _input(self, node: Node) -> Array:
        key = node["name"], node.get("column", "")
        scan = node.get("scan")
        own = None if scan is None else self.inputs.get(own_key(*key, scan))
        value = np.asarray(self.inputs[key] if own is None else own)
        want = natural(node.type.dtype)
        if value.shape != node.type.sizes or value.dtype != want:
            raise ValueError(
                f"{node['name']}: {want} of shape {node.type.sizes} is wanted, {value.dtype} {value.shape} given"
            )
        return value
