"""CSV files: RFC 4180 with commas, in UTF-8, read as places in one buffer.

For: `read`, `shape`.
Leaves to others: what a cell means (`text`).

All commas and line ends outside quotation marks are found by a few passes of numpy over the bytes, so that a row, its
line in the file and its cells are known without a string for each. That is as quick as the usual libraries, needs none
of their start-up, knows `""` (the empty text) from nothing (a missing value), and every fault has its line.

Lines end with LF or CR LF; a byte order mark is skipped, and so are wholly empty lines, but where a file has a single
column whose values may be missing: there such a line is a missing value. A cell is quoted as a whole or not at all,
with `""` inside for a quotation mark.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dsl.inputs import ColumnSpec, InputSpec
from runtime.sources.cells import PADDING, Bytes, Cells, Content, Mask, Places, Typed, grid_shape
from runtime.sources.faults import MAX_SHOWN, Faults, Place, check_columns
from runtime.sources.numbers import Form, scan
from runtime.sources.text import from_text

_COMMA, _QUOTE, _LINE_FEED, _RETURN = 44, 34, 10, 13
_BLOCK: Final = 1 << 24


@dataclass(frozen=True, slots=True)
class Sheet:
    """The cells of a file, line after line: line i has the cells `first[i]` up to `first[i + 1]`.

    begin: where each line starts. feeds: where every line feed is, those inside quotation marks too.
    """

    cells: Cells
    first: Places
    begin: Places
    feeds: Places

    @property
    def counts(self) -> Places:
        """Cells of each line."""
        return np.diff(self.first)

    def line(self, index: int) -> int:
        """The line of the file, from 1, where the `index`-th line that is not empty starts."""
        return int(np.searchsorted(self.feeds, self.begin[index])) + 1

    def texts(self, index: int) -> list[str]:
        """The cells of one line, without blanks around them."""
        numbers = range(int(self.first[index]), int(self.first[index + 1]))
        return [self.cells.one(i).decode("utf-8").strip() for i in numbers]


def read(path: Path, spec: InputSpec, faults: Faults) -> Content:
    """The columns of a table or the elements of an array."""
    sheet = _split(path, spec, faults)
    return _table(sheet, spec, faults) if spec.table else _array(sheet, spec, faults)


def shape(path: Path, spec: InputSpec, faults: Faults) -> tuple[int, ...]:
    """The shape alone; costs the splitting of the file."""
    sheet = _split(path, spec, faults)
    if spec.table:
        return (len(sheet.first) - 2,)
    return _array(sheet, spec, faults).shape


# ---------------------------------------------------------------------------------------------- tables and arrays


def _table(sheet: Sheet, spec: InputSpec, faults: Faults) -> Content:
    header = sheet.texts(0)
    help = "the first line of the file names the columns, with commas between"
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        help = "the cells of a line are separated by commas, not by semicolons or tabs"
    check_columns(spec, header, faults, help=help)
    wide = len(header)
    _check_counts(sheet, 1, wide, "the header", faults)
    rows = len(sheet.first) - 2
    faults.locate = lambda row: Place(row + 1, sheet.line(row + 1))
    columns: dict[str, Cells | Typed] = {
        column.name: sheet.cells.take(slice(wide + header.index(column.name), None, wide)) for column in spec.columns
    }
    return Content((rows,), columns)


def _array(sheet: Sheet, spec: InputSpec, faults: Faults) -> Content:
    column = spec.columns[0]
    wide = int(sheet.counts[0])
    top = 1 if _is_header(sheet, column, spec) else 0
    rows = len(sheet.first) - 1 - top
    _check_counts(sheet, top, wide, "the first line", faults)
    cells = sheet.cells.take(slice(top * wide, None))

    def locate(index: int) -> Place:
        row, number = divmod(index, wide)
        return Place(row + 1, sheet.line(top + row), str(number + 1))

    faults.locate = locate
    return Content(grid_shape(spec.shape, rows, wide), {column.name: cells})


def _is_header(sheet: Sheet, column: ColumnSpec, spec: InputSpec) -> bool:
    """Whether the first line is made of names: no cell of it is a value."""
    cells = sheet.cells.take(slice(0, int(sheet.first[1])))
    match column.kind:
        case "text" | "key":
            return False
        case "int" | "fixed" | "decimal":
            names = scan(cells.trimmed(), digits=False).form == Form.TEXT
        case _:
            names = from_text(column, cells, Faults(spec, "")).bad
    return bool((names & (cells.length > 0)).all())


def _check_counts(sheet: Sheet, top: int, wide: int, against: str, faults: Faults) -> None:
    counts = sheet.counts
    ragged = np.flatnonzero(counts[top:] != wide)
    for row in ragged[:MAX_SHOWN].tolist():
        count = int(counts[top + row])
        message = f"the line has {_cells(count)}, {against} {wide}"
        help = "a cell that holds a comma is written in quotation marks" if count > wide else ""
        faults.say("E0411", message, row=row + 1, line=sheet.line(top + row), help=help)
    faults.uncounted(len(ragged) - MAX_SHOWN)
    faults.finish()


def _cells(count: int) -> str:
    return f"{count} cell" if count == 1 else f"{count} cells"


# ---------------------------------------------------------------------------------------------------- splitting


def _split(path: Path, spec: InputSpec, faults: Faults) -> Sheet:
    data, size = _load(path, faults)
    quotes = _positions(data[:size], _QUOTE)
    feeds = _positions(data[:size], _LINE_FEED)
    if len(quotes) % 2:
        line = int(np.searchsorted(feeds, quotes[-1])) + 1
        faults.fail(
            "E0414", "a quotation mark has no partner", line=line, help='inside quotation marks write `""` for one'
        )
    commas = _positions(data[:size], _COMMA)
    ends = np.sort(np.concatenate([commas, feeds]), kind="stable")
    if len(quotes):
        # Before an end stands an odd number of quotation marks: it is inside a pair.
        ends = ends[np.searchsorted(quotes, ends) % 2 == 0]
    start = np.empty_like(ends)
    start[:1] = 3 if data[:3].tobytes() == b"\xef\xbb\xbf" else 0
    start[1:] = ends[:-1] + 1
    last = data[ends] == _LINE_FEED
    length = ends - start
    length -= last & (length > 0) & (data[np.maximum(ends - 1, 0)] == _RETURN)
    cells = Cells(data, start, length, length == 0)
    if len(quotes):
        cells = _unquote(cells, quotes, feeds, faults)
    first = np.concatenate([[0], np.flatnonzero(last) + 1]).astype(np.int64)
    begin = start[first[:-1]]
    cells, first, begin = _without_empty_lines(cells, first, begin, spec)
    if len(first) < 2:
        faults.fail("E0414", "the file is empty")
    return Sheet(cells, first, begin, feeds)


def _positions(data: Bytes, byte: int) -> Places:
    """Where `byte` stands in `data`, in blocks so that the masks stay small."""
    found = [np.flatnonzero(data[i : i + _BLOCK] == byte) + i for i in range(0, len(data), _BLOCK)]
    return np.concatenate(found).astype(np.int64, copy=False) if found else np.zeros(0, np.int64)


def _load(path: Path, faults: Faults) -> tuple[Bytes, int]:
    """The bytes, with a line feed at the end and padding after it, and their number without the padding."""
    with path.open("rb") as file:
        content = np.fromfile(file, np.uint8)
    size = len(content)
    if not size:
        faults.fail("E0414", "the file is empty")
    if content[:2].tobytes() in {b"\xff\xfe", b"\xfe\xff"}:
        faults.fail("E0414", "the file is in UTF-16", help="save it as UTF-8")
    if not content.all():
        line = int((content[: int(np.argmin(content))] == _LINE_FEED).sum()) + 1
        faults.fail("E0414", "the file holds zero bytes: it is no text", line=line, help="save it as CSV in UTF-8")
    if content.max() >= 128:
        try:
            content.tobytes().decode("utf-8")
        except UnicodeDecodeError as error:
            line = int((content[: error.start] == _LINE_FEED).sum()) + 1
            faults.fail("E0414", "the file is not in UTF-8", line=line, help="save it as UTF-8")
    data = np.zeros(size + 1 + PADDING, np.uint8)
    data[:size] = content
    if data[size - 1] != _LINE_FEED:
        data[size] = _LINE_FEED
        size += 1
    return data, size


def _without_empty_lines(cells: Cells, first: Places, begin: Places, spec: InputSpec) -> tuple[Cells, Places, Places]:
    counts = np.diff(first)
    empty = (counts == 1) & cells.missing[first[:-1]]
    if len(spec.columns) == 1 and spec.columns[0].nullable and (counts == 1).all():
        # Each is a missing value, but for those before a table's header.
        header = 0 if not spec.table else len(empty) if empty.all() else int(np.argmin(empty))
        empty[header:] = False
    if not empty.any():
        return cells, first, begin
    keep = np.ones(len(cells), np.bool_)
    keep[first[:-1][empty]] = False
    kept = np.concatenate([[0], np.cumsum(counts[~empty])]).astype(np.int64)
    return cells.take(np.flatnonzero(keep)), kept, begin[~empty]


def _unquote(cells: Cells, quotes: Places, feeds: Places, faults: Faults) -> Cells:
    """Takes the quotation marks off; a cell that holds `""` is written anew at the end of the buffer."""
    owner = np.searchsorted(cells.start, quotes, side="right") - 1
    marked, where, count = np.unique(owner, return_index=True, return_counts=True)
    start, length = cells.start.copy(), cells.length.copy()
    opens = quotes[where] == start[marked]
    closes = quotes[where + count - 1] == start[marked] + length[marked] - 1
    _refuse_stray(marked[~(opens & closes)], cells, feeds, faults)
    start[marked] += 1
    length[marked] -= 2
    missing: Mask = cells.missing.copy()
    missing[marked] = False
    whole = Cells(cells.data, start, length, missing)
    doubled = marked[count > 2]
    return _write_anew(whole, doubled, feeds, faults) if len(doubled) else whole


def _write_anew(cells: Cells, doubled: NDArray[np.int64], feeds: Places, faults: Faults) -> Cells:
    inner = [cells.one(i) for i in doubled.tolist()]
    odd = [b'"' in text.replace(b'""', b"") for text in inner]
    _refuse_stray(doubled[np.array(odd)], cells, feeds, faults)
    plain = [text.replace(b'""', b'"') for text in inner]
    start, length = cells.start.copy(), cells.length.copy()
    length[doubled] = [len(text) for text in plain]
    start[doubled] = len(cells.data) + np.concatenate([[0], np.cumsum(length[doubled])[:-1]])
    tail = np.frombuffer(b"".join(plain) + bytes(PADDING), np.uint8)
    return Cells(np.concatenate([cells.data, tail]), start, length, cells.missing)


def _refuse_stray(bad: NDArray[np.int64], cells: Cells, feeds: Places, faults: Faults) -> None:
    for index in bad[:MAX_SHOWN].tolist():
        line = int(np.searchsorted(feeds, cells.start[index])) + 1
        faults.say(
            "E0414",
            "a quotation mark in the middle of a cell",
            line=line,
            help='put the whole cell in quotation marks and write `""` for one inside',
        )
    faults.uncounted(len(bad) - MAX_SHOWN)
    faults.finish()
