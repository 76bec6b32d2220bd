"""What a condition leaves no missing values of is a column like any other: it can be trained on as it is."""

from __future__ import annotations

import numpy as np
import pytest
from evaluate import run_study
from query_run import run_shared
from query_tables import DECLARATIONS, Tables

from dsl.diagnostics import StudyError

COLUMNS = {
    "v is not null": "v",
    "not (v is null)": "v",
    "v > 3": "v",
    "not v > 3": "v",
    "v between -5 and 9": "v",
    "v not in (1, 2)": "v",
    "- v + g < f": "v, f",
    "k = 'p' and v is not null": "k, v",
    "v > 3 and b or v <= 0 and f > 1": "v",
    "k like 'p%' or k is not null": "k",
}


def study(condition: str, what: str) -> str:
    return f"{DECLARATIONS}query q:\n    select k, v, f from t where {condition}\nreveal {what} to all as x\n"


@pytest.mark.slow
@pytest.mark.parametrize("condition", COLUMNS)
def test_columns_that_conditions_leave_no_missing_values_of(condition: str) -> None:
    tables = Tables.of(3)
    for name in COLUMNS[condition].split(", "):
        assert np.isfinite(run_study(study(condition, f"sum(matrix(q, {name}) * 1.0)"), tables.data())["x"])


@pytest.mark.parametrize("condition", ["v > 3 or b", "v is null", "coalesce(v, 0) > 3", "not (v > 3 and b)", "f > 0"])
def test_columns_that_may_be_missing_still(condition: str) -> None:
    with pytest.raises(StudyError, match="E0311"):
        run_study(study(condition, "sum(matrix(q, v))"), Tables.of(3).data())


def test_rows_without_missing_values_are_trained_on() -> None:
    """What stands under the values of rows that were dropped does not count."""
    tables = Tables.of(6, n=24)
    text = f"""{DECLARATIONS}import ml
query q:
    select v, f from t where v is not null and f is not null
model = ml.linear_regression(matrix(q, v), q.f)
reveal model.weights to all as w
reveal sum(q.f) to all as total
"""
    rows = [(v, f) for v, f in zip(tables.t["v"], tables.t["f"], strict=True) if None not in (v, f)]
    x, y = np.array(rows, float).T
    want = np.polyfit(x, y, 1)[0]
    for run in (run_study, run_shared):
        found = run(text, tables.data())
        assert np.allclose(found["w"], want, atol=0.02), found
        assert abs(found["total"] - y.sum()) < 0.05
