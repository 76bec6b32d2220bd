"""Runs a surface circuit in the clear, node by node, with the definitions of the catalogue; and whole studies with it.

For: `run_study`, the reference of the tests of elaboration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from dsl.elaborate import elaborate
from dsl.inputs import Bindings, requirements
from dsl.outputs import Elaborated, Output
from dsl.parse import parse
from dsl.stypes import EPOCH, SType
from mpc.circuit import Circuit
from mpc.op import find

Data = Mapping[str, Mapping[str, Any]]
"""By party and name: an array, or a mapping of columns."""


def execute(circuit: Circuit, data: Data, params: Sequence[Any] = ()) -> list[Any]:
    """The value of every node."""
    values: list[Any] = []
    for _, node in circuit:
        src = [values[i] for i in node.src]
        match node.op:
            case "const":
                values.append(node["value"].array)
            case "input":
                values.append(_input(node, data))
            case "param":
                values.append(params[node["index"]])
            case "item":
                values.append(src[0][node["index"]])
            case "loop":
                values.append(_loop(node, src, data))
            case "open" | "reveal":
                values.append(src[0])
            case _:
                ref = find(node.op).ref
                assert ref is not None
                with np.errstate(all="ignore"):
                    out = ref(*src, **dict(node.attrs))
                if node.outs:
                    values.append(out)
                    continue
                out = np.asarray(out)
                assert out.shape == node.type.sizes, f"{node.op}: {out.shape} is not {node.type.sizes}"
                values.append(out)
    return values


def _input(node: Any, data: Data) -> Any:
    brought = data[node["party"]][node["name"]]
    column = node["column"]
    if isinstance(brought, Mapping):
        brought = brought[column]
    array = np.asarray(brought).astype({"int": np.int64, "fixed": np.float64, "bool": np.bool_}[node.type.dtype.kind])
    assert array.shape == node.type.sizes, f"{node['name']}: {array.shape} is not {node.type.sizes}"
    if node["range"] is not None and array.size:
        low, high = node["range"]
        assert array.min() >= low
        assert array.max() <= high
    return array


def _loop(node: Any, src: list[Any], data: Data) -> list[Any]:
    carried = node["carried"]
    state, fixed = src[:carried], src[carried:]
    body = node["body"]
    for k in range(node["count"]):
        index = np.int64(node["start"] + node["step"] * k)
        values = execute(body, data, [index, *state, *fixed])
        state = [values[i] for i in body.results]
        for value, t in zip(state, node.types, strict=True):
            assert np.shape(value) == t.sizes
    return state


def bindings_of(study: Any, data: Data, params: Mapping[str, Any]) -> Bindings:
    """The sizes of test data."""
    sizes: dict[str, int] = {}
    rows: dict[tuple[str, str], int] = {}
    for spec in requirements(study, params):
        brought = data[spec.party][spec.name]
        if spec.table:
            rows[spec.party, spec.name] = len(next(iter(brought.values())))
        else:
            shape = np.shape(brought if not isinstance(brought, Mapping) else brought[""])
            for dim, size in zip(spec.shape, shape, strict=True):
                if isinstance(dim, str):
                    sizes[dim] = size
    return Bindings(sizes, rows, params)


def run(text: str, data: Data, params: Mapping[str, Any] | None = None) -> tuple[Elaborated, list[Any]]:
    """All stages of a study: the last elaboration and the value of every node."""
    study = parse(text)
    bindings = bindings_of(study, data, params or {})
    known: list[Any] = []
    before: Elaborated | None = None
    while True:
        done = elaborate(study, bindings, known)
        if before is not None:  # a stage repeats the ones before it
            assert done.circuit.nodes[: len(before.circuit.nodes)] == before.circuit.nodes
        values = execute(done.circuit, data)
        if done.needs is None:
            return done, values
        assert done.circuit.nodes[done.needs].type.public
        known.append(values[done.needs])
        before = done


def run_study(text: str, data: Data | None = None, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The results of a study by name, as people see them; the same name at two parties as `name@party`."""
    done, values = run(text, data or {}, params)
    results: dict[str, Any] = {}
    names = [o.name for o in done.outputs]
    for output in done.outputs:
        twice = names.count(output.name) > 1 and output.receivers is not None
        key = f"{output.name}@{output.receivers[0]}" if twice and output.receivers else output.name
        results[key] = shown(output, values)
    return results


def shown(output: Output, values: Any) -> Any:
    """An output as people see it; values: of nodes, by index."""

    def column(c: Any) -> Any:
        valid = None if c.valid is None else values[c.valid]
        return _natural(values[c.node], c.stype, valid)

    if not output.table:
        return column(output.columns[0])
    columns = {c.name: column(c) for c in output.columns}
    rows = len(next(iter(columns.values())))
    there = np.ones(rows, bool) if output.visible is None else values[output.visible]
    return [{name: c[i] for name, c in columns.items()} for i in range(rows) if there[i]]


def _natural(array: Any, stype: SType, valid: Any) -> Any:
    array = np.asarray(array)
    if stype.kind == "text":
        if array.ndim == 1:
            return _text(array) if valid is None or bool(valid) else None
        return [
            _natural(a, stype, None if valid is None else v)
            for a, v in zip(array, _masks(valid, len(array)), strict=True)
        ]
    if array.ndim:
        return [_natural(a, stype, v) for a, v in zip(array, _masks(valid, len(array)), strict=True)]
    if valid is not None and not bool(valid):
        return None
    match stype.kind:
        case "bool":
            return bool(array)
        case "fixed":
            return float(array)
        case "decimal":
            return Decimal(int(array)).scaleb(-stype.places)
        case "enum":
            return stype.words[int(array)]
        case "date":
            return (EPOCH.fromordinal(EPOCH.toordinal() + int(array))).isoformat()
    return int(array)


def _masks(valid: Any, count: int) -> Any:
    return [None] * count if valid is None else valid


def _text(words: Any) -> str:
    data = b"".join(int(x).to_bytes(7, "big") for x in words)
    return data.rstrip(b"\0").decode()
