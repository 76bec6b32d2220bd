"""Writes `data/`: made-up customers of a bank and a credit bureau, and the bank's network, trained here on others.

python examples/credit_score/make_data.py
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

DATA = Path(__file__).parent / "data"
CUSTOMERS = 300
HIDDEN = 8

Array = NDArray[np.float64]


def people(rng: np.random.Generator, count: int) -> tuple[Array, Array]:
    """Seven standardized columns and whether each paid back."""
    x = np.clip(rng.normal(size=(count, 7)), -4, 4)
    good = x[:, 0] - x[:, 1] + 0.5 * x[:, 2] - np.abs(x[:, 3]) - 1.5 * np.maximum(x[:, 5], 0) + 1
    return x, (good + rng.normal(scale=0.3, size=count) > 0).astype(np.float64)


def train(rng: np.random.Generator, x: Array, y: Array) -> tuple[Array, Array, Array, Array]:
    """A network with one hidden layer, by gradient descent on the cross-entropy."""
    w1, b1 = rng.normal(scale=0.5, size=(7, HIDDEN)), np.zeros(HIDDEN)
    w2, b2 = rng.normal(scale=0.5, size=HIDDEN), np.zeros(1)
    for _ in range(2000):
        hidden = np.maximum(x @ w1 + b1, 0)
        error = (1 / (1 + np.exp(-(hidden @ w2 + b2))) - y) / len(y)
        back = np.outer(error, w2) * (hidden > 0)
        w1 -= 0.5 * x.T @ back
        b1 -= 0.5 * back.sum(axis=0)
        w2 -= 0.5 * hidden.T @ error
        b2 -= 0.5 * error.sum()
    return w1, b1, w2, b2


def save(folder: Path, **arrays: Array) -> None:
    """One CSV for each array."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        np.savetxt(folder / f"{name}.csv", array, fmt="%.5f", delimiter=",")


def main() -> None:
    """The model is trained on other customers than those whom the study scores."""
    rng = np.random.default_rng(11)
    w1, b1, w2, b2 = train(rng, *people(rng, 2000))
    x, _ = people(rng, CUSTOMERS)
    save(DATA / "bank", account=x[:, :4], W1=w1, b1=b1, W2=w2, b2=b2)
    save(DATA / "bureau", history=x[:, 4:])


if __name__ == "__main__":
    main()
