"""Parquet and NumPy files, finding files, and hashing keys."""

import datetime
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_sources_csv import array, load_text, table

from dsl.inputs import ColumnSpec
from runtime.errors import DataError, UsageError
from runtime.sources import find, hash_keys, load, measure, pack_text, parse_binding, unpack_text

EACH = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def load_parquet(tmp_path: Path, spec, columns: dict, **options):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table(columns), path, **options)
    assert measure(spec, path)[0] == len(next(iter(columns.values())))
    return load(spec, path)


def one(tmp_path: Path, column: ColumnSpec, values: pa.Array):
    return load_parquet(tmp_path, table(column), {column.name: values}).columns[column.name].tolist()


def refused(tmp_path: Path, column: ColumnSpec, values: pa.Array) -> DataError:
    with pytest.raises(DataError) as caught:
        one(tmp_path, column, values)
    return caught.value


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        (ColumnSpec("a", "int"), pa.array([1, -2], pa.int8()), [1, -2]),
        (ColumnSpec("a", "int"), pa.array([2**63 - 1], pa.uint64()), [2**63 - 1]),
        (ColumnSpec("a", "int"), pa.array([3.0, -4.0]), [3, -4]),
        (ColumnSpec("a", "int"), pa.array([Decimal("3.00")]), [3]),
        (ColumnSpec("a", "fixed"), pa.array([0.5, 2.0], pa.float32()), [0.5, 2.0]),
        (ColumnSpec("a", "fixed"), pa.array([3, 4]), [3.0, 4.0]),
        (ColumnSpec("a", "fixed"), pa.array([Decimal("1.25")]), [1.25]),
        (ColumnSpec("a", "fixed"), pa.array([Decimal("1." + "0" * 28 + "1")]), [1.0]),
        (ColumnSpec("a", "decimal", places=2), pa.array([Decimal("-0.10"), Decimal("7.00")]), [-10, 700]),
        (ColumnSpec("a", "decimal", places=2), pa.array([Decimal("1.5" + "0" * 30)]), [150]),
        (ColumnSpec("a", "decimal", places=2), pa.array([5, 6]), [500, 600]),
        (ColumnSpec("a", "decimal", places=1), pa.array(["0.1", "2"]), [1, 20]),
        (ColumnSpec("a", "bool"), pa.array([True, False]), [True, False]),
        (ColumnSpec("a", "bool"), pa.array([1, 0]), [True, False]),
        (ColumnSpec("a", "date"), pa.array([datetime.date(1970, 1, 3)]), [2]),
        (ColumnSpec("a", "date"), pa.array([datetime.datetime(1969, 12, 31)]), [-1]),
        (ColumnSpec("a", "date"), pa.array(["1970-02-01"]), [31]),
        (ColumnSpec("a", "enum", words=("x", "y")), pa.array(["y", "x"]).dictionary_encode(), [1, 0]),
        (ColumnSpec("a", "text", length=3), pa.array(["ab", ""]), [[97, 98, 0], [0, 0, 0]]),
        (ColumnSpec("a", "key"), pa.array([17, -4]), [b"17", b"-4"]),
        (ColumnSpec("a", "key"), pa.array(["17"], pa.large_string()), [b"17"]),
    ],
)
def test_parquet_values(tmp_path, column, values, expected):
    assert one(tmp_path, column, values) == expected


def test_parquet_missing_values(tmp_path):
    spec = table(
        ColumnSpec("a", "int", nullable=True),
        ColumnSpec("t", "text", length=1, nullable=True),
        ColumnSpec("d", "decimal", places=1, nullable=True),
        ColumnSpec("n", "fixed", nullable=True),
    )
    columns = {
        "a": pa.array([None, 2]),
        "t": pa.array(["x", None]),
        "d": pa.array([Decimal("1.5"), None]),
        "n": pa.nulls(2),
    }

    loaded = load_parquet(tmp_path, spec, columns)

    assert loaded.columns["a"].tolist() == [0, 2]
    assert loaded.columns["d"].tolist() == [15, 0]
    assert {n: m.tolist() for n, m in loaded.valid.items()} == {
        "a": [False, True],
        "t": [True, False],
        "d": [True, False],
        "n": [False, False],
    }


