"""A fresh key that two parties of a session share, bound to what they believe they are doing.

Python's ssl has no TLS exporter, so the two exchange X25519 public keys (RFC 7748) inside their authenticated channel
and derive, with HKDF-SHA256 (RFC 5869), a key from the shared secret, the session's id, both names, both public keys
and a context: a hash of whatever both must agree on. Each then shows an HMAC under a second derived key, over its own
name: equal contexts give equal keys, and different ones an error before the key is used.

`PairwiseKey` does no I/O; `agree` runs it over a channel. What the key is for is left to the caller.
"""

from __future__ import annotations

import hashlib
import hmac

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from network.errors import HandshakeFailed
from network.transport import Channel

KEY_BYTES = 32
_LABEL = b"parley pairwise key 1"


class PairwiseKey:
    """One side of the agreement: `start`, `finish`, `confirmation`, `verify`, each once and in this order."""

    def __init__(self, me: str, peer: str, session: bytes, context: bytes) -> None:
        if me == peer:
            raise ValueError(f"{me} cannot agree on a pairwise key with itself")
        self._me = me
        self._peer = peer
        self._session = session
        self._context = context
        self._private = X25519PrivateKey.generate()
        self._public = self._private.public_key().public_bytes_raw()
        self._confirm: bytes | None = None

    def start(self) -> bytes:
        """This side's public key, 32 bytes, for the peer."""
        return self._public

    def finish(self, peer_bytes: bytes) -> bytes:
        """The key, 32 bytes, from the peer's public key; not to be used before `verify`.

        Raises HandshakeFailed when the peer's bytes are no acceptable public key.
        """
        if len(peer_bytes) != KEY_BYTES or peer_bytes == self._public:
            raise HandshakeFailed(self._peer, "it sent no public key of its own for the pairwise key")
        try:
            secret = self._private.exchange(X25519PublicKey.from_public_bytes(peer_bytes))
        except ValueError:  # a point of small order: the secret would be zero, whatever our key
            raise HandshakeFailed(self._peer, "it sent a weak public key for the pairwise key") from None
        sides = sorted([(self._me.encode(), self._public), (self._peer.encode(), peer_bytes)])
        parts = [_LABEL, self._session, self._context, *(part for side in sides for part in side)]
        info = b"".join(len(part).to_bytes(4, "little") + part for part in parts)
        # HKDF's info has a bound in some libraries: its hash has none, and binds the same.
        digest = hashlib.sha256(info).digest()
        derived = HKDF(SHA256(), length=2 * KEY_BYTES, salt=None, info=digest).derive(secret)
        self._confirm = derived[KEY_BYTES:]
        return derived[:KEY_BYTES]

    def confirmation(self) -> bytes:
        """Proof to the peer that this side has the same key, 32 bytes."""
        return self._proof(self._me)

    def verify(self, peer_bytes: bytes) -> None:
        """Check the peer's confirmation. Raises HandshakeFailed."""
        if not hmac.compare_digest(self._proof(self._peer), peer_bytes):
            why = "its pairwise key differs: the two do not agree on the session, its parties or its program"
            raise HandshakeFailed(self._peer, why)

    def _proof(self, name: str) -> bytes:
        if self._confirm is None:
            raise RuntimeError("finish comes before the confirmations")
        return hmac.digest(self._confirm, b"parley confirm " + name.encode(), "sha256")


async def agree(channel: Channel, me: str, session: bytes, context: bytes, limit: float | None = None) -> bytes:
    """The confirmed key of `me` and the channel's peer: two frames each way, each waited for `limit` seconds.

    Raises HandshakeFailed, and what the channel raises.
    """
    exchange = PairwiseKey(me, channel.peer, session, context)
    channel.write([exchange.start()])
    key = exchange.finish(bytes(await channel.receive(limit)))
    channel.write([exchange.confirmation()])
    exchange.verify(bytes(await channel.receive(limit)))
    return key
