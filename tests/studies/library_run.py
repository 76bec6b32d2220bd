"""Runs functions of the library: in the clear by the definitions, and on shares, all parties in this process.

For: `clear`, `shared`, `grid`, `split`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dsl.elaborate import elaborate
from dsl.inputs import Bindings, requirements
from dsl.parse import parse
from mpc import plain
from runtime import api

Floats = npt.NDArray[np.float64]
Data = Mapping[str, Mapping[str, Any]]

HEAD = "import ml\nimport stats\nparty a, b, c\n"


def grid(x: npt.ArrayLike) -> Floats:
    """Numbers rounded to 16 fraction bits, as their owner would round them: references start from the same."""
    return np.round(np.asarray(x, np.float64) * 65536) / 65536


def split(x: npt.ArrayLike) -> tuple[Any, Any]:
    """Two arrays that add up to x: what makes x a secret that no party has."""
    whole = np.asarray(x)
    part = np.random.default_rng(0).integers(-9, 10, whole.shape)
    return whole - part, part


def clear(text: str, data: Data) -> dict[str, Any]:
    """What a study gives in the clear, in exact arithmetic; by name."""
    study = parse(HEAD + text)
    sizes = {
        dim: int(size)
        for spec in requirements(study, {})
        for dim, size in zip(spec.shape, np.shape(data[spec.party][spec.name]), strict=True)
        if isinstance(dim, str)
    }
    circuit = elaborate(study, Bindings(sizes)).circuit
    inputs = {(party, name, ""): np.asarray(x) for party, brought in data.items() for name, x in brought.items()}
    with np.errstate(all="ignore"):
        values = plain.evaluate(circuit, inputs)
    return {name: value for (name, _), value in plain.outputs(circuit, values).items()}


def shared(text: str, data: Data, protocol: str = "rep3") -> dict[str, Any]:
    """What a study gives on shares."""
    preprocessing = "dealer" if protocol == "additive" else None
    study = api.compile(HEAD + text, protocol=protocol, preprocessing=preprocessing)
    results = api.simulate_sync(study, data, limit=120)
    return {name: np.asarray(value) for name, value in results["a"].items()}
