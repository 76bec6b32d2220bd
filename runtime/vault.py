"""Where a node keeps its shares of stored values between jobs: files that only this node can open.

For: `Vault`: `prepare` and `commit` a value, `describe` what is there, `load` its shares.
Leaves to others: agreeing with the other nodes (`session`), what a description says (`dsl.stored`).

One file for each name. Its key is derived by HKDF-SHA256 (RFC 5869) from a secret of this node alone, which is drawn
when it is first needed, and a salt of the file's own; the node's name and the value's are part of the derivation. The
header, which says what the value is and of which run, and every leaf are sealed with AES-256-GCM (SP 800-38D) under
that key, the leaves bound to the header and to their places: a changed, exchanged or foreign file does not open.

    magic | length of the header, u32 | header, JSON | seal of the header | leaf | leaf | …

Shares are kept as they are, and each use in a later job is as safe as in the first. A share alone says nothing of the
value, and this node had it all along. What later jobs send of it passes through the protocol's steps, each of which
masks it with randomness of that job alone: products with a fresh sharing of zero or fresh triples, openings of results
alone. Replicated shares keep their relation among the three nodes, additive ones their sum, for as long as all load the
shares of one run; that is what the `id` in the header is compared for before a job starts.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dsl.stored import Stored
from mpc.circuit import Array
from runtime.errors import StoreDamaged, UsageError

__all__ = ["Prepared", "Vault"]

MAGIC: Final = b"parley store 1\n"
KEY_FILE: Final = "vault.key"
SECRET_BYTES: Final = 32
SALT_BYTES: Final = 16
TAG_BYTES: Final = 16
HEADER_LIMIT: Final = 1 << 20
LEAF_LIMIT: Final = (1 << 31) - 1 - TAG_BYTES
DTYPES: Final = frozenset(["<u8", "<u4", "<u2", "|u1", "<i8", "<f8", "|b1"])


@dataclass(frozen=True, slots=True)
class Prepared:
    """A value that is written but not yet there under its name."""

    waiting: Path
    final: Path


@dataclass(slots=True)
class Vault:
    """One node's stored values. directory: made when it is needed, for this user alone. owner: the node's name."""

    directory: Path
    owner: str
    _secret: bytes | None = field(default=None, repr=False)

    # -- writing ---------------------------------------------------------------------------------

    def prepare(self, known: Stored, shares: Sequence[Array]) -> Prepared:
        """Write a value's leaves beside the place where `commit` puts them.  OSError; ValueError if it is too large."""
        salt = secrets.token_bytes(SALT_BYTES)
        arrays = [np.asarray(s, order="C") for s in shares]
        leaves = [[a.dtype.str, list(a.shape)] for a in arrays]
        content = {"owner": self.owner, "salt": salt.hex(), "value": known.to_json(), "leaves": leaves}
        header = json.dumps(content).encode()
        if len(header) > HEADER_LIMIT or any(a.nbytes > LEAF_LIMIT or a.dtype.str not in DTYPES for a in arrays):
            raise ValueError(f"{known.name} is too large to be stored")
        cipher = self._cipher(salt, known.name)
        final = self._path(known.name)
        waiting = final.with_name(f".{final.name}.{secrets.token_hex(8)}")
        with open(waiting, "xb", opener=_private) as file:
            file.write(MAGIC + len(header).to_bytes(4, "little") + header)
            file.write(cipher.encrypt(_nonce(0), b"", header))
            for place, array in enumerate(arrays, start=1):
                file.write(cipher.encrypt(_nonce(place), array.reshape(-1).view(np.uint8).data, header))
            file.flush()
            os.fsync(file.fileno())
        return Prepared(waiting, final)

    def commit(self, prepared: Prepared) -> None:
        """Put a written value in its place, at once and in whole; what stood there before is gone."""
        prepared.waiting.replace(prepared.final)

    def drop(self, prepared: Prepared) -> None:
        """Forget a written value; what stands in its place stays."""
        prepared.waiting.unlink(missing_ok=True)

    # -- reading ---------------------------------------------------------------------------------

    def describe(self, name: str) -> Stored | None:
        """What is stored under `name`, None when nothing is.  Raises StoreDamaged if it is not what this node wrote."""
        opened = self._open(name)
        return None if opened is None else opened.known

    def load(self, name: str) -> tuple[Stored, list[Array]] | None:
        """The description and the shares of what is stored, None when nothing is.  Raises StoreDamaged."""
        opened = self._open(name)
        if opened is None:
            return None
        shares = []
        rest = memoryview(opened.rest)
        for place, (dtype, shape) in enumerate(opened.leaves, start=1):
            sealed = dtype.itemsize * int(np.prod(shape, dtype=np.int64)) + TAG_BYTES
            try:
                data = opened.cipher.decrypt(_nonce(place), rest[:sealed], opened.header)
            except InvalidTag:
                raise StoreDamaged(self.owner, name, "its shares are not those that this node wrote") from None
            shares.append(np.frombuffer(data, dtype).reshape(shape))
            rest = rest[sealed:]
        if rest.nbytes:
            raise StoreDamaged(self.owner, name, "there is something after its end")
        return opened.known, shares

    def _open(self, name: str) -> _Opened | None:
        try:
            content = self._path(name).read_bytes()
        except FileNotFoundError:
            return None
        at = len(MAGIC) + 4
        size = int.from_bytes(content[len(MAGIC) : at], "little")
        if not content.startswith(MAGIC) or size > HEADER_LIMIT or len(content) < at + size + TAG_BYTES:
            raise StoreDamaged(self.owner, name, "it is no file of a stored value, or not whole")
        header, rest = content[at : at + size], content[at + size :]
        try:
            message = json.loads(header)
            salt, owner = bytes.fromhex(message["salt"]), message["owner"]
        except (ValueError, KeyError, TypeError):
            raise StoreDamaged(self.owner, name, "its header cannot be read") from None
        if owner != self.owner:
            raise StoreDamaged(self.owner, name, f"it belongs to the node {str(owner)[:64]!r}")
        cipher = self._cipher(salt, name)
        try:
            cipher.decrypt(_nonce(0), rest[:TAG_BYTES], header)
        except InvalidTag:
            why = "its header is not the one that this node wrote, or the node has another key now"
            raise StoreDamaged(self.owner, name, why) from None
        leaves = [(np.dtype(dtype), tuple(map(int, shape))) for dtype, shape in message["leaves"]]
        return _Opened(Stored.from_json(message["value"]), header, rest[TAG_BYTES:], leaves, cipher)

    # -- keys and places -------------------------------------------------------------------------

    def _path(self, name: str) -> Path:
        # An identifier of the language: it leads nowhere else, and two that differ in case only stay apart.
        if not re.fullmatch(r"\w{1,100}", name):
            raise UsageError(f"nothing can be stored under the name {name[:100]!r}: a name is letters, digits and _")
        plain = name.isascii() and name == name.lower()
        return self.directory / (f"{name}.share" if plain else f"{name.encode().hex()}.named.share")

    def _cipher(self, salt: bytes, name: str) -> AESGCM:
        info = json.dumps(["parley store 1", self.owner, name]).encode()
        return AESGCM(HKDF(SHA256(), length=32, salt=salt, info=info).derive(self._key()))

    def _key(self) -> bytes:
        if self._secret is None:
            self._secret = self._read_key()
        return self._secret

    def _read_key(self) -> bytes:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.directory / KEY_FILE
        if not path.exists():
            self._draw_key(path)
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise UsageError(f"{path} can be read by others: `chmod 600 {path}`")
        key = path.read_bytes()
        if len(key) != SECRET_BYTES:
            raise UsageError(f"{path} holds {len(key)} bytes, a key has {SECRET_BYTES}")
        return key

    def _draw_key(self, path: Path) -> None:
        """A new key, whole before it bears its name: two jobs that begin at once must not draw two."""
        made = path.with_name(f".{KEY_FILE}.{secrets.token_hex(8)}")
        with open(made, "xb", opener=_private) as file:
            file.write(secrets.token_bytes(SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(made)
        except FileExistsError:
            pass
        finally:
            made.unlink()


@dataclass(frozen=True, slots=True)
class _Opened:
    known: Stored
    header: bytes
    rest: bytes
    leaves: list[tuple[np.dtype[Any], tuple[int, ...]]]
    cipher: AESGCM


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _nonce(place: int) -> bytes:
    """Of the header and of each leaf its own; the key is this file's alone."""
    return place.to_bytes(12, "little")
