"""A revealed model: as JSON, as NumPy's files, and as an ONNX graph that says what the study's own predict says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dsl.elaborate import elaborate
from dsl.inputs import Bindings
from dsl.parse import parse
from dsl.stypes import SType
from mpc import plain
from runtime.export import write
from runtime.results import ArrayOutput, Output, RecordOutput, show, to_json
from runtime.session import learned

RNG = np.random.default_rng(4)
ROWS, COLUMNS = 48, 3
X = np.round(RNG.normal(size=(ROWS, COLUMNS)) * 256) / 256
IMAGES = np.round(RNG.random((ROWS, 2, 5, 7)) * 256) / 256  # what is over at the edges has no window
SIGNAL = X @ np.array([1.0, -2.0, 0.5])
Y = {
    "numbers": SIGNAL + 0.25,
    "truths": (SIGNAL > 0) * 1.0,
    "classes": np.digitize(SIGNAL, [-1.0, 1.0]) * 1.0,
    "counts": np.floor(np.exp(0.3 * SIGNAL)),
    "bright": (IMAGES[:, 0].mean(axis=(1, 2)) > IMAGES[:, 1].mean(axis=(1, 2))) * 1.0,
    "brightest": IMAGES[:, 0].reshape(ROWS, 5, 7)[:, 1:4, 1:6].mean(axis=1).argmax(axis=1) // 2 * 1.0,
}
NUMBER = SType("fixed")


def given(y: str) -> NDArray[Any]:
    """What Y is of."""
    return IMAGES if y.startswith("bright") else X


def of(call: str, y: str, *, chances: bool = False) -> dict[str, Output]:
    """What everyone learns of a model trained in the clear: itself, what it predicts, the chances."""
    kind = "fixed" if y == "numbers" else "int"
    text = f"party p\nimport ml\ninput X: fixed{list(given(y).shape)} from p\ninput y: {kind}[{ROWS}] from p\n"
    text += f"model = ml.{call}\nreveal model to p\nreveal ml.predict(model, X) to p as prediction\n"
    text += "reveal ml.predict_proba(model, X) to p as probability\n" if chances else ""
    done = elaborate(parse(text), Bindings())
    brought = {("p", "X", ""): given(y), ("p", "y", ""): Y[y] if kind == "fixed" else Y[y].astype(np.int64)}
    values = plain.evaluate(done.circuit, brought)
    return {output.name: output for output in learned(done, "p", values.__getitem__)}


def array(output: Output) -> NDArray[Any]:
    assert isinstance(output, ArrayOutput)
    return output.values


CASES = [
    ("linear_regression(X, y)", "numbers", False),
    ("ridge(X, y, alpha=1.0)", "numbers", False),
    ("poisson_regression(X, y)", "counts", False),
    ("logistic_regression(X, y, epochs=3)", "truths", True),
    ("logistic_regression(X, y, epochs=3, classes=3)", "classes", True),
    ("mlp(X, y, hidden=4, epochs=2)", "truths", True),
    ("mlp(X, y, hidden=4, epochs=2, classes=3)", "classes", True),
    ("mlp(X, y, hidden=4, epochs=2, classes=0)", "numbers", False),
    ("mlp(X, y, hidden_layer_sizes=(6, 4), epochs=2, classes=3)", "classes", True),
    ("mlp(X, y, hidden=(6, 5, 4), epochs=2, classes=0, solver='adam')", "numbers", False),
    ("cnn(X, y, filters=3, epochs=3)", "bright", True),
    ("cnn(X, y, filters=3, epochs=3, kernel_size=1, pool_size=3, classes=3)", "brightest", True),
]


@pytest.mark.parametrize(("call", "y", "chances"), CASES, ids=[case[0] for case in CASES])
def test_a_runtime_of_onnx_predicts_what_the_study_predicts(call: str, y: str, chances: bool, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    told = of(call, y, chances=chances)

    write([told["model"]], tmp_path)
    run = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    answers = dict(zip([o.name for o in run.get_outputs()], run.run(None, {"X": given(y)}), strict=True))

    assert set(answers) == ({"prediction", "probability"} if chances else {"prediction"})
    prediction = array(told["prediction"])
    if chances:
        score = array(told["probability"])
        np.testing.assert_allclose(answers["probability"], score, atol=2e-3)
        # A row on the border of two classes may fall on either side.
        margin = np.abs(score - 0.5) if score.ndim == 1 else np.diff(np.sort(score, axis=1)[:, -2:], axis=1)[:, 0]
        assert (margin > 4e-3).sum() > ROWS / 2
        assert (answers["prediction"] == prediction)[margin > 4e-3].all()
    else:
        np.testing.assert_allclose(answers["prediction"], prediction, atol=2e-3, rtol=2e-3)


def test_a_model_is_an_object_of_its_fields() -> None:
    told = of("ridge(X, y, alpha=1.0)", "numbers")
    model = to_json([told["model"]])["model"]

    assert list(model) == ["kind", "weights", "intercept"]
    assert model["kind"] == "ridge regression"
    np.testing.assert_allclose(model["weights"], [1.0, -2.0, 0.5], atol=0.1)
    assert isinstance(model["intercept"], float)
    assert len(show([told["model"]])) == 3


def test_a_model_is_one_file_of_arrays(tmp_path: Path) -> None:
    told = of("ridge(X, y, alpha=1.0)", "numbers")
    paths = write(list(told.values()), tmp_path)

    assert {p.name for p in paths} >= {"model.npz", "prediction.npy"}
    with np.load(tmp_path / "model.npz", allow_pickle=False) as file:
        assert sorted(file) == ["intercept", "kind", "weights"]
        assert file["kind"] == "ridge regression"
        np.testing.assert_array_equal(file["weights"], array(told["model"].part("weights")))  # type: ignore[union-attr]


def test_fields_within_fields_bear_the_way_to_them(tmp_path: Path) -> None:
    layers = RecordOutput("layers", "tuple", tuple(ArrayOutput(str(i), NUMBER, np.full(2, i * 1.0)) for i in range(2)))
    model = RecordOutput("stack", "stacked model", (layers, ArrayOutput("depth", SType("int"), np.array(2))))

    assert to_json([model]) == {"stack": {"layers": [[0.0, 0.0], [1.0, 1.0]], "depth": 2}}
    (path,) = write([model], tmp_path)
    with np.load(path, allow_pickle=False) as file:
        assert file["layers.1"].tolist() == [1.0, 1.0]
