"""Writes `data/`: scikit-learn's diabetes data, its columns dealt out over a clinic, a laboratory and a register.

    python examples/ridge/make_data.py

Every column has mean 0 and deviation 1.  The data are by B. Efron, T. Hastie, I. Johnstone and R. Tibshirani (2004).
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_diabetes

DATA = Path(__file__).parent / "data"


def main() -> None:
    """One file for each party."""
    found = load_diabetes()
    measures = (found.data - found.data.mean(axis=0)) / found.data.std(axis=0)
    progress = (found.target - found.target.mean()) / found.target.std()
    parts = {("clinic", "body"): measures[:, :4], ("laboratory", "blood"): measures[:, 4:]}
    parts["register", "progress"] = progress
    for (party, name), values in parts.items():
        (DATA / party).mkdir(parents=True, exist_ok=True)
        np.savetxt(DATA / party / f"{name}.csv", values, fmt="%.5f", delimiter=",")


if __name__ == "__main__":
    main()
