"""Writes `data/`: made-up accounts at two banks, some customers having one at both.

python examples/incomes/make_data.py
"""

import csv
import datetime
from pathlib import Path

import numpy as np

DATA = Path(__file__).parent / "data"
REGIONS = ("north", "south", "east", "west")
SHARES = {"north_bank": (0.55, 0.15, 0.28, 0.02), "south_bank": (0.1, 0.6, 0.28, 0.02)}


def main() -> None:
    """One table for each bank."""
    rng = np.random.default_rng(12)
    first = datetime.date(2010, 1, 1)
    for bank, shares in SHARES.items():
        folder = DATA / bank
        folder.mkdir(parents=True, exist_ok=True)
        people = np.sort(rng.choice(900, 260, replace=False))
        with (folder / "accounts.csv").open("w", newline="", encoding="utf-8") as file:
            out = csv.writer(file, lineterminator="\n")
            out.writerow(["customer", "region", "opened", "income", "closed"])
            for person in people:
                region = REGIONS[rng.choice(4, p=shares)]
                opened = first + datetime.timedelta(days=int(rng.integers(0, 5800)))
                income = round(float(rng.lognormal(10.4, 0.4)), 2)
                out.writerow([f"P{person:04d}", region, opened, f"{income:.2f}", str(rng.random() < 0.1).lower()])


if __name__ == "__main__":
    main()