@pytest.mark.parametrize(
    ("column", "values", "code", "row"),
    [
        (ColumnSpec("a", "int"), pa.array([1, None]), "E0404", 2),
        (ColumnSpec("a", "int"), pa.array([1.0, 1.5]), "E0403", 2),
        (ColumnSpec("a", "int"), pa.array([1.0, 2.0**60]), "E0406", 2),
        (ColumnSpec("a", "int"), pa.array([2**63], pa.uint64()), "E0406", 1),
        (ColumnSpec("a", "int"), pa.array(["1"]), "E0403", None),
        (ColumnSpec("a", "fixed", nullable=True), pa.array([1.0, float("nan")]), "E0405", 2),
        (ColumnSpec("a", "fixed"), pa.array([2.0**46]), "E0406", 1),
        (ColumnSpec("a", "fixed"), pa.array([Decimal(10) ** 30]), "E0406", 1),
        (ColumnSpec("a", "decimal", places=2), pa.array([0.5]), "E0403", None),
        (ColumnSpec("a", "decimal", places=2), pa.array([Decimal("0.125")]), "E0406", 1),
        (ColumnSpec("a", "decimal", places=2), pa.array([Decimal("1." + "1" * 30)]), "E0406", 1),
        (ColumnSpec("a", "decimal", places=2), pa.array([Decimal(10) ** 18]), "E0406", 1),
        (ColumnSpec("a", "bool"), pa.array([2]), "E0403", 1),
        (ColumnSpec("a", "date"), pa.array([datetime.datetime(2024, 1, 1, 12)]), "E0403", 1),
        (ColumnSpec("a", "text", length=9), pa.array(["ok", "a\0b"]), "E0403", 2),
        (ColumnSpec("a", "key"), pa.array([0.5]), "E0403", None),
        (ColumnSpec("a", "int"), pa.array([[1], [2]]), "E0403", None),
        (ColumnSpec("b", "int"), pa.array([5]), "E0402", None),
    ],
)
def test_parquet_faults(tmp_path, column, values, code, row):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": values}), path)
    with pytest.raises(DataError) as caught:
        load(table(column), path)

    assert (caught.value.code, caught.value.row) == (code, row)


def test_a_damaged_parquet_file(tmp_path):
    path = tmp_path / "t.parquet"
    path.write_bytes(b"PAR1 and nothing else")

    for function in (load, measure):
        with pytest.raises(DataError, match="E0414"):
            function(table(ColumnSpec("a", "int")), path)


def test_parquet_arrays_and_row_groups(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"p": np.arange(6.0), "q": np.arange(6.0) + 10}), path, row_group_size=2)

    loaded = load(array("fixed", "n", 2), path)

    assert loaded.columns[""].tolist() == [[i, i + 10.0] for i in range(6)]
    with pytest.raises(DataError, match=r"\[6, 2\], the study declares \[n\]"):
        load(array("fixed", "n"), path)


