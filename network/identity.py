"""Who a party is: its name, its key, and the card by which the others know it.

There is no certificate authority. `create_identity` writes, for one party, a private key that never leaves it
(`NAME.key`), a self-signed certificate (`NAME.crt`), and a card (`NAME.card.toml`) with name, address, certificate and
fingerprint, to be given to the others by a way they trust; reading the fingerprint over the telephone is one. A
`Roster` is the set of cards that a node accepts: exactly these certificates, each for its one name.

Keys are Ed25519: what TLS 1.3 of every OpenSSL since 1.1.1 signs with fastest, and with no parameters to get wrong.
How the certificates are used in TLS is left to `tls`.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import re
import stat
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from network.errors import IdentityError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")  # an X.509 common name has at most 64 characters
_YEARS = 10


class Address(NamedTuple):
    """Where a party listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """HOST:PORT, with [HOST] for a numeric IPv6 address. Raises IdentityError."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise IdentityError(f"in the address {text!r} write the IPv6 host in brackets: [HOST]:PORT")
    if not colon or not host or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise IdentityError(f"an address is HOST:PORT with a port up to 65535, not {text!r}")
    if not re.fullmatch(r"[0-9A-Za-z_.:%-]+", host):
        raise IdentityError(f"the host {host!r} of an address is a name or a numeric address")
    return Address(host, int(port))


def check_name(name: str) -> str:
    """The name of a party: up to 63 letters, digits and _, no digit first. Raises IdentityError."""
    if not _NAME.fullmatch(name):
        raise IdentityError(f"a party's name is up to 63 letters, digits and _, no digit first; not {name!r}")
    return name


@dataclass(frozen=True, slots=True)
class Card:
    """What the others know of a party: nothing secret. The certificate is in DER."""

    name: str
    address: Address
    certificate: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate in hexadecimal."""
        return hashlib.sha256(self.certificate).hexdigest()

    @property
    def pem(self) -> str:
        """The certificate as PEM."""
        return x509.load_der_x509_certificate(self.certificate).public_bytes(serialization.Encoding.PEM).decode()

    def to_toml(self) -> str:
        """The card as the text of its file."""
        return (
            f"# The card of {self.name}: give it to the parties that compute with it. It holds no secret.\n"
            f"# Whoever receives it should compare the fingerprint with {self.name} by another way.\n"
            f'name = "{self.name}"\naddress = "{self.address}"\nfingerprint = "sha256:{self.fingerprint}"\n'
            f'certificate = """\n{self.pem}"""\n'
        )


@dataclass(frozen=True, slots=True)
class Identity:
    """A party's own card and its private key: the path of the key's file, or the PEM itself where there is none."""

    card: Card
    key: Path | bytes = field(repr=False)

    @property
    def name(self) -> str:
        """The party's name."""
        return self.card.name


class Roster(Mapping[str, Card]):
    """The cards that a node accepts, by name, in the order given. Raises IdentityError for two alike."""

    def __init__(self, cards: Iterable[Card]) -> None:
        self._cards: dict[str, Card] = {}
        self._names: dict[bytes, str] = {}
        for card in cards:
            if card.name in self._cards:
                raise IdentityError(f"the roster has two cards for {card.name}: keep the right one")
            other = self._names.setdefault(card.certificate, card.name)
            if other != card.name:
                raise IdentityError(f"{other} and {card.name} have the same certificate: each needs a key of its own")
            self._cards[card.name] = card

    def __getitem__(self, name: str) -> Card:
        return self._cards[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._cards)

    def __len__(self) -> int:
        return len(self._cards)

    def name_of(self, certificate: bytes) -> str | None:
        """Whose certificate (DER) this is, byte for byte; None for a stranger's."""
        return self._names.get(certificate)


def ephemeral_identity(name: str, address: str | Address) -> Identity:
    """A new identity in memory alone, for runs on one machine and for tests."""
    check_name(name)
    where = parse_address(str(address))
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Identity(Card(name, where, _self_signed(name, key)), pem)


def create_identity(name: str, address: str | Address, directory: Path) -> Identity:
    """A new identity in `directory`: NAME.key (readable by its owner alone), NAME.crt and NAME.card.toml.

    Raises IdentityError if the party has a key there already: a new one would make every card given away worthless.
    """
    identity = ephemeral_identity(name, address)
    assert isinstance(identity.key, bytes)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}.key"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise IdentityError(f"{path} exists: remove it first if the old key of {name} is to be given up") from None
    with os.fdopen(handle, "wb") as file:
        file.write(identity.key)
    (directory / f"{name}.crt").write_text(identity.card.pem)
    (directory / f"{name}.card.toml").write_text(identity.card.to_toml())
    return Identity(identity.card, path)


def load_card(path: Path) -> Card:
    """Read a card; its certificate must bear its name and fit its fingerprint. Raises IdentityError."""
    try:
        text = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise IdentityError(f"cannot read the card {path}: {error}") from None
    values = [text.get(key) for key in ("name", "address", "fingerprint", "certificate")]
    name, address, fingerprint, pem = (value if isinstance(value, str) else "" for value in values)
    if not (name and address and fingerprint and pem):
        raise IdentityError(f"the card {path} needs name, address, fingerprint and certificate, each a text")
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        raise IdentityError(f"the certificate in the card {path} is damaged: ask {name} for the card again") from None
    card = Card(check_name(name), parse_address(address), certificate.public_bytes(serialization.Encoding.DER))
    if fingerprint.removeprefix("sha256:").lower() != card.fingerprint:
        raise IdentityError(f"fingerprint and certificate in the card {path} differ: ask {name} for the card again")
    common = [str(part.value) for part in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if common != [name]:
        raise IdentityError(f"the certificate in the card {path} is made out to {', '.join(common)}, not to {name}")
    return card


def load_identity(key: Path, card: Path) -> Identity:
    """A party's own key and card; they must belong together. Raises IdentityError."""
    own = load_card(card)
    try:
        mode = key.stat().st_mode
        private = serialization.load_pem_private_key(key.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise IdentityError(f"cannot read the key {key} of {own.name}: {error}") from None
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise IdentityError(f"others may read the key {key}: run `chmod 600 {key}`, or make a new one if they did")
    certified = x509.load_der_x509_certificate(own.certificate).public_key()
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    if private.public_key().public_bytes(*form) != certified.public_bytes(*form):
        raise IdentityError(f"the key {key} does not belong to the certificate in {card}")
    return Identity(own, key)


def load_roster(paths: Iterable[Path]) -> Roster:
    """The roster of these cards. Raises IdentityError."""
    return Roster(load_card(path) for path in paths)


def _self_signed(name: str, key: Ed25519PrivateKey) -> bytes:
    """A certificate (DER) for both ends of TLS. It starts a day early: the clocks of two parties may differ."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=365 * _YEARS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(usage, critical=True)
        .add_extension(purposes, critical=False)
        .sign(key, None)
    )
    return certificate.public_bytes(serialization.Encoding.DER)
