"""What a round costs beside bytes, on the links that a job names: where two circuits do the same, the one in fewer
rounds or the one in fewer bytes is chosen by it.

It is one number, a setting of the job like its fraction bits, so that all parties compile the same circuit.
"""

from __future__ import annotations

from typing import Final

__all__ = ["NEAR", "round_bytes"]

NEAR: Final = 1 << 17
"""Between near parties: how many bytes, over all parties, take as long as one more round."""

HANDLING: Final = 150e-6
"""Seconds that a round takes beside its way on the wire."""

BYTE: Final = 6e-9
"""Seconds that a byte takes beside its way on the wire: enciphering, copying, computing with it."""

SENDERS: Final = 3
"""Parties that send at the same time."""


def round_bytes(round_trip: float, bits_per_second: float) -> int:
    """How many bytes, over all parties, take as long as one more round.  round_trip: seconds."""
    return round(SENDERS * (round_trip / 2 + HANDLING) / (8 / bits_per_second + BYTE))
