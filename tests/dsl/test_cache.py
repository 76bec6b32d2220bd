"""Stages compiled before are found again, and only where they are the same."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from dsl.cache import Cache
from dsl.compile import Compiler, Made, Stage
from dsl.inputs import Bindings
from dsl.parse import parse
from mpc.places import Places
from mpc.protocols import SCHEMES

TEXT = """party a, b, c
param k: int = 2
input x: fixed[n] from a
input y: fixed[n] from b
if reveal(sum(x) > sum(y)):
    reveal k * sum(x) to c as larger
else:
    reveal sum(y) to c as larger
"""
SIZES = Bindings(sizes={"n": 4})


def compiler(made: Cache[Made], bindings: Bindings = SIZES, scheme: str = "rep3", text: str = TEXT) -> Compiler:
    return Compiler(parse(text), bindings, Places(("a", "b", "c")), SCHEMES[scheme], made)


def test_the_same_job_is_compiled_once_stage_by_stage() -> None:
    made: Cache[Made] = Cache()

    def stages(opened: bool) -> list[Stage]:
        one = compiler(made)
        first = one.stage()
        one.opened(np.array(opened))
        return [first, one.stage()]

    once, again, other = stages(True), stages(True), stages(False)

    assert [a is b for a, b in zip(once, again, strict=True)] == [True, True]
    assert [a is b for a, b in zip(once, other, strict=True)] == [True, False]
    assert once[1].schedule.digest != other[1].schedule.digest


@pytest.mark.parametrize(
    "change",
    [
        {"bindings": replace(SIZES, sizes={"n": 5})},
        {"bindings": replace(SIZES, params={"k": "3"})},
        {"bindings": replace(SIZES, frac=12)},
        {"text": TEXT + "\n"},
        {"scheme": "additive"},
    ],
)
def test_another_job_is_compiled_anew(change: dict[str, object]) -> None:
    made: Cache[Made] = Cache()

    assert compiler(made).stage() is not compiler(made, **change).stage()  # type: ignore[arg-type]


def test_who_asks_meanwhile_waits() -> None:
    cache: Cache[int] = Cache()
    asked, go_on = threading.Event(), threading.Event()
    made = []

    def make() -> int:
        made.append(1)
        asked.set()
        assert go_on.wait(10)
        return 7

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(cache.get, b"k", make)
        assert asked.wait(10)
        second = pool.submit(cache.get, b"k", make)
        go_on.set()
        assert (first.result(), second.result(), len(made)) == (7, 7, 1)


def test_what_fails_is_not_kept() -> None:
    cache: Cache[int] = Cache()
    with pytest.raises(ZeroDivisionError):
        cache.get(b"k", lambda: 1 // 0)

    assert cache.get(b"k", lambda: 3) == 3


def test_the_longest_unused_goes_first() -> None:
    cache: Cache[int] = Cache(most=2)
    for key in (b"a", b"b", b"a", b"c"):
        cache.get(key, lambda: 1)

    assert cache.get(b"a", lambda: 2) == 1
    assert cache.get(b"b", lambda: 2) == 2
