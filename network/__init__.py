"""Bytes between named parties: frames, channels, sessions; TLS with pinned certificates, or within one process.

Knows nothing of shares, circuits or numpy. The contracts are in `transport`, what can go wrong in `errors`.
"""

from network.errors import (
    AddressInUse,
    CannotListen,
    ChannelClosed,
    FrameError,
    HandshakeFailed,
    IdentityError,
    NetworkError,
    NotJoined,
    PeerLost,
    PeerStalled,
    Unreachable,
    VersionMismatch,
    WrongCertificate,
)
from network.identity import (
    Address,
    Card,
    Identity,
    Roster,
    check_name,
    create_identity,
    ephemeral_identity,
    load_card,
    load_identity,
    load_roster,
    parse_address,
)
from network.memory import cut, memory_mesh, memory_pair
from network.mesh import Mesh
from network.pairwise import PairwiseKey, agree
from network.shape import WAN, Link, ShapedChannel, Uplink, parse_link
from network.transport import Channel, Tally, Transport

__all__ = [
    "WAN",
    "Address",
    "AddressInUse",
    "CannotListen",
    "Card",
    "Channel",
    "ChannelClosed",
    "FrameError",
    "HandshakeFailed",
    "Identity",
    "IdentityError",
    "Link",
    "Mesh",
    "NetworkError",
    "NotJoined",
    "PairwiseKey",
    "PeerLost",
    "PeerStalled",
    "Roster",
    "ShapedChannel",
    "Tally",
    "Transport",
    "Unreachable",
    "Uplink",
    "VersionMismatch",
    "WrongCertificate",
    "agree",
    "check_name",
    "create_identity",
    "cut",
    "ephemeral_identity",
    "load_card",
    "load_identity",
    "load_roster",
    "memory_mesh",
    "memory_pair",
    "parse_address",
    "parse_link",
]
