"""Writes `data/`: 620 of scikit-learn's handwritten digits, the pictures at one party and what they show at another.

    python examples/perceptron/make_data.py

The data are by E. Alpaydin and C. Kaynak (CC BY 4.0).
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

DATA = Path(__file__).parent / "data"


def main() -> None:
    """Small whole numbers, as NumPy files."""
    found = load_digits()
    rows = np.random.default_rng(3).permutation(len(found.target))[:620]
    for party in ("camera", "labels"):
        (DATA / party).mkdir(parents=True, exist_ok=True)
    np.save(DATA / "camera" / "pictures.npy", found.data[rows].astype(np.uint8))
    np.save(DATA / "labels" / "y.npy", found.target[rows].astype(np.uint8))


if __name__ == "__main__":
    main()
