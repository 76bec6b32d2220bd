"""Writes `data/`: made-up patients of three clinics.

python examples/private_counts/make_data.py
"""

import csv
from pathlib import Path

import numpy as np

DATA = Path(__file__).parent / "data"
AGES = ("under 40", "40 to 59", "60 to 74", "75 and over")
CLINICS = {"east": 400, "north": 250, "west": 350}


def main() -> None:
    """One table for each clinic."""
    rng = np.random.default_rng(9)
    for clinic, patients in CLINICS.items():
        folder = DATA / clinic
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "patients.csv").open("w", newline="", encoding="utf-8") as file:
            out = csv.writer(file, lineterminator="\n")
            out.writerow(["sex", "age", "illness", "days"])
            for _ in range(patients):
                age = int(rng.choice(4, p=(0.3, 0.3, 0.25, 0.15)))
                ill = bool(rng.random() < (0.05, 0.15, 0.3, 0.4)[age])
                days = int(min(rng.gamma(2.0, 4.0) * (1 + ill), 60))
                out.writerow([rng.choice(["f", "m"]), AGES[age], str(ill).lower(), days])


if __name__ == "__main__":
    main()
