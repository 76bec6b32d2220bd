"""Pairwise keys: the same at both, fresh each time, and never agreed on by two who mean different things."""

from __future__ import annotations

import asyncio

import pytest

from network import HandshakeFailed, PairwiseKey, agree, memory_pair


def exchange(a: PairwiseKey, b: PairwiseKey) -> tuple[bytes, bytes]:
    return a.finish(b.start()), b.finish(a.start())


def test_both_sides_get_the_same_key_and_confirm_it():
    a, b = PairwiseKey("alice", "bob", b"s", b"c"), PairwiseKey("bob", "alice", b"s", b"c")
    at_a, at_b = exchange(a, b)
    a.verify(b.confirmation())
    b.verify(a.confirmation())

    assert at_a == at_b
    assert len(at_a) == 32


def test_each_agreement_gives_another_key():
    keys = {exchange(PairwiseKey("a", "b", b"s", b"c"), PairwiseKey("b", "a", b"s", b"c"))[0] for _ in range(3)}

    assert len(keys) == 3


@pytest.mark.parametrize(
    ("theirs", "what"),
    [
        (("bob", "alice", b"other", b"c"), "session"),
        (("bob", "alice", b"s", b"other"), "context"),
        (("bob", "carol", b"s", b"c"), "peer"),
        (("bob", "alice", b"sc", b""), "boundary between session and context"),
    ],
)
def test_a_difference_in_what_they_believe_is_found(theirs, what):
    a, b = PairwiseKey("alice", "bob", b"s", b"c"), PairwiseKey(*theirs)
    at_a, at_b = exchange(a, b)

    assert at_a != at_b, what
    with pytest.raises(HandshakeFailed, match="no trusted connection with bob: its pairwise key differs"):
        a.verify(b.confirmation())
    with pytest.raises(HandshakeFailed):
        b.verify(a.confirmation())


def test_a_confirmation_sent_back_is_no_confirmation():
    a, b = PairwiseKey("alice", "bob", b"s", b"c"), PairwiseKey("bob", "alice", b"s", b"c")
    exchange(a, b)
    with pytest.raises(HandshakeFailed):
        a.verify(a.confirmation())
    with pytest.raises(HandshakeFailed):
        a.verify(b"")


@pytest.mark.parametrize("public", [b"", b"x" * 31, bytes(32), b"\x01" + bytes(31)])
def test_weak_and_malformed_public_keys_are_refused(public):
    with pytest.raises(HandshakeFailed, match="bob"):
        PairwiseKey("alice", "bob", b"s", b"c").finish(public)


def test_the_own_public_key_sent_back_is_refused():
    a = PairwiseKey("alice", "bob", b"s", b"c")
    with pytest.raises(HandshakeFailed, match="of its own"):
        a.finish(a.start())


def test_no_confirmation_before_the_key():
    a = PairwiseKey("alice", "bob", b"s", b"c")
    with pytest.raises(RuntimeError):
        a.confirmation()
    with pytest.raises(ValueError, match="itself"):
        PairwiseKey("alice", "alice", b"s", b"c")


async def test_agreement_over_a_channel():
    left, right = memory_pair("alice", "bob")
    keys = await asyncio.gather(agree(left, "alice", b"s", b"c", 5), agree(right, "bob", b"s", b"c", 5))
    assert keys[0] == keys[1]

    outcomes = await asyncio.gather(
        agree(left, "alice", b"s", b"c", 5), agree(right, "bob", b"s", b"d", 5), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [HandshakeFailed, HandshakeFailed]
    assert [outcome.peer for outcome in outcomes] == ["bob", "alice"]
