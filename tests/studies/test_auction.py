"""Five roles, three of which compute: the right one wins at the right price, and each learns its own part alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from studies_run import DEALER, EXAMPLES, run

STUDY = EXAMPLES / "auction" / "study.parley"
BIDDERS = ("ana", "ben", "cai", "dia")


def auction(folder: Path, reserve: int, bids: tuple[int, ...], *options: str) -> dict[str, Any]:
    brings = [("seller", "reserve", reserve), *((p, f"bid_{p}", b) for p, b in zip(BIDDERS, bids, strict=True))]
    for party, name, value in brings:
        (folder / party).mkdir()
        (folder / party / f"{name}.csv").write_text(f"{value}\n")
    return run(STUDY, folder, *options)["outputs"]


def expected(reserve: int, bids: tuple[int, ...]) -> dict[str, Any]:
    winner = bids.index(max(bids))
    sold = bids[winner] >= reserve
    price = max(sorted(bids)[2], reserve) if sold else 0
    common = {"sold": sold, "winner": winner if sold else -1}
    pays = {p: common | {"pays": price if sold and i == winner else 0} for i, p in enumerate(BIDDERS)}
    return {"seller": common | {"price": price}, **pays}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reserve", "bids"),
    [
        (900, (1250, 980, 1410, 1175)),
        (1300, (1250, 980, 1410, 1175)),  # the reserve is the price
        (1500, (1250, 980, 1410, 1175)),  # not sold
        (900, (1410, 1410, 5, 0)),  # of equal bids the first wins, and pays what it bid
    ],
)
def test_the_best_bid_wins_at_the_next_price(tmp_path: Path, reserve: int, bids: tuple[int, ...]) -> None:
    assert auction(tmp_path, reserve, bids) == expected(reserve, bids)


@pytest.mark.slow
def test_all_five_compute_with_a_dealer(tmp_path: Path) -> None:
    bids = (1250, 980, 1410, 1175)
    assert auction(tmp_path, 900, bids, *DEALER) == expected(900, bids)