@EACH
@given(st.lists(st.one_of(st.none(), st.text(st.characters(blacklist_characters="\0", codec="utf-8"), max_size=8))))
def test_any_texts_come_back_from_parquet(tmp_path, texts):
    spec = table(ColumnSpec("a", "text", length=32, nullable=True))

    loaded = load_parquet(tmp_path, spec, {"a": pa.array(texts, pa.string())}, row_group_size=3)

    found = [
        bytes(row).rstrip(b"\0").decode() if there else None
        for row, there in zip(loaded.columns["a"], loaded.valid["a"], strict=True)
    ]
    assert found == texts


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("fixed", np.array([[1, 2], [3, 4]], ">f4"), [[1.0, 2.0], [3.0, 4.0]]),
        ("fixed", np.asfortranarray([[1.0, 2.0], [3.0, 4.0]]), [[1.0, 2.0], [3.0, 4.0]]),
        ("int", np.array([[1, 2]], np.uint8), [[1, 2]]),
        ("int", np.array([[1.0]]), [[1]]),
        ("bool", np.array([[True], [False]]), [[True], [False]]),
        ("date", np.array([["1970-01-02"]], "M8[D]"), [[1]]),
        ("enum", np.array([["b", "a"]]), [[1, 0]]),
    ],
)
def test_numpy_values(tmp_path, kind, values, expected):
    path = tmp_path / "x.npy"
    np.save(path, values)
    spec = array(kind, "n", "m", words=("a", "b"))

    assert load(spec, path).columns[""].tolist() == expected
    assert measure(spec, path) == values.shape


def test_numpy_scalars_and_many_axes(tmp_path):
    np.save(tmp_path / "s.npy", np.float64(2.5))
    np.save(tmp_path / "x.npy", np.arange(24).reshape(2, 3, 4))

    assert load(array("fixed"), tmp_path / "s.npy").columns[""].tolist() == 2.5
    assert (
        load(array("int", "n", 3, 4), tmp_path / "x.npy").columns[""].tolist()
        == np.arange(24).reshape(2, 3, 4).tolist()
    )


def test_arrays_without_rows(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((0, 2)))
    (tmp_path / "x.csv").write_text("u,v\n")
    pq.write_table(pa.table({"u": pa.array([], pa.float64()), "v": pa.array([], pa.float64())}), tmp_path / "x.parquet")
    for name in ("x.npy", "x.csv", "x.parquet"):
        loaded = load(array("fixed", "n", 2), tmp_path / name)
        assert loaded.shape == (0, 2)
        assert loaded.columns[""].shape == (0, 2)


@pytest.mark.parametrize(
    ("values", "code", "says"),
    [
        (np.array([[1.0, np.nan]]), "E0405", "row 1, element [1, 2]"),
        (np.array([[1.0, 2.0**50]]), "E0406", "element [1, 2]"),
        (np.zeros(3), "E0411", "[3], the study declares [n, m]"),
        (np.zeros((0, 3, 2)), "E0411", "[0, 3, 2], the study declares [n, m]"),
        (np.array([["x"]]), "E0403", "texts where numbers"),
        (np.array([[1j]]), "E0403", "complex128"),
        (np.array([[None]], object), "E0414", "Python objects"),
        (np.array([(1, 2)], [("a", "i4"), ("b", "i4")]), "E0414", "records"),
    ],
)
def test_numpy_faults(tmp_path, values, code, says):
    path = tmp_path / "x.npy"
    np.save(path, values, allow_pickle=True)

    with pytest.raises(DataError) as caught:
        load(array("fixed", "n", "m"), path)

    assert caught.value.code == code
    assert says in str(caught.value)


@pytest.mark.parametrize("damage", ["cut", "long", "magic", "header", "huge"])
def test_a_damaged_numpy_file(tmp_path, damage):
    path = tmp_path / "x.npy"
    np.save(path, np.zeros((2, 2)))
    raw = path.read_bytes()
    damaged = {
        "cut": raw[:-1],
        "long": raw + b"1",
        "magic": b"x" + raw[1:],
        "header": raw[:20] + b"(" * 20 + raw[40:],
        "huge": raw.replace(b"(2, 2), }        ", b"(2, 999999999), }"),
    }[damage]
    assert damaged != raw
    path.write_bytes(damaged)

    with pytest.raises(DataError, match="E0414"):
        load(array("fixed", "n", "m"), path)


def test_a_table_is_not_read_from_numpy(tmp_path):
    np.save(tmp_path / "t.npy", np.zeros(3))

    with pytest.raises(DataError, match=r"\.csv and \.parquet"):
        load(table(ColumnSpec("a", "int")), tmp_path / "t.npy")


# ------------------------------------------------------------------------------------------------------- finding


