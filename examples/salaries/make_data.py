"""Writes `data/`: made-up payrolls of three employers, two small files each.

python examples/salaries/make_data.py
"""

from pathlib import Path

import numpy as np

DATA = Path(__file__).parent / "data"
EMPLOYERS = {"acme": 80, "bolt": 45, "corda": 25}


def main() -> None:
    """Pay in euros a year, log-normal, women's a tenth lower; and who is a woman."""
    rng = np.random.default_rng(6)
    for employer, size in EMPLOYERS.items():
        folder = DATA / employer
        folder.mkdir(parents=True, exist_ok=True)
        woman = rng.random(size) < 0.45
        pay = np.round(rng.lognormal(10.7, 0.3, size) * np.where(woman, 0.9, 1.0), -2)
        np.savetxt(folder / f"pay_{employer}.csv", pay, fmt="%d")
        np.savetxt(folder / f"woman_{employer}.csv", woman, fmt="%d")


if __name__ == "__main__":
    main()
