"""Errors name the party, say what to do, and are the tree that the module draws."""

from __future__ import annotations

import inspect
import re

import pytest

from network import errors

EXAMPLES = [
    errors.CannotListen("h:1", "no such address"),
    errors.AddressInUse("h:1"),
    errors.Unreachable({"bob": "h:1: refused", "carol": "h:2: silent"}, 3),
    errors.HandshakeFailed("bob", "it says so"),
    errors.WrongCertificate("bob", "another key"),
    errors.VersionMismatch("bob", 2, 1),
    errors.NotJoined("bob", 3),
    errors.PeerLost("bob", "gone"),
    errors.PeerStalled("bob", 3),
    errors.FrameError("bob", "too long"),
    errors.ChannelClosed("bob"),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_the_text_names_the_party_or_the_address(error):
    assert isinstance(error, errors.NetworkError)
    assert ("h:1" if isinstance(error, errors.CannotListen) else "bob") in str(error)


def test_the_tree_in_the_docstring_is_the_hierarchy():
    drawn: dict[str, str] = {"NetworkError": "Exception"}
    parents = ["NetworkError"]
    for indent, name in re.findall(r"^    ([ │]*)[├└]── (\w+)", errors.__doc__ or "", re.MULTILINE):
        depth = len(indent) // 4
        drawn[name] = parents[depth]
        parents[depth + 1 :] = [name]

    classes = inspect.getmembers(errors, lambda item: inspect.isclass(item) and issubclass(item, errors.NetworkError))
    assert drawn == {name: item.__base__.__name__ for name, item in classes}


def test_every_unreachable_peer_is_named():
    assert "carol (h:2: silent)" in str(EXAMPLES[2])
