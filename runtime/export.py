"""What a party has learned, as files that other programs read.

For: `write`, which makes a file for each result: a table as CSV, an array as `.npy`, a model as `.npz` with its fields.
Leaves to others: collecting results (`results`), a model as an ONNX graph (`onnx_model`).

No file holds a pickle. A name within a model's file is the way to it: `weights`, `layers.0.weights`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.onnx_model import write_onnx
from runtime.results import ArrayOutput, Output, RecordOutput, TableOutput, cells, native

__all__ = ["write"]


def write(outputs: Sequence[Output], directory: Path) -> list[Path]:
    """Writes each table as NAME.csv, in the form that `--data` reads, each array as NAME.npy, each model as NAME.npz.

    A model that is linear or a network is written as NAME.onnx too where the package `onnx` is installed. An array of
    dates is written as NumPy's days, one of enum words or texts as strings, a decimal as its float64.
    Gives the paths written. Raises OSError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    return [path for output in outputs for path in _write(output, directory / _file_name(output.name))]


def _file_name(name: str) -> str:
    """The study may come from others: its names must not lead out of the directory."""
    return re.sub(r"\W", "_", name) or "_"


def _write(output: Output, stem: Path) -> list[Path]:
    match output:
        case TableOutput():
            path = stem.with_name(f"{stem.name}.csv")
            _write_table(output, path)
            return [path]
        case RecordOutput():
            path = stem.with_name(f"{stem.name}.npz")
            np.savez(path, allow_pickle=False, **dict(_fields(output, "")))
            drawn = stem.with_name(f"{stem.name}.onnx")
            return [path, drawn] if write_onnx(output, drawn) else [path]
        case _:
            path = stem.with_name(f"{stem.name}.npy")
            np.save(path, native(output), allow_pickle=False)
            return [path]


def _fields(output: RecordOutput, path: str) -> Iterator[tuple[str, NDArray[Any]]]:
    for part in output.parts:
        match part:
            case ArrayOutput():
                yield path + part.name, native(part)
            case RecordOutput():
                yield from _fields(part, f"{path}{part.name}.")
            case TableOutput():
                raise AssertionError("a record has no tables")


def _write_table(output: TableOutput, path: Path) -> None:
    columns = []
    for name, type_ in output.columns.items():
        values, valid = output.values[name], output.valid.get(name)
        texts: list[str | None] = [*cells(type_, values)]
        if valid is not None:
            texts = [text if there else None for text, there in zip(texts, valid.tolist(), strict=True)]
        columns.append(texts)
    with path.open("w", encoding="utf-8", newline="") as file:
        for row in (output.columns, *zip(*columns, strict=True)):
            file.write(",".join(_quoted(cell) for cell in row) + "\n")


def _quoted(cell: str | None) -> str:
    """A cell of a CSV file: nothing for a missing value, `""` for the empty text, which csv.writer cannot tell."""
    if cell is None:
        return ""
    if cell and not any(c in cell for c in ',"\r\n'):
        return cell
    return '"' + cell.replace('"', '""') + '"'
