"""Keys, cards and rosters: what is written can be read, and what does not fit together is refused."""

from __future__ import annotations

import stat

import pytest

from network import (
    Address,
    Card,
    IdentityError,
    Roster,
    check_name,
    create_identity,
    ephemeral_identity,
    load_card,
    load_identity,
    load_roster,
    parse_address,
)


def test_an_identity_can_be_written_and_read(tmp_path):
    made = create_identity("north_bank", "127.0.0.1:7001", tmp_path)
    read = load_identity(tmp_path / "north_bank.key", tmp_path / "north_bank.card.toml")

    assert read == made
    assert read.name == "north_bank"
    assert read.card.address == Address("127.0.0.1", 7001)


def test_the_key_is_readable_by_its_owner_alone_and_in_no_other_file(tmp_path):
    create_identity("a", "h:1", tmp_path)

    assert stat.S_IMODE((tmp_path / "a.key").stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.card.toml", "a.crt", "a.key"]
    for name in ("a.card.toml", "a.crt"):
        assert "PRIVATE" not in (tmp_path / name).read_text()
    assert "PRIVATE" not in repr(ephemeral_identity("a", "h:1"))


def test_a_key_is_never_overwritten(tmp_path):
    create_identity("a", "h:1", tmp_path)
    before = (tmp_path / "a.key").read_bytes()
    with pytest.raises(IdentityError, match=r"a\.key exists"):
        create_identity("a", "h:1", tmp_path)

    assert (tmp_path / "a.key").read_bytes() == before


def test_a_key_that_others_may_read_is_refused(tmp_path):
    create_identity("a", "h:1", tmp_path)
    (tmp_path / "a.key").chmod(0o640)
    with pytest.raises(IdentityError, match="chmod 600"):
        load_identity(tmp_path / "a.key", tmp_path / "a.card.toml")


def test_a_key_of_another_card_is_refused(tmp_path):
    create_identity("a", "h:1", tmp_path)
    create_identity("b", "h:2", tmp_path)
    with pytest.raises(IdentityError, match="does not belong"):
        load_identity(tmp_path / "a.key", tmp_path / "b.card.toml")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('name = "a"', 'name = "b"', "made out to a, not to b"),
        ('name = "a"', 'name = "a b"', "letters, digits and _"),
        ('address = "h:1"', 'address = "h"', "HOST:PORT"),
        ('fingerprint = "sha256:', 'fingerprint = "sha256:0', "differ"),
        ("BEGIN CERTIFICATE-----\n", "BEGIN CERTIFICATE-----\n!!", "damaged"),
        ("certificate =", "other =", "needs name, address, fingerprint and certificate"),
        ('name = "a"', "name = 1", "needs name"),
        ('name = "a"', "name = ", "cannot read the card"),
    ],
)
def test_a_card_that_was_tampered_with_is_refused(tmp_path, old, new, why):
    create_identity("a", "h:1", tmp_path)
    path = tmp_path / "a.card.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(IdentityError, match=why):
        load_card(path)


def test_a_missing_card_is_an_error_of_identity(tmp_path):
    with pytest.raises(IdentityError, match="cannot read the card"):
        load_card(tmp_path / "none.card.toml")


def test_a_roster_finds_cards_by_name_and_by_certificate(tmp_path):
    a, b = create_identity("a", "h:1", tmp_path), create_identity("b", "h:2", tmp_path)
    roster = load_roster([tmp_path / "b.card.toml", tmp_path / "a.card.toml"])

    assert list(roster) == ["b", "a"]
    assert roster["a"] == a.card
    assert roster.name_of(b.card.certificate) == "b"
    assert roster.name_of(ephemeral_identity("a", "h:1").card.certificate) is None


def test_a_roster_holds_each_name_and_each_certificate_once():
    a = ephemeral_identity("a", "h:1").card
    with pytest.raises(IdentityError, match="two cards for a"):
        Roster([a, ephemeral_identity("a", "h:2").card])
    with pytest.raises(IdentityError, match="same certificate"):
        Roster([a, Card("b", a.address, a.certificate)])


@pytest.mark.parametrize("name", ["a", "_x9", "North_Bank", "a" * 63])
def test_names_of_parties(name):
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "9a", "a-b", "a b", "ä", "a" * 64, "a\n", "../a"])
def test_other_names_are_refused(name):
    with pytest.raises(IdentityError):
        check_name(name)


@pytest.mark.parametrize(
    ("text", "address"),
    [("host:1", ("host", 1)), ("10.0.0.1:65535", ("10.0.0.1", 65535)), ("[::1]:7000", ("::1", 7000))],
)
def test_addresses(text, address):
    assert parse_address(text) == address
    assert str(parse_address(text)) == text


@pytest.mark.parametrize("text", ["", "host", ":1", "host:", "host:65536", "host:-1", "host:x", "::1:7000", "a b:1"])
def test_other_addresses_are_refused(text):
    with pytest.raises(IdentityError):
        parse_address(text)
