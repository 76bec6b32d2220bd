"""How fast the arithmetic under the protocols runs here, beside the plain NumPy expression for the same result.

    python benchmarks/kernels.py [words in a name ...]        e.g. `matmul prg`

Every figure is the best of several runs.  `GB/s` counts the bytes of operands and result once each.  The BLAS runs with
the threads that the environment gives it.
"""

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mpc import bitslice, ring
from mpc.prg import Prg

Ring = NDArray[np.uint64]


class Line(NamedTuple):
    """One measurement: what was run, how much work it is in which unit, and the plain way if there is one."""

    name: str
    kernel: Callable[[], Any]
    work: float
    unit: str
    plain: Callable[[], Any] | None = None


def draw(*shape: int) -> Ring:
    return Prg(bytes(16)).cursor(sum(shape)).words(shape)


def seconds(call: Callable[[], Any], budget: float = 0.15) -> float:
    """The best time of a call, over runs that fill the budget (three at least)."""
    best, spent, runs = float("inf"), 0.0, 0
    while runs < 3 or spent < budget:
        start = time.perf_counter()
        call()
        took = time.perf_counter() - start
        best, spent, runs = min(best, took), spent + took, runs + 1
    return best


def matmul() -> Iterator[Line]:
    shapes = [(8, 8, 8), (64, 64, 64), (128, 784, 1), (1, 784, 128), (128, 784, 10), (10_000, 100, 10)]
    shapes += [(128, 128, 128), (128, 784, 128), (256, 256, 256), (512, 512, 512), (1024, 1024, 1024)]
    for m, k, n in shapes:
        a, b = draw(m, k), draw(k, n)
        plain = (lambda a=a, b=b: a @ b) if m * k * n <= 1 << 27 else None
        yield Line(f"matmul {m}x{k}x{n}", lambda a=a, b=b: ring.matmul(a, b), m * k * n, "MAC", plain)
    a, b = draw(512, 512), draw(512, 512)
    small = b >> np.uint64(44)
    left = ring.split(a)
    yield Line("matmul 512^3, left side split", lambda: ring.matmul(left, b), 512**3, "MAC")
    yield Line("matmul 512^3, right side 21 bits", lambda: ring.matmul(a, small, b_bits=21), 512**3, "MAC")
    yield Line(
        "matmul 512^3, both sides 21 bits", lambda: ring.matmul(small, small, a_bits=21, b_bits=21), 512**3, "MAC"
    )
    yield Line("matmul split 512x512", lambda: ring.split(a), 32 * a.size, "B")


def elements() -> Iterator[Line]:
    for n in (100, 10_000, 1_000_000):
        v, w, x, y, z = (draw(n + i)[:n] for i in range(5))
        yield Line(
            f"elements mul_cross {n}",
            lambda v=v, w=w, x=x, y=y: ring.mul_cross(v, w, x, y),
            40 * n,
            "B",
            lambda v=v, w=w, x=x, y=y: v * (x + y) + w * x,
        )
        yield Line(
            f"elements beaver {n}",
            lambda v=v, w=w, x=x, y=y, z=z: ring.beaver(v, w, x, y, z),
            48 * n,
            "B",
            lambda v=v, w=w, x=x, y=y, z=z: v + w * x + y * z,
        )


def codec() -> Iterator[Line]:
    for n in (100, 1_000_000):
        encoded = draw(n) >> np.uint64(20)
        values = ring.decode(encoded, 16)
        yield Line(
            f"codec encode {n}",
            lambda v=values: ring.encode(v, 16),
            16 * n,
            "B",
            lambda v=values: np.rint(v * 65536).astype(np.int64).view(np.uint64),
        )
        yield Line(
            f"codec decode {n}",
            lambda e=encoded: ring.decode(e, 16),
            16 * n,
            "B",
            lambda e=encoded: e.view(np.int64) / 65536,
        )
        for bits in (10, 17, 33):
            packed = ring.pack_bits(encoded, bits)
            yield Line(f"codec pack_bits {bits} {n}", lambda e=encoded, b=bits: ring.pack_bits(e, b), n, "element")
            yield Line(
                f"codec unpack_bits {bits} {n}", lambda p=packed, b=bits, n=n: ring.unpack_bits(p, b, n), n, "element"
            )


def prg() -> Iterator[Line]:
    stream = Prg(bytes(16))
    plain = np.random.Generator(np.random.PCG64(1))
    for n in (2, 128, 2048, 1 << 14, 1 << 17, 1 << 23):
        yield Line(
            f"prg words {n}",
            lambda n=n: stream.words(1, 0, n),
            8 * n,
            "B",
            lambda n=n: plain.integers(0, 1 << 64, n, np.uint64),
        )
    n = 1_000_000
    yield Line("prg bits 1000000", lambda: stream.cursor(1).bits(n), n, "B")
    yield Line(
        "prg permutation 1000000",
        lambda: stream.permutation(1, n),
        n,
        "element",
        lambda: np.argsort(stream.words(1, 0, n), kind="stable"),
    )


def slices() -> Iterator[Line]:
    for n in (1, 100, 4096, 1_000_000):
        x = draw(n)
        for width in (64, 32, 16):
            words = bitslice.slice_bits(x, width)
            yield Line(
                f"slices slice_bits {width} {n}",
                lambda x=x, w=width: bitslice.slice_bits(x, w),
                n,
                "element",
                (lambda x=x, w=width: by_unpacking(x, w)) if n <= 4096 else None,
            )
            yield Line(f"slices unslice {width} {n}", lambda s=words, n=n: bitslice.unslice(s, n), n, "element")
    for n in (5, 1001, 100_000, 100_001):
        words = bitslice.slice_bits(draw(n))
        message = bitslice.to_wire(words, n)
        yield Line(f"slices to_wire 64 rows of {n}", lambda s=words, n=n: bitslice.to_wire(s, n), 8 * n, "B")
        yield Line(f"slices from_wire 64 rows of {n}", lambda m=message, n=n: bitslice.from_wire(m, 64, n), 8 * n, "B")


def by_unpacking(x: Ring, width: int) -> NDArray[np.uint8]:
    """The bit matrix by NumPy's own unpacking, transposed and packed."""
    bits = np.unpackbits(x.view(np.uint8).reshape(-1, 8), axis=1, count=width, bitorder="little")
    return np.packbits(bits.T, axis=1, bitorder="little")


def main(wanted: list[str]) -> None:
    print(f"{'kernel':40} {'time':>11} {'rate':>18} {'plain':>11} {'ratio':>7}")
    for group in (matmul, elements, codec, prg, slices):
        if wanted and not any(word in group.__name__ for word in wanted):
            continue
        for line in group():
            took = seconds(line.kernel)
            rate = f"{line.work / took / 1e9:.3f} G{line.unit}/s"
            plain = seconds(line.plain) if line.plain else None
            beside = f"{plain * 1e6:8.1f} us {plain / took:7.2f}" if plain else ""
            print(f"{line.name:40} {took * 1e6:8.1f} us {rate:>18} {beside}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
