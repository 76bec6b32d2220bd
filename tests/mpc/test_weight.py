"""Which rounds are heavy: those of large operations, in loops at every iteration."""

from __future__ import annotations

from mpc.circuit import Builder, Circuit
from mpc.lower import lower
from mpc.places import Places
from mpc.protocols import SCHEMES
from mpc.schedule import Schedule, schedule
from mpc.types import NOBODY, Fixed, Type
from mpc.weight import ELEMENTS, heavy_rounds


def study(n: int, times: int) -> Schedule:
    """A product of few, then a loop of products of n, then a product of few."""
    b = Builder()
    few = b.append("input", (), {"name": "few"}, Type(Fixed(), (3,), frozenset("a")), pure=False)
    many = b.append("input", (), {"name": "many"}, Type(Fixed(), (n,), frozenset("a")), pure=False)
    other = b.append("input", (), {"name": "other"}, Type(Fixed(), (3,), frozenset("b")), pure=False)
    small = b.emit("mul", b.emit("mul", few, other), other)
    body = Builder()
    body.append("param", (), {"index": 0}, Type(Fixed(), ()))
    x = body.append("param", (), {"index": 1}, Type(Fixed(), (n,), NOBODY))
    y = body.emit("mul", x, x)
    attrs = {"body": Circuit(tuple(body.nodes), (y.index,)), "start": 0, "step": 1, "count": times, "carried": 1}
    loop = b.append("loop", (many,), attrs, [Type(Fixed(), (n,), NOBODY)], pure=False)
    (large,) = b.items(loop)
    last = b.emit(
        "mul", b.emit("sum", large, axis=None, keepdims=False), b.emit("sum", small, axis=None, keepdims=False)
    )
    b.append("reveal", (last,), {"name": "x", "to": ("a",)}, last.type.seen(frozenset("a")), pure=False)
    return schedule(lower(Circuit(tuple(b.nodes)), ("a", "b", "c")).circuit, Places(("a", "b", "c")), SCHEMES["rep3"])


def test_nothing_small_is_heavy() -> None:
    assert not heavy_rounds(study(8, 4)).any()


def test_a_loop_of_large_products_is_heavy_throughout_and_what_follows_is_not() -> None:
    timetable = study(ELEMENTS + 1, 4)
    heavy = heavy_rounds(timetable)
    (loop,) = timetable.bodies
    first, last = timetable.start[loop], timetable.start[loop] + timetable.length[loop]

    assert len(heavy) == timetable.rounds + 1
    assert heavy[first:last].all()
    assert not heavy[last + 1 :].any()
    assert last + 1 < len(heavy)
