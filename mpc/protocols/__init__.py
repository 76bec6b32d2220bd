"""The protocols: each one a `Scheme`, found by its name."""

from __future__ import annotations

from typing import Final

from mpc.protocol import Scheme
from mpc.protocols.additive import ADDITIVE
from mpc.protocols.rep3 import REP3

__all__ = ["SCHEMES"]

SCHEMES: Final[dict[str, Scheme]] = {s.name: s for s in (REP3, ADDITIVE)}
