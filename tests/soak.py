"""A long run of truncations, comparisons and highest places, bit for bit against their definitions: `make soak`.

    python tests/soak.py [--count 1000000000] [--protocol rep3]

Operands are drawn over the whole domain of each primitive, its ends more often than chance would have them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from mpc.boolean import SHAPES
from mpc.leading import Slots, digits
from mpc.lockstep import lockstep
from mpc.places import Places
from mpc.protocol import USES
from mpc.protocols import SCHEMES
from mpc.simulate import pair_keys
from mpc.types import BOOL, INT, NOBODY, Layout, Type

BATCH = 1 << 20
ENDS = 64


class Table:
    """All places of one protocol in this process, with uses that never repeat."""

    def __init__(self, protocol: str) -> None:
        scheme = SCHEMES[protocol]
        self.places = Places(("a", "b", "c")) if protocol == "rep3" else Places(("a", "b"), dealer="dealer")
        keys = pair_keys(len(self.places.names))
        seats = [self.places.seat(i, keys[i]) for i in range(len(self.places.names))]
        self.players = [scheme.player(s) for s in seats[: len(self.places.nodes)]]
        self.dealer = scheme.dealer(seats[-1]) if self.places.dealer else None
        self.use = 0

    def step(self, op: str, types: list[Type], attrs: dict[str, Any], *args: list[Any], **kwargs: Any) -> list[Any]:
        use, self.use = self.use, self.use + USES
        steps = [getattr(p, op)(use, *(a[i] for a in args), **kwargs) for i, p in enumerate(self.players)]
        if self.dealer is not None:
            steps.append(self.dealer.deal(op, use, types, attrs))
        return lockstep(steps)[0]

    def share(self, x: np.ndarray) -> list[Any]:
        attrs = {"owner": 0}
        ring = Type(INT, x.shape, frozenset("a"), Layout.RING)
        use, self.use = self.use, self.use + USES
        steps = [
            p.share(use, x if i == 0 else None, owner=0, shape=x.shape, bits=False) for i, p in enumerate(self.players)
        ]
        if self.dealer is not None:
            steps.append(self.dealer.deal("share", use, [ring], attrs))
        return lockstep(steps)[0]

    def open(self, x: list[Any], n: int, bits: bool) -> np.ndarray:
        t = Type(BOOL if bits else INT, (n,), NOBODY, Layout.BITS if bits else Layout.ARITH)
        to = tuple(range(len(self.players)))
        return np.asarray(self.step("open", [t], {"to": to}, x, to=to, bits=bits)[0])


def signed(rng: np.random.Generator, width: int) -> np.ndarray:
    """Numbers of `width` bits, of all magnitudes, the ends among them."""
    raw = rng.integers(-(1 << 63), 1 << 63, BATCH, dtype=np.int64, endpoint=False)
    x = raw >> rng.integers(64 - width, 63, BATCH)
    top = (1 << (width - 1)) - 1
    ends = np.array([0, 1, -1, top, -top - 1, top - 1, -top], np.int64)
    x[: len(ends) * ENDS] = np.tile(ends, ENDS)
    return x


def trunc(table: Table, rng: np.random.Generator) -> int:
    m = int(rng.integers(1, 40))
    x = signed(rng, 63)
    x = np.clip(x, -(1 << 62) + 1, (1 << 62) - 1)
    kind = Type(INT, x.shape, NOBODY, Layout.ARITH)
    got = table.step("trunc", [kind], {"m": m}, table.share(x.view(np.uint64)), m=m)
    off = table.open(got, len(x), False).view(np.int64) - (x >> m)
    return int(np.count_nonzero((off != 0) & (off != 1)))


def shift(table: Table, rng: np.random.Generator) -> int:
    width = int(rng.integers(20, 65))
    m = int(rng.integers(1, min(width, 40)))
    x = signed(rng, width)
    kind = Type(INT, x.shape, NOBODY, Layout.ARITH)
    attrs = {"m": m, "width": width}
    got = table.step("shift", [kind], attrs, table.share(x.view(np.uint64)), **attrs)
    return int(np.count_nonzero(table.open(got, len(x), False).view(np.int64) != x >> m))


def compare(op: str, meant: Callable[[np.ndarray], np.ndarray]) -> Callable[[Table, np.random.Generator], int]:
    def check(table: Table, rng: np.random.Generator) -> int:
        width = int(rng.integers(1, 65))
        x = signed(rng, width) if width > 1 else -rng.integers(0, 2, BATCH)
        kind = Type(INT, x.shape, NOBODY, Layout.ARITH)
        attrs: dict[str, Any] = {"width": width}
        if op == "ltz":
            attrs["in_chain"] = bool(rng.integers(2))
        got = table.step(op, [kind], attrs, table.share(x.view(np.uint64)), **attrs)
        return int(np.count_nonzero(table.open(got, len(x), True).astype(bool) != meant(x)))

    return check


def place(table: Table, rng: np.random.Generator) -> int:
    """The digits of the highest bit's place, by any carries."""
    width = int(rng.integers(2, 64))
    slots = Slots(width, signed=bool(rng.integers(2)))
    x = signed(rng, width) if slots.signed else signed(rng, 64) & ((1 << width) - 1)
    attrs = {**slots._asdict(), "sparse": int(rng.integers(len(SHAPES)))}
    kind = Type(INT, x.shape, NOBODY, Layout.ARITH)
    got = table.step("leading", [kind], attrs, table.share(x.view(np.uint64)), **attrs)
    flat = [part.reshape(len(part), -1) for part in got[: len(table.players)]]
    found = table.open(flat, x.size * slots.size, True).reshape(x.size, slots.size)
    return int(np.count_nonzero(found != digits(x.view(np.uint64), slots)))


CHECKS = {
    "trunc": trunc,
    "shift": shift,
    "ltz": compare("ltz", lambda x: x < 0),
    "eqz": compare("eqz", lambda x: x == 0),
    "leading": place,
}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=1_000_000_000)
    parser.add_argument("--protocol", default="rep3", choices=sorted(SCHEMES))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    table = Table(options.protocol)
    started = time.monotonic()
    done = wrong = 0
    while done < options.count:
        for name, check in CHECKS.items():
            bad = check(table, rng)
            wrong += bad
            done += BATCH
            if bad:
                print(f"\n{name}: {bad} of {BATCH} wrong", flush=True)
        rate = done / (time.monotonic() - started)
        print(f"\r{done:,} done, {wrong} wrong, {rate / 1e6:.1f} million a second", end="", flush=True)
    print()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
