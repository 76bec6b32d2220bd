"""`merge` of every scheme, and what is built on it: rows that several parties bring, each in order at home."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from conformance_run import Run, idle, kind
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from order_run import PLACES, private

from mpc.circuit import Array, Builder, Value
from mpc.circuits.relational_join import join_rows
from mpc.circuits.relational_lookup import lookup_rows, match_rows
from mpc.circuits.relational_sort import sort_rows
from mpc.circuits.relational_unique import duplicates
from mpc.circuits.sort import sort, sort_by
from mpc.lower import lower
from mpc.merging import network
from mpc.passes import optimise
from mpc.plain import evaluate, outputs
from mpc.protocols import SCHEMES
from mpc.schedule import schedule
from mpc.simulate import simulate

CLOSE = 1 << 12
"""What a round counts in bytes: little, so that few rows are merged as many are."""

everywhere = pytest.mark.parametrize("where", ["rep3", "additive-2"])
few = settings(max_examples=8, suppress_health_check=list(HealthCheck))


def in_runs(rng: np.random.Generator, runs: Sequence[int], width: int) -> Array:
    """Bits (n, width), lowest first, of distinct numbers, each run ascending."""
    n, low = sum(runs), min(width, 60)
    picked = rng.choice(1 << low, n, replace=False) if low < 20 else rng.permutation(np.arange(n) * 977)
    bits = np.zeros((n, width), np.uint8)
    bits[:, width - low :] = picked[:, None] >> np.arange(low) & 1
    for end, size in zip(np.cumsum(runs), runs, strict=True):
        part = bits[end - size : end]
        part[...] = part[np.lexsort(part.T)]
    return bits


@pytest.mark.parametrize("width", [1, 2, 3, 7, 16, 63, 64, 65, 82, 200])
@pytest.mark.parametrize("runs", [(1, 1), (40, 30), (1, 65), (64, 64), (9, 20, 3)], ids=str)
def test_every_width_and_length(run: Run, width: int, runs: tuple[int, ...]) -> None:
    if sum(runs) > 1 << min(width, 20):
        pytest.skip("so many numbers are not of so few bits")
    bits = in_runs(np.random.default_rng(width), runs, width)
    share, attrs = run.share(bits), {"runs": runs}
    cost = run.declared("merge", [kind(bits)], kind(bits), attrs)
    use = next(run.uses) << 12  # each stage takes use numbers of its own
    steps = [p.merge(use, part, runs=runs) for p, part in zip(run.players, share.parts, strict=True)]
    if run.dealer is not None:
        steps.append(run.dealer.deal("merge", use, [kind(bits)], attrs))
    found = run.drive([*steps, *(idle(cost) for _ in run.setup.clients)], cost)[: run.setup.nodes]
    whole = found[0][0] ^ found[1][0] if run.setup.scheme != "rep3" else found[0][0] ^ found[0][1] ^ found[1][1]
    if run.setup.nodes == 3 and run.setup.scheme != "rep3":
        whole = whole ^ found[2][0]
    np.testing.assert_array_equal(whole, bits[np.lexsort(bits.T)])
    assert len(cost.rounds) % len(network(runs).stages) == 0


# -- operations --------------------------------------------------------------------------------


class Brought:
    """Columns in parts: those of a, those of b, and those that are public."""

    def __init__(self) -> None:
        self.b = Builder()
        self.inputs: dict[str, dict[tuple[str, str], Array]] = {"a": {}, "b": {}}
        self._names = iter(range(1 << 20))

    def of(self, party: str, array: Array, within: Any = None) -> Value:
        if party == "public":
            return self.b.const(array)
        name = f"x{next(self._names)}"
        self.inputs[party][name, ""] = array
        return private(self.b, party, name, array, within)

    def together(self, parts: Sequence[tuple[str, Array]], within: Any = None) -> Value:
        values = [self.of(party, array, within) for party, array in parts]
        return values[0] if len(values) == 1 else self.b.emit("concat", *values, axis=0)

    def hidden(self, flags: Array) -> Value:
        """Truth values that nobody sees."""
        return self.of("a", flags) ^ self.of("b", np.zeros(flags.shape, np.bool_))

    def agree(self, outs: Sequence[Value], where: str, *, merging: bool | None = True) -> None:
        """All results as defined; merging: whether runs are merged, None where it does not matter."""
        for i, out in enumerate(outs):
            self.b.append("reveal", (out,), {"name": f"out{i}", "to": None}, out.type.seen(None), pure=False)
        circuit = self.b.finish()
        brought = {(party, *key): x for party, mine in self.inputs.items() for key, x in mine.items()}
        wanted = outputs(circuit, evaluate(circuit, brought))
        places, scheme = PLACES[where], SCHEMES[where.split("-")[0]]
        done = simulate(circuit, self.inputs, scheme, places, CLOSE)
        assert done.measured.total == done.schedule.links
        got = done.reports["a"].outputs
        for key, value in wanted.items():
            np.testing.assert_array_equal(got[key], value)
        ops = [node.op for _, node in done.schedule.circuit]
        if merging is not None:
            assert ("merge" in ops) is merging


KEYS: dict[str, Callable[[np.random.Generator, int], Array]] = {
    "int": lambda rng, n: rng.integers(-50, 50, n),
    "wide": lambda rng, n: rng.choice([-(1 << 63), (1 << 63) - 1, 0, -1, 5], n),
    "fixed": lambda rng, n: rng.choice([-(2.0**45), -1.25, -(2.0**-16), 0.0, 2.0**-16, 3.5, 2.0**45], n),
    "text": lambda rng, n: rng.integers(0, 3, (n, 2)) * (1 << 55),
}


@everywhere
@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("down", [False, True])
def test_rows_of_two_owners_come_in_order(where: str, key: str, down: bool) -> None:
    rng = np.random.default_rng(3)
    t = Brought()
    sizes = 300, 170
    keys = t.together([(p, KEYS[key](rng, n)) for p, n in zip("ab", sizes, strict=True)])
    flag = t.together([(p, rng.integers(0, 2, n).astype(np.bool_)) for p, n in zip("ab", sizes, strict=True)])
    row = t.together([("a", np.arange(300)), ("b", np.arange(300, 470))])
    out = sort_rows(flag, keys, row, keys=2, descending=(not down, down))
    t.agree(list(out), where)


@everywhere
@few
@given(rng=st.integers(0, 1 << 32).map(np.random.default_rng), n=st.integers(0, 40), m=st.integers(0, 40))
def test_runs_of_any_length(where: str, rng: np.random.Generator, n: int, m: int) -> None:
    t = Brought()
    keys = t.together([("a", KEYS["int"](rng, n)), ("b", KEYS["int"](rng, m)), ("public", np.array([3, -7]))])
    rows = t.hidden(rng.integers(0, 2, n + m + 2).astype(np.bool_))
    out = [sort(keys, axis=0), sort_by(rows, keys), duplicates(keys, rows)]
    t.agree(out, where, merging=None)


@everywhere
@pytest.mark.parametrize("seen", ["public", "owner", "nobody"])
@pytest.mark.parametrize("key", ["int", "text"])
def test_joins_of_two_owners(where: str, seen: str, key: str) -> None:
    """Keys that their owners see, and left rows that do not count, which may repeat a key."""
    rng = np.random.default_rng(5)
    m, n = 1100, 1300
    numbers = rng.permutation(3000)[:m] - 1500
    shown = np.ones(m, np.bool_) if seen == "public" else rng.random(m) < 0.7
    numbers[~shown] = rng.integers(-1500, 1500, (~shown).sum())
    others = rng.integers(-1500, 1500, n)

    def written(x: Array) -> Array:
        return x if key == "int" else np.stack([x // 40, x % 40], axis=1)

    def columns(t: Brought, left: Array, right: Array) -> tuple[Value, ...]:
        visible = t.hidden(shown) if seen == "nobody" else t.of("a" if seen == "owner" else "public", shown)
        return t.of("a", written(left)), visible, t.of("b", written(right)), t.hidden(rng.random(n) < 0.9)

    t = Brought()
    x, visible, y, kept = columns(t, numbers, others)
    numeric, flag = t.of("a", rng.integers(-(1 << 62), 1 << 62, m)), t.of("a", rng.random(m) < 0.5)
    t.agree(lookup_rows(x, visible, numeric, flag, y, kept, keys=1, payload=2), where)

    t = Brought()
    x, visible, y, kept = columns(t, numbers // 7, others // 5)
    t.agree([match_rows(x, visible, y, kept, keys=1)], where, merging=seen != "nobody")


@everywhere
def test_joins_where_keys_repeat(where: str) -> None:
    rng = np.random.default_rng(8)
    m, n = 900, 800
    t = Brought()
    left = t.of("a", rng.integers(0, 1000, m)), t.of("a", rng.random(m) < 0.9), t.of("a", np.arange(m))
    right = t.of("b", rng.integers(0, 1000, n)), t.hidden(rng.random(n) < 0.9), t.of("b", np.arange(n))
    out = join_rows(*left, *right, keys=1, left=1, right=1, rows=1500)
    # Behind the pairs the last one is repeated.
    t.agree(list(out), where)


@everywhere
def test_a_key_that_two_owners_have_is_found_without_an_order(where: str) -> None:
    rng = np.random.default_rng(9)
    for repeated in (False, True):
        t = Brought()
        ours, theirs = rng.permutation(4000)[:1000], rng.permutation(np.arange(4000, 8000))[:1000]
        theirs[7] = ours[3] if repeated else theirs[7]
        keys = t.together([("a", ours), ("b", theirs)])
        visible = t.together([("a", np.ones(1000, np.bool_)), ("b", np.ones(1000, np.bool_))])
        t.agree([duplicates(keys, visible)], where)


def test_merging_two_runs_sends_less_than_sorting_does() -> None:
    rng = np.random.default_rng(2)
    sent = []
    for merging in (True, False):
        t = Brought()
        parts = [("a", rng.integers(0, 1 << 62, 4000)), ("b", rng.integers(0, 1 << 62, 4000))]
        x = t.together(parts) if merging else t.of(*parts[0]) + t.of(*parts[1])
        row = t.hidden(rng.random(len(parts[0][1]) * (2 if merging else 1)) < 0.5)
        t.b.append("reveal", (sort_by(row, x),), {"name": "out", "to": None}, row.type.seen(None), pure=False)
        places, scheme = PLACES["rep3"], SCHEMES["rep3"]
        lowered = optimise(lower(t.b.finish(), places.names[:3]).circuit)
        done = schedule(lowered, places, scheme)
        sent.append(max(done.sent().values()) / row.type.sizes[0])
    assert sent[0] < 0.6 * sent[1]
