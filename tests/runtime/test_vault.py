"""A node's stored shares: they come back as they were, at this node alone, or not at all."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dsl.stored import ArrayForm, PartsForm, Stored, TextForm
from dsl.stypes import SType
from runtime.errors import StoreDamaged, UsageError
from runtime.vault import Vault

NUMBER = SType("fixed")
FORM = PartsForm(
    "ridge regression",
    (
        ("kind", TextForm("ridge regression")),
        ("weights", ArrayForm(NUMBER, (4,))),
        ("intercept", ArrayForm(NUMBER.optional(), (), masked=True)),
        ("classes", ArrayForm(SType("int"), (), (2,))),
    ),
)
KNOWN = Stored("model", "ab" * 16, "cd" * 32, "rep3", ("a", "b", "c"), 16, FORM, ("a",), ("a's `x`",))
SHARES = [
    np.arange(8, dtype=np.uint64).reshape(2, 4) << np.uint64(60),
    np.array([3, 2**64 - 1], np.uint64),
    np.array([1, 0], np.uint8),
]


def keep(vault: Vault, known: Stored = KNOWN) -> Path:
    prepared = vault.prepare(known, SHARES)
    vault.commit(prepared)
    return prepared.final


def same(loaded: object) -> bool:
    assert isinstance(loaded, tuple)
    known, shares = loaded
    alike = [np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(shares, SHARES, strict=True)]
    return bool(known == KNOWN) and all(alike)


def test_what_is_kept_comes_back(tmp_path: Path) -> None:
    path = keep(Vault(tmp_path / "state", "a"))

    later = Vault(tmp_path / "state", "a")
    assert later.describe("model") == KNOWN
    assert same(later.load("model"))
    assert later.describe("other") is None
    assert later.load("other") is None
    assert SHARES[0].tobytes() not in path.read_bytes()


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    keep(Vault(tmp_path / "state", "a"))
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    for path in (tmp_path / "state").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (tmp_path / "state" / "vault.key").chmod(0o644)
    with pytest.raises(UsageError, match="can be read by others"):
        Vault(tmp_path / "state", "a").load("model")


def test_every_changed_byte_is_noticed(tmp_path: Path) -> None:
    vault = Vault(tmp_path, "a")
    path = keep(vault)
    content = path.read_bytes()
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with pytest.raises(StoreDamaged):
            vault.load("model")
    path.write_bytes(content)
    assert same(vault.load("model"))


@pytest.mark.parametrize("change", [lambda c: c[:-1], lambda c: c + b"x", lambda c: c[:40], lambda c: b""])
def test_a_file_that_is_not_whole_is_noticed(change, tmp_path: Path) -> None:
    vault = Vault(tmp_path, "a")
    path = keep(vault)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(StoreDamaged):
        vault.load("model")


def test_leaves_do_not_change_places(tmp_path: Path) -> None:
    vault = Vault(tmp_path, "a")
    twins = replace(KNOWN, form=PartsForm(None, (("0", ArrayForm(NUMBER, (1,))), ("1", ArrayForm(NUMBER, (1,))))))
    prepared = vault.prepare(twins, [np.zeros((1, 1), np.uint64), np.ones((1, 1), np.uint64)])
    vault.commit(prepared)
    content = prepared.final.read_bytes()
    prepared.final.write_bytes(content[:-48] + content[-24:] + content[-48:-24])
    with pytest.raises(StoreDamaged, match="not those that this node wrote"):
        vault.load("model")


def test_another_nodes_file_does_not_open(tmp_path: Path) -> None:
    path = keep(Vault(tmp_path / "a", "a"))
    other = Vault(tmp_path / "b", "b")
    keep(other)
    (tmp_path / "b" / path.name).write_bytes(path.read_bytes())
    with pytest.raises(StoreDamaged, match="belongs to the node 'a'"):
        other.load("model")


def test_another_key_does_not_open_it(tmp_path: Path) -> None:
    keep(Vault(tmp_path, "a"))
    (tmp_path / "vault.key").write_bytes(os.urandom(32))
    with pytest.raises(StoreDamaged, match="another key"):
        Vault(tmp_path, "a").describe("model")


def test_a_file_under_another_name_does_not_open(tmp_path: Path) -> None:
    vault = Vault(tmp_path, "a")
    path = keep(vault)
    path.rename(path.with_name("other.share"))
    with pytest.raises(StoreDamaged):
        vault.load("other")


def test_a_value_stands_there_until_the_next_is_whole(tmp_path: Path) -> None:
    vault = Vault(tmp_path, "a")
    keep(vault)
    prepared = vault.prepare(replace(KNOWN, id="00" * 16), SHARES)
    assert vault.describe("model") == KNOWN
    vault.drop(prepared)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.share", "vault.key"]
    keep(vault, replace(KNOWN, id="11" * 16))
    described = vault.describe("model")
    assert described is not None
    assert described.id == "11" * 16


def test_names_lead_nowhere_else_and_differ_by_case(tmp_path: Path) -> None:
    vault = Vault(tmp_path, "a")
    for name in ("../model", "a/b", "", "x" * 101, "a.b"):
        with pytest.raises(UsageError):
            vault.load(name)
    paths = {keep(vault, replace(KNOWN, name=name)).name.lower() for name in ("model", "Model", "MODEL", "größe")}
    assert len(paths) == 4


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("frac", -1),
        ("frac", "16"),
        ("nodes", "abc"),
        ("form", {"array": {"kind": "real"}}),
        ("form", {"parts": [["x"]], "kind": None}),
        ("form", 7),
        ("name", 7),
        ("sources", [1]),
    ],
)
def test_a_description_from_elsewhere_is_judged(key: str, value: object) -> None:
    message = KNOWN.to_json()
    assert Stored.from_json(message) == KNOWN
    with pytest.raises(ValueError):
        Stored.from_json({**message, key: value})
