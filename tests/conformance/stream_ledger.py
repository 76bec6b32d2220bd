"""What each party draws from its keys in a run of engines: no part of a stream may be drawn twice by one party."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest

from mpc.engine import Engine
from mpc.prg import BLOCK, Prg
from mpc.protocol import Step

__all__ = ["Ledger"]


class Ledger:
    """By a party's name, the key and the use: the blocks from first to last, draw after draw."""

    def __init__(self) -> None:
        self.party = ""
        self.draws: dict[tuple[str, bytes, int], list[tuple[int, int]]] = defaultdict(list)

    @contextmanager
    def open(self) -> Iterator[Ledger]:
        """Note what engines draw that start to run meanwhile."""
        bytes_of, run = Prg.bytes, Engine.run

        def noted(stream: Prg, use: int, offset: int, octets: int) -> Any:
            if self.party and octets:
                self.draws[self.party, stream._key, use].append((offset, offset + -(-octets // BLOCK)))
            return bytes_of(stream, use, offset, octets)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Prg, "bytes", noted)
            patch.setattr(Engine, "run", lambda engine: self._follow(engine.name, run(engine)))
            yield self

    def _follow(self, party: str, step: Step[Any]) -> Step[Any]:
        got = None
        while True:
            self.party = party
            try:
                exchange = next(step) if got is None else step.send(got)
            except StopIteration as stop:
                return stop.value
            finally:
                self.party = ""
            got = yield exchange

    @property
    def twice(self) -> list[tuple[str, int, tuple[int, int], tuple[int, int]]]:
        """Draws of one party from one key and use that meet."""
        out = []
        for (party, _, use), ranges in self.draws.items():
            ordered = sorted(ranges)
            out += [(party, use, a, b) for a, b in pairwise(ordered) if b[0] < a[1]]
        return out
