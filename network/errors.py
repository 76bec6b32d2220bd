"""Everything that can go wrong between parties, each error naming the party and what to do.

    NetworkError
    ├── IdentityError                 a name, address, card, key or roster that cannot be used
    ├── CannotListen(address, why)    this party's own server did not start
    │   └── AddressInUse(address)
    ├── Unreachable(peers, seconds)   no connection within the connect limit; `peers` maps each name to the reason
    ├── HandshakeFailed(peer, why)    somebody answered, but may not be talked to
    │   ├── WrongCertificate          a certificate that is not the pinned one, theirs or ours
    │   └── VersionMismatch(peer, theirs, ours)
    ├── NotJoined(peer, seconds)      connected, but the peer never opened the session
    ├── PeerLost(peer, why)           an established connection or session has ended
    ├── PeerStalled(peer, seconds)    nothing heard for longer than the limit
    ├── FrameError(peer, why)         bytes that break the frame format or its bounds
    └── ChannelClosed(peer)           the channel was used after it was closed on this side

`str(error)` is one sentence or two, fit to be shown to an operator: it holds names, sizes and limits, never data.
"""

from __future__ import annotations

from collections.abc import Mapping


class NetworkError(Exception):
    """Base of all errors of this package."""


class IdentityError(NetworkError):
    """A name, address, card, key or roster that cannot be used; the text says which and why."""


class CannotListen(NetworkError):  # noqa: N818 - says what happened, as PeerLost does
    """The server of this party could not be started on `address`."""

    def __init__(self, address: str, why: str) -> None:
        self.address = address
        self.why = why
        super().__init__(f"cannot listen on {address}: {why}")


class AddressInUse(CannotListen):
    """Another process listens on `address` already."""

    def __init__(self, address: str) -> None:
        super().__init__(address, "another process uses this port; end it, or choose another port for this party")


class Unreachable(NetworkError):  # noqa: N818
    """Some peers could not be connected within the limit; `peers` maps each name to the last reason."""

    def __init__(self, peers: Mapping[str, str], seconds: float) -> None:
        self.peers = dict(peers)
        self.seconds = seconds
        each = "; ".join(f"{name} ({why})" for name, why in self.peers.items())
        super().__init__(f"could not reach {each} within {seconds:g} s: check that their nodes run and the addresses")


class HandshakeFailed(NetworkError):  # noqa: N818
    """Somebody answered in `peer`'s place or name, but no trusted connection came of it."""

    def __init__(self, peer: str, why: str) -> None:
        self.peer = peer
        self.why = why
        super().__init__(f"no trusted connection with {peer}: {why}")


class WrongCertificate(HandshakeFailed):
    """A certificate is not the pinned one: the peer's here, or this party's at the peer."""


class VersionMismatch(HandshakeFailed):
    """The peer speaks another version of the wire format."""

    def __init__(self, peer: str, theirs: object, ours: int) -> None:
        self.theirs = theirs
        self.ours = ours
        super().__init__(
            peer, f"it speaks version {theirs} of the wire format, this party version {ours}; install the same release"
        )


class NotJoined(NetworkError):  # noqa: N818
    """The peer is connected but has not opened the session within the limit."""

    def __init__(self, peer: str, seconds: float) -> None:
        self.peer = peer
        self.seconds = seconds
        super().__init__(f"{peer} did not join the session within {seconds:g} s: check that its node accepted the job")


class PeerLost(NetworkError):  # noqa: N818
    """The connection or the session with `peer` has ended."""

    def __init__(self, peer: str, why: str) -> None:
        self.peer = peer
        self.why = why
        super().__init__(f"lost {peer}: {why}")


class PeerStalled(NetworkError):  # noqa: N818
    """Nothing came from `peer` for `seconds`."""

    def __init__(self, peer: str, seconds: float) -> None:
        self.peer = peer
        self.seconds = seconds
        super().__init__(
            f"{peer} was silent for {seconds:g} s: its process or its network has stopped, "
            f"or one step of its computation takes longer than this limit, which then must be raised"
        )


class FrameError(NetworkError):
    """`peer` sent bytes that break the frame format or its bounds; nothing of the frame was used."""

    def __init__(self, peer: str, why: str) -> None:
        self.peer = peer
        self.why = why
        super().__init__(f"bad frame from {peer}: {why}")


class ChannelClosed(NetworkError):  # noqa: N818
    """The channel to `peer` was used after this side had closed it."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
        super().__init__(f"the channel to {peer} is closed on this side")
