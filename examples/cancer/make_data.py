"""Writes `data/`: the Wisconsin breast-cancer data of scikit-learn, its 569 patients dealt out over three hospitals.

    python examples/cancer/make_data.py

The patients are put in random order first, so that the last rows (the third hospital's), on which the study tests the
model, are a fair sample.  The data are by W. H. Wolberg, W. N. Street and O. L. Mangasarian (CC BY 4.0).
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer

DATA = Path(__file__).parent / "data"
HOSPITALS = {"north": slice(0, 227), "centre": slice(227, 420), "south": slice(420, 569)}


def main() -> None:
    """One file of measures and one of diagnoses for each hospital."""
    found = load_breast_cancer()
    order = np.random.default_rng(2026).permutation(len(found.target))
    measures, malignant = found.data[order], found.target[order] == 0
    header = ",".join(name.replace(" ", "_") for name in found.feature_names)
    for hospital, rows in HOSPITALS.items():
        folder = DATA / hospital
        folder.mkdir(parents=True, exist_ok=True)
        x, y = folder / f"X_{hospital}.csv", folder / f"y_{hospital}.csv"
        np.savetxt(x, measures[rows], fmt="%.6g", delimiter=",", header=header, comments="")
        np.savetxt(y, malignant[rows], fmt="%d", header="malignant", comments="")


if __name__ == "__main__":
    main()
