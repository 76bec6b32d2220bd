"""What other engines needed for the same tasks: measured in November 2026 on a machine of this kind.

2 cores (AMD Zen 2, AVX2), all parties on it, one run each: differences under 15 % mean nothing.  Versions: MP-SPDZ of
June 2026 (replicated-ring; semi2k with a dealer), SPU 0.9.5 (ABY3; semi2k with party 0 as the dealer), ORQ (SOSP 2025),
CrypTen 0.4.1 (a trusted third party).  SPU, ORQ and CrypTen run without TLS.  `wan` is 40 ms and 100 Mbit/s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["PEERS", "Figure"]


class Figure(NamedTuple):
    """One engine's figures: seconds, MB sent by its busiest party, rounds; None where they are not known."""

    engine: str
    seconds: float
    megabytes: float | None = None
    rounds: int | None = None


_F = Figure

_TPCH = {
    1: (10.6, 672),
    2: (5.7, 203),
    3: (12.1, 1138),
    4: (12.0, 1108),
    5: (30.6, 3086),
    6: (0.04, 5),
    7: (28.7, 2880),
    8: (35.5, 3167),
    9: (30.2, 3225),
    10: (18.2, 1910),
    11: (2.8, 110),
    12: (11.0, 1166),
    13: (4.0, 325),
    14: (4.8, 385),
    15: (9.6, 1093),
    16: (4.9, 286),
    17: (12.4, 1116),
    18: (19.9, 2296),
    19: (4.0, 446),
}
"""ORQ's seconds and MB for TPC-H at scale factor 0.01, of a single thread; it published no 20, 21 and 22 of this size.
Its data are its own and nobody's, so that nothing is done at home; texts are numbers, `like` is equality."""

PEERS: Mapping[tuple[str, str, str], tuple[Figure, ...]] = {
    ("mul-1m", "rep3", "lan"): (_F("MP-SPDZ", 0.33, 24, 21), _F("SPU", 0.18, 20, 3)),
    ("matmul-512", "rep3", "lan"): (_F("MP-SPDZ", 0.75, 6.3, 3), _F("SPU", 0.29, 5.2, 3)),
    ("matmul-1024", "rep3", "lan"): (_F("MP-SPDZ", 16.5, 25, 6), _F("SPU", 1.46, 21, 3)),
    ("cmp-1m", "rep3", "lan"): (_F("MP-SPDZ", 0.39, 38, 90), _F("SPU", 2.1, 36, 8), _F("ORQ", 0.49, 56, 8)),
    ("chain-1k", "rep3", "lan"): (_F("MP-SPDZ", 0.18, 0.02, 3000), _F("SPU", 1.55, 0.02, 2687)),
    ("sort-64k", "rep3", "lan"): (
        _F("MP-SPDZ", 7.6, 431, 1084),
        _F("SPU", 4.9, 84, 851),
        _F("ORQ", 1.57, 185, 340),
    ),
    ("sort-64k-31", "rep3", "lan"): (_F("MP-SPDZ", 3.3, 212, 537), _F("ORQ", 0.92, 87, 340)),
    ("logreg", "rep3", "lan"): (_F("MP-SPDZ", 5.0, 77, 65175), _F("SPU", 18.9, 32, 31723)),
    ("mlp", "rep3", "lan"): (_F("MP-SPDZ", 2.07, 85, 2050), _F("SPU", 7.1, 79, 1935)),
    ("groupby-100k", "rep3", "lan"): (_F("MP-SPDZ", 0.59, 42, 26), _F("SPU", 23.4, 873, 3059), _F("ORQ", 5.8, 651)),
    ("join-10k", "rep3", "lan"): (_F("MP-SPDZ", 0.99, 66, 556), _F("SPU", 2.9, 97, 1407), _F("ORQ", 0.78, 57)),
    ("div-100k", "rep3", "lan"): (_F("MP-SPDZ", 0.34, 35, 59), _F("SPU", 0.84, 47, 54)),
    ("sigmoid-100k", "rep3", "lan"): (_F("MP-SPDZ", 0.71, 94, 120), _F("SPU", 0.96, 60, 75)),
    ("exp-100k", "rep3", "lan"): (_F("MP-SPDZ", 0.32, 53, 43), _F("SPU", 0.15, 16, 24)),
    ("sort-1m-31", "rep3", "lan"): (_F("ORQ", 15.7, 1640),),
    ("sort-1m", "rep3", "lan"): (_F("ORQ", 25.9, 3538),),
    **{(name, "rep3", "lan"): (_F("ORQ", *_TPCH[q]),) for q in _TPCH for name in (f"q{q}", f"q{q}-spread")},
    ("mul-1m", "rep3", "wan"): (_F("MP-SPDZ", 5.3), _F("SPU", 2.2)),
    ("matmul-512", "rep3", "wan"): (_F("MP-SPDZ", 2.4),),
    ("cmp-1m", "rep3", "wan"): (_F("MP-SPDZ", 7.2), _F("SPU", 5.1)),
    ("chain-1k", "rep3", "wan"): (_F("MP-SPDZ", 40.8), _F("SPU", 62)),
    ("sort-64k", "rep3", "wan"): (_F("SPU", 28.7),),
    ("sort-64k-31", "rep3", "wan"): (_F("MP-SPDZ", 38.6),),
    ("mlp", "rep3", "wan"): (_F("MP-SPDZ", 46.7), _F("SPU", 52.3)),
    ("groupby-100k", "rep3", "wan"): (_F("MP-SPDZ", 6.1),),
    ("join-10k", "rep3", "wan"): (_F("MP-SPDZ", 19.0),),
    ("div-100k", "rep3", "wan"): (_F("MP-SPDZ", 6.3),),
    ("sigmoid-100k", "rep3", "wan"): (_F("MP-SPDZ", 13.2),),
    ("exp-100k", "rep3", "wan"): (_F("MP-SPDZ", 7.2),),
    ("mul-1m", "additive", "lan"): (_F("MP-SPDZ", 0.56, 38), _F("SPU", 0.28, 20), _F("CrypTen", 0.17, 20)),
    ("matmul-512", "additive", "lan"): (_F("SPU", 0.29, 5), _F("CrypTen", 1.8, 5)),
    ("cmp-1m", "additive", "lan"): (_F("SPU", 1.4, 56, 7), _F("CrypTen", 1.9, 272, 34)),
    ("chain-1k", "additive", "lan"): (_F("MP-SPDZ", 0.12), _F("SPU", 0.98), _F("CrypTen", 5.2)),
    ("sort-64k", "additive", "lan"): (_F("SPU", 6.5, 336, 495),),
    ("logreg", "additive", "lan"): (_F("SPU", 12.5, 111, 22620), _F("CrypTen", 56)),
    ("mlp", "additive", "lan"): (_F("SPU", 6.3), _F("CrypTen", 11.6)),
    ("div-100k", "additive", "lan"): (_F("CrypTen", 0.70, 75),),
    ("sigmoid-100k", "additive", "lan"): (_F("CrypTen", 0.49, 49),),
}
"""By (task, protocol, network), those that promise the same; of mlp with two parties, ten times one step."""
