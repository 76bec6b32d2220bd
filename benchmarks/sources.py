"""How long a million rows take to load: CSV and Parquet, clean and with faults.

Run: python -m benchmarks.sources
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dsl.inputs import ColumnSpec, InputSpec
from runtime.errors import DataError
from runtime.sources import hash_keys, load

ROWS = 1_000_000


def timed(label: str, action) -> object:
    start = time.perf_counter()
    result = action()
    print(f"{label:<44} {time.perf_counter() - start:6.2f} s")
    return result


def refused(spec: InputSpec, path: Path) -> int:
    try:
        load(spec, path)
    except DataError as error:
        return len(error.faults) + error.more
    raise AssertionError("the file was taken")


def spec(*columns: ColumnSpec) -> InputSpec:
    return InputSpec("bank", "t", True, columns)


def main() -> None:
    r = np.random.default_rng(1)
    columns = {
        "customer": r.permutation(ROWS * 10)[:ROWS],
        "income": np.round(r.normal(40_000, 9_000, ROWS), 2),
        "region": np.array(["north", "south", "east", "west"])[r.integers(0, 4, ROWS)],
    }
    three = spec(
        ColumnSpec("customer", "key", unique=True),
        ColumnSpec("income", "fixed", range=(-(10**6), 10**6)),
        ColumnSpec("region", "enum", words=("north", "south", "east", "west")),
    )
    floats = {name: r.normal(size=ROWS) for name in "abc"}
    dates = (np.datetime64("1990-01-01") + r.integers(0, 12_000, ROWS)).astype(str)
    other = {"n": r.integers(-(2**62), 2**62, ROWS), "d": dates, "p": [f"{x:.2f}" for x in columns["income"]]}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)

        def csv(name: str, table: dict, quote: str = "") -> Path:
            path = root / name
            lines = zip(*(map(str, c) for c in table.values()), strict=True)
            body = "\n".join(quote + f"{quote},{quote}".join(line) + quote for line in lines)
            path.write_text(",".join(table) + "\n" + body + "\n")
            return path

        plain = csv("plain.csv", columns)
        loaded = timed("csv: key unique, fixed in range, enum", lambda: load(three, plain))
        quoted = csv("quoted.csv", columns, '"')
        timed("csv: the same in quotation marks", lambda: load(three, quoted))
        three_floats = spec(*(ColumnSpec(name, "fixed") for name in "abc"))
        path = csv("floats.csv", floats)
        timed("csv: three fixed of 17 digits", lambda: load(three_floats, path))
        others = spec(ColumnSpec("n", "int"), ColumnSpec("d", "date"), ColumnSpec("p", "decimal", places=2))
        path = csv("other.csv", other)
        timed("csv: int of 19 digits, date, decimal", lambda: load(others, path))
        wrong = spec(ColumnSpec("region", "int"), ColumnSpec("income", "int"), ColumnSpec("customer", "bool"))
        count = timed("csv: nearly every value wrong", lambda: refused(wrong, plain))
        print(f"  {count} faults")
        pq.write_table(pa.table(columns), root / "t.parquet")
        timed("parquet: key unique, fixed in range, enum", lambda: load(three, root / "t.parquet"))
        pq.write_table(pa.table(floats), root / "f.parquet")
        timed("parquet: three fixed", lambda: load(three_floats, root / "f.parquet"))
        timed("hash_keys", lambda: hash_keys(loaded.columns["customer"], bytes(16)))


if __name__ == "__main__":
    main()
