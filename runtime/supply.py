"""What peers say of their inputs before a job is compiled, taken as far as it can be true.

For: `shapes_of`, `told_by`.
Leaves to others: asking for it (`session`), what follows from it (`dsl.inputs.Bindings`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dsl.inputs import InputSpec, Told
from runtime.errors import PartyFailed

__all__ = ["shapes_of", "told_by"]


def shapes_of(peer: str, value: Any, specs: Sequence[InputSpec]) -> dict[str, tuple[int, ...]]:
    """A peer's shapes, as far as they can be true: for each of its inputs whole sizes of the right number."""
    if not isinstance(value, dict):
        raise PartyFailed(peer, "it did not say the shapes of its inputs")
    out: dict[str, tuple[int, ...]] = {}
    for spec in specs:
        shape = value.get(spec.name)
        axes = 1 if spec.table else len(spec.shape)
        whole = isinstance(shape, list) and all(isinstance(d, int) and 0 <= d < 1 << 40 for d in shape)
        if not isinstance(shape, list) or not whole or len(shape) != axes:
            raise PartyFailed(peer, f"it gave no usable shape for its input {spec.name}")
        out[spec.name] = tuple(shape)
    return out


def told_by(messages: Mapping[str, Any], specs: Sequence[InputSpec]) -> dict[tuple[str, str, int], Told]:
    """What all parties tell of rows that conditions keep."""
    tables = {(s.party, s.name) for s in specs if s.table}
    out: dict[tuple[str, str, int], Told] = {}
    for party, message in messages.items():
        try:
            for name, listed in dict(message).items():
                for place, rows, at in listed:
                    numbers = [place, rows, *at]
                    if (party, name) not in tables or not all(type(n) is int and 0 <= n < 1 << 40 for n in numbers):
                        raise ValueError("no such table, or no number")
                    out[party, name, place] = Told(rows, tuple(at))
        except (TypeError, ValueError):
            raise PartyFailed(party, "it told no usable numbers of rows that are kept") from None
    return out
