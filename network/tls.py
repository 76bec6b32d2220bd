"""Mutual TLS 1.3 with pinned certificates: whom a socket belongs to, before a single frame moves.

Both sides show their certificate, and each must be, byte for byte, one on a card that the other holds: a caller dials
a name and accepts that name's certificate alone; a listener accepts any of its roster and takes the caller's name from
which one it was. There is no plain TCP, no authority, no host name check (a certificate is worth its pin, wherever its
party's node runs).

In TLS 1.3 the caller's handshake ends before the listener has looked at its certificate. So a finished handshake means
little to the caller: `connection` counts a connection as made when the first frames, the hellos, have crossed. Until
then a refusal reaches the caller as an alert, for which the listener keeps the socket open a moment (`_linger`):
closed at once, the alert could be lost to a TCP reset.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import tempfile
from pathlib import Path

from network.errors import HandshakeFailed, NetworkError, PeerLost, WrongCertificate
from network.identity import Address, Card, Identity, Roster

_LINGER_SECONDS = 1.0


def server_context(identity: Identity, roster: Roster) -> ssl.SSLContext:
    """A context that accepts callers with a certificate of the roster, and no others."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0  # no resumption: every connection proves its certificate anew
    for name, card in roster.items():
        if name != identity.name:
            context.load_verify_locations(cadata=card.certificate)
    return _finish(context, identity)


def client_context(identity: Identity, card: Card) -> ssl.SSLContext:
    """A context for calling the party of this card, and no other."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=card.certificate)
    return _finish(context, identity)


def _finish(context: ssl.SSLContext, identity: Identity) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    with tempfile.TemporaryDirectory() as directory:  # ssl reads files alone; this one is ours alone, and gone at once
        path = Path(directory) / "own.pem"
        key = identity.key if isinstance(identity.key, bytes) else identity.key.read_bytes()
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(key + identity.card.pem.encode())
        context.load_cert_chain(path)
    return context


async def dial(context: ssl.SSLContext, card: Card) -> ssl.SSLSocket:
    """A TLS connection to the party of this card; it may still refuse us, see above.

    Raises WrongCertificate, HandshakeFailed, PeerLost, and OSError when there is no TCP connection.
    """
    plain = await _open_tcp(card.address)
    try:
        tls = context.wrap_socket(plain, do_handshake_on_connect=False)
    except BaseException:
        plain.close()
        raise
    try:
        await _handshake(tls)
        if tls.getpeercert(binary_form=True) != card.certificate:
            raise WrongCertificate(card.name, "the certificate that it showed is not the one on its card")
    except OSError as error:
        tls.close()
        raise explain(card.name, error) from error
    except BaseException:
        tls.close()
        raise
    return tls


async def accept(
    context: ssl.SSLContext, roster: Roster, plain: socket.socket, caller: str
) -> tuple[str, ssl.SSLSocket]:
    """The name of who is calling and the TLS connection to it; `caller` says where from, for errors.

    Raises WrongCertificate, HandshakeFailed, PeerLost; the socket is closed then.
    """
    _tune(plain)
    try:
        tls = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
    except BaseException:
        plain.close()
        raise
    try:
        await _handshake(tls)
    except OSError as error:
        await _linger(tls)
        raise explain(caller, error) from error
    except BaseException:
        tls.close()
        raise
    certificate = tls.getpeercert(binary_form=True)
    name = roster.name_of(certificate or b"")
    if name is None:
        tls.close()
        raise WrongCertificate(caller, "its certificate is on no card of the roster")
    return name, tls


def explain(peer: str, error: OSError) -> NetworkError:
    """What a failure before the first frame means, in words that say what to do."""
    if isinstance(error, ssl.SSLCertVerificationError):
        why = f"it showed a certificate that is not pinned for it here ({error.verify_message}); "
        return WrongCertificate(peer, why + "if it made a new key, get its new card and put that in the roster")
    reason = getattr(error, "reason", None) or ""
    if isinstance(error, ssl.SSLError) and ("CERTIFICATE" in reason or "UNKNOWN_CA" in reason):
        why = "it refused this party's certificate: give it this party's present card for its roster"
        return WrongCertificate(peer, f"{why} ({reason.lower().replace('_', ' ')})")
    if isinstance(error, ssl.SSLEOFError | ConnectionError):
        return PeerLost(peer, "the connection was closed before the two had greeted each other")
    if isinstance(error, ssl.SSLError):
        why = f"it does not speak mutual TLS 1.3 as a Parley node does ({reason.lower().replace('_', ' ')})"
        return HandshakeFailed(peer, why)
    return PeerLost(peer, f"the connection failed before the two had greeted each other ({error})")


async def _open_tcp(address: Address) -> socket.socket:
    loop = asyncio.get_running_loop()
    last: OSError | None = None
    for family, kind, protocol, _, where in await loop.getaddrinfo(*address, type=socket.SOCK_STREAM):
        plain = socket.socket(family, kind, protocol)
        plain.setblocking(False)
        try:
            await loop.sock_connect(plain, where)
        except OSError as error:
            plain.close()
            last = error
        except BaseException:
            plain.close()
            raise
        else:
            _tune(plain)
            return plain
    raise last or OSError(f"no address found for {address.host}")


def _tune(plain: socket.socket) -> None:
    """Small frames leave at once. The kernel's buffers are left alone: setting their sizes would end their growth."""
    plain.setblocking(False)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


async def _handshake(tls: ssl.SSLSocket) -> None:
    while True:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            await _ready(tls.fileno(), reading=True)
        except ssl.SSLWantWriteError:
            await _ready(tls.fileno(), reading=False)
        else:
            return


async def _ready(fd: int, *, reading: bool) -> None:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()
    add, remove = (loop.add_reader, loop.remove_reader) if reading else (loop.add_writer, loop.remove_writer)

    def ready() -> None:
        if not future.done():
            future.set_result(None)

    add(fd, ready)
    try:
        await future
    finally:
        remove(fd)


async def _linger(tls: ssl.SSLSocket) -> None:
    """Close so that the alert just sent is read: say that no more comes, and wait for the other side to hang up."""
    plain = socket.socket(fileno=tls.detach())
    try:
        with contextlib.suppress(OSError, TimeoutError):
            plain.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(_LINGER_SECONDS):
                while await asyncio.get_running_loop().sock_recv(plain, 65536):
                    pass
    finally:
        plain.close()
