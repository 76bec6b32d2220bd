"""A mask serves once: whatever a run is made of, no party draws the same blocks of one key's stream a second time.

Streams are addressed, not consumed, so a use number given out twice (in a loop, in a block of a long step, by a
composite operation) would go unnoticed by every test of results, and would show the difference of two secrets.
"""

from collections import defaultdict
from collections.abc import Callable

import numpy as np
import pytest
from stream_ledger import Ledger

from mpc.circuit import Array, Builder, Value, natural
from mpc.engine import Engine
from mpc.lockstep import lockstep
from mpc.lower import lower
from mpc.places import Places
from mpc.protocols import SCHEMES
from mpc.protocols.rep3 import Rep3Player
from mpc.schedule import schedule
from mpc.simulate import pair_keys
from mpc.types import BOOL, INT, NOBODY, DType, Fixed, Type

PLACES = {
    "rep3": Places(("a", "b", "c"), ("d",)),
    "additive": Places(("a", "b", "c"), ("d",), "dealer"),
}


def brought(b: Builder, party: str, name: str, dtype: DType, shape: tuple[int, ...]) -> Value:
    attrs = {"party": party, "name": name, "column": "", "range": None}
    return b.append("input", (), attrs, Type(dtype, shape, frozenset({party})), pure=False)


def numbers(b: Builder, n: int) -> list[Value]:
    """Products, truncations, comparisons, conversions, approximations."""
    x, y = brought(b, "a", "x", Fixed(), (n,)), brought(b, "d", "y", Fixed(), (n,))
    z = x * y
    one, whole = x + y, b.emit("floor", x + y)
    return [z, z < x, one.equals(y), whole, b.emit("div", x, b.emit("abs", y) + 1.0), b.emit("sigmoid", one)]


def orders(b: Builder, n: int) -> list[Value]:
    """Sorts, shuffles, groups: handles that serve several moves, there and back."""
    k, v = brought(b, "b", "k", INT, (n,)), brought(b, "d", "v", INT, (n,))
    k = k + brought(b, "a", "zero", INT, (n,))
    shown = brought(b, "c", "shown", BOOL, (n,)) ^ brought(b, "a", "turned", BOOL, (n,))
    new = b.emit("group_starts", b.emit("sort", k, axis=0))
    grouped = b.emit_many("group_rows", new, shown, v, how=("sum", "size"))
    return [b.emit("sort_by", v, k, descending=True), b.emit("shuffle", v + k), *grouped, b.emit("max", k, axis=0)]


def loops(b: Builder, n: int) -> list[Value]:
    """A loop in a loop, that compares and multiplies, with a client's value in it."""
    x, y = brought(b, "a", "x", Fixed(), (n,)), brought(b, "d", "y", Fixed(), (n,))

    def repeated(at: Builder, state: Value, other: Value, count: int, *, inner: bool) -> Value:
        one = Builder()
        one.append("param", (), {"index": 0}, Type(INT))
        here = one.append("param", (), {"index": 1}, Type(Fixed(), (n,), NOBODY))
        there = one.append("param", (), {"index": 2}, Type(Fixed(), (n,), frozenset({"d"})))
        if inner:
            out = one.emit("select", here < there, here * there, here - there)
        else:
            out = repeated(one, here, there, 2, inner=True)
        attrs = {"body": one.finish([out]), "count": count, "carried": 1, "start": 0, "step": 1}
        return at.items(at.append("loop", (state, other), attrs, [Type(Fixed(), (n,), NOBODY)], pure=False))[0]

    return [repeated(b, x, y, 3, inner=False)]


def matrices(b: Builder, n: int) -> list[Value]:
    """Products of a matrix that is used again, out of a loop and in it."""
    x, v = brought(b, "a", "x", Fixed(), (n, 8)), brought(b, "d", "v", Fixed(), (8, 1))
    again = x.transpose() @ (x @ v)
    body = Builder()
    body.append("param", (), {"index": 0}, Type(INT))
    here = body.append("param", (), {"index": 1}, again.type.seen(NOBODY))
    there = body.append("param", (), {"index": 2}, x.type)
    attrs = {"body": body.finish([there.transpose() @ (there @ here)]), "count": 3, "carried": 1, "start": 0, "step": 1}
    return [again, b.items(b.append("loop", (again, x), attrs, [again.type.seen(NOBODY)], pure=False))[0]]


def drawn(scheme: str, made: Callable[[Builder, int], list[Value]], n: int) -> Ledger:
    """What all parties draw in a run."""
    places, builder, ledger = PLACES[scheme], Builder(), Ledger()
    for k, value in enumerate(made(builder, n)):
        attrs = {"to": None, "name": f"out{k}", "column": ""}
        builder.append("reveal", (value,), attrs, value.type.seen(None), pure=False)
    circuit = builder.finish()
    rng = np.random.default_rng(7)
    inputs: dict[str, dict[tuple[str, str], Array]] = defaultdict(dict)
    for _, node in circuit:
        if node.op == "input":
            drawn = rng.integers(-9, 9, node.type.sizes)
            inputs[node["party"]][node["name"], ""] = drawn.astype(natural(node.type.dtype))
    timetable = schedule(SCHEMES[scheme].prepare(lower(circuit, places.nodes).circuit), places, SCHEMES[scheme])
    keys = pair_keys(len(places.names))
    engines = [Engine(timetable, places.seat(i, keys[i]), inputs[name]) for i, name in enumerate(places.names)]
    with ledger.open():
        lockstep([e.run() for e in engines])
    return ledger


@pytest.mark.parametrize("n", [1, 5, 300, 5000])
@pytest.mark.parametrize("made", [numbers, orders, loops, matrices])
@pytest.mark.parametrize("scheme", list(PLACES))
@pytest.mark.slow
def test_no_part_of_a_stream_is_drawn_twice(scheme: str, made: Callable[[Builder, int], list[Value]], n: int) -> None:
    ledger = drawn(scheme, made, n)

    assert len(ledger.draws) > 3, "the run drew nothing: the ledger is not in its way"
    assert ledger.twice == []


def test_products_with_one_mask_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    truncated = Rep3Player.mul_trunc
    monkeypatch.setattr(Rep3Player, "mul_trunc", lambda self, use, x, y, m: truncated(self, 1 << 40, x, y, m=m))

    assert drawn("rep3", numbers, 5).twice
