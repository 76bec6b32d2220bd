"""Ports for processes that bind them later: such as no outgoing connection of this machine is given meanwhile.

A port that the system chose for a socket which is closed again may be chosen anew before the process listens on it, for
another test's socket or as the near end of a connection.  These are taken from below what the system chooses from, and
each process that takes some begins at a place of its own.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

LOWEST, HIGHEST = 10_000, 32_768
CHOSEN_FROM = Path("/proc/sys/net/ipv4/ip_local_port_range")
EACH = 128
"""Ports from one process's beginning to the next one's."""


def _ports() -> Iterator[int]:
    end = min(HIGHEST, int(CHOSEN_FROM.read_text().split()[0])) if CHOSEN_FROM.exists() else HIGHEST
    places = max(end - LOWEST, 1024)
    at = os.getpid() * EACH
    while True:
        yield LOWEST + at % places
        at += 1


_PORTS = _ports()


def free_port() -> int:
    """One that nobody listens on, and that this process has not given out before."""
    for port in _PORTS:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("there are more")