def test_find(tmp_path):
    folder = tmp_path / "bank"
    folder.mkdir()
    (folder / "t.csv").touch()
    other = tmp_path / "elsewhere.parquet"
    other.touch()

    assert find(tmp_path, "bank", "t") == folder / "t.csv"
    assert find(tmp_path, "bank", "t", {("bank", "t"): other}) == other
    assert find(None, "bank", "t", {("bank", "t"): other}) == other


@pytest.mark.parametrize(
    ("party", "name", "says"),
    [
        ("bank", "acounts", "accounts.csv is there"),
        ("bnak", "accounts", "bank is there"),
        ("bank", "double", "double.csv and double.npy"),
        ("bank", "bound", "gone.csv"),
    ],
)
def test_find_says_what_it_looked_for(tmp_path, party, name, says):
    folder = tmp_path / "bank"
    folder.mkdir()
    for file in ("accounts.csv", "double.csv", "double.npy"):
        (folder / file).touch()

    with pytest.raises(DataError) as caught:
        find(tmp_path, party, name, {("bank", "bound"): tmp_path / "gone.csv"})

    assert caught.value.code == "E0401"
    assert says in str(caught.value)


def test_a_binding():
    assert parse_binding("bank:accounts=/data/a=b.csv") == (("bank", "accounts"), Path("/data/a=b.csv"))
    for text in ("bank=x.csv", "bank:accounts", ":t=x", "bank:=x"):
        with pytest.raises(UsageError, match="PARTY:NAME=PATH"):
            parse_binding(text)


# -------------------------------------------------------------------------------------------------------- keys


def test_owners_agree_on_a_key_whatever_their_files(tmp_path):
    spec = table(ColumnSpec("k", "key"))
    text = load_text(tmp_path, spec, "k\n17\nZoë\n-3\n").columns["k"]
    numbers = load_parquet(tmp_path, spec, {"k": pa.array([17, -3])}).columns["k"]
    salt = bytes(range(16))

    mine, theirs = hash_keys(text, salt), hash_keys(numbers, salt)

    assert mine.dtype == np.int64
    assert mine[[0, 2]].tolist() == theirs.tolist()
    assert len(set(mine.tolist())) == 3
    assert not set(mine.tolist()) & set(hash_keys(text, bytes(16)).tolist())


def test_a_missing_key_hashes_to_nothing():
    assert hash_keys(np.array([b"", b"a"]), bytes(16), np.array([False, True])).tolist()[0] == 0
    with pytest.raises(ValueError, match="16 to 64 bytes"):
        hash_keys(np.array([b"a"]), b"short")


def test_hash_is_keyed_blake2b():
    import hashlib

    digest = hashlib.blake2b(b"17", key=bytes(16), digest_size=8).digest()
    assert hash_keys(np.array([b"17"]), bytes(16)).tolist() == [int.from_bytes(digest, "little", signed=True)]


@EACH
@given(st.integers(1, 30), st.data())
def test_texts_as_whole_numbers(length, data):
    raw = data.draw(st.lists(st.binary(min_size=length, max_size=length), min_size=1))
    text = np.array([list(row) for row in raw], np.uint8)

    words = pack_text(text)

    assert words.shape == (len(raw), -(-length // 7))
    assert unpack_text(words, length).tolist() == text.tolist()
    assert words[:, 0].tolist() == [int.from_bytes(row[:7].ljust(7, b"\0"), "big") for row in raw]


def test_csv_files_need_no_pyarrow(tmp_path):
    """Its import takes longer than a small job."""
    path = tmp_path / "t.csv"
    path.write_text("a\n1\n")
    code = (
        "import sys; from pathlib import Path; from dsl.inputs import *; from runtime.sources import load\n"
        "load(InputSpec('p', 't', True, (ColumnSpec('a', 'int'),)), Path(sys.argv[1]))\n"
        "sys.exit('pyarrow' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code, path], check=False).returncode == 0
