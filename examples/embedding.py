"""Parley inside a Python program: arrays in, arrays out, all parties in this process over channels in memory.

    python examples/embedding.py

Two clinics and a laboratory estimate how a blood value depends on dose and age, without pooling their records. The
study is a text as any other; what it will cost is known before it runs.
"""

import numpy as np

import runtime as parley

STUDY = '''
"""One step of least squares by gradient descent, repeated: the records stay where they are."""

party east, west, laboratory

param steps: int = 40
param rate: fixed = 0.3

input X_east: fixed[n, 3] from east
input X_west: fixed[m, 3] from west
input y_east: fixed[n] from laboratory
input y_west: fixed[m] from laboratory

X = concat(X_east, X_west)
y = concat(y_east, y_west)

w = zeros(3)
for step in range(steps):
    w -= rate * mean(X.T * (X @ w - y), axis=1)

reveal w to all
'''


def main() -> None:
    """Run the study on made-up records and compare with least squares in the clear."""
    rng = np.random.default_rng(5)
    x = np.clip(rng.normal(size=(200, 3)), -4, 4)
    y = x @ np.array([2.0, -1.0, 0.5]) + rng.normal(scale=0.1, size=200)

    study = parley.compile(STUDY, sizes={"n": 120, "m": 80})
    cost = study.report().cost
    print(f"{cost.rounds} rounds, {max(cost.bytes_sent.values())} bytes from the busiest party")

    inputs = {
        "east": {"X_east": x[:120]},
        "west": {"X_west": x[120:]},
        "laboratory": {"y_east": y[:120], "y_west": y[120:]},
    }
    learned = parley.simulate_sync(study, inputs)
    print("on shares    ", np.round(learned["east"]["w"], 3))
    print("least squares", np.round(np.linalg.lstsq(x, y)[0], 3))


if __name__ == "__main__":
    main()
