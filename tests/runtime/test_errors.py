import inspect
import re

import pytest

from dsl.codes import CODES
from dsl.diagnostics import Diagnostic, StudyError
from mpc.types import ShapeError
from network.errors import IdentityError, PeerLost, Unreachable
from runtime import errors
from runtime.errors import ConfigError, DataError, Fault, PartyFailed, UsageError, as_json, exit_code, report


@pytest.mark.parametrize(
    ("error", "code", "exit_"),
    [
        (StudyError([Diagnostic("E0304", "a secret decides")]), "E0304", 1),
        (DataError("bank", "t", [Fault("E0403", "text", "t.csv")]), "E0403", 1),
        (ShapeError("shapes do not go together"), "E0302", 1),
        (UsageError("no such option"), "E0816", 2),
        (StudyError([Diagnostic("E0816", "there is no parameter `q`")]), "E0816", 2),
        (IdentityError("no such card"), "E0817", 2),
        (FileNotFoundError(2, "No such file", "out"), "E0816", 2),
        (PeerLost("bob", "closed"), "E0804", 3),
        (Unreachable({"bob": "refused"}, 3.0), "E0812", 3),
        (PartyFailed("bob", "it ended"), "E0815", 3),
        (ConnectionResetError(), "E0804", 3),
        (TimeoutError(), "E0820", 3),
        (MemoryError(), "E0818", 3),
        (KeyboardInterrupt(), "E0819", 130),
    ],
)
def test_every_error_has_a_code_and_an_exit(error, code, exit_):
    text, status = report(error)

    assert status == exit_code(error) == exit_
    assert as_json(error)["code"] == code
    assert text.startswith(f"error[{code}]: ")
    assert "Traceback" not in text


def test_where(tmp_path):
    fault = Fault("E0403", "text where a number is expected", "t.csv", 12, 13, "income")

    assert as_json(DataError("bank", "t", [fault])) == {
        "code": "E0403",
        "message": "`t` of bank: text where a number is expected",
        "where": "t.csv, row 12 (line 13), column income",
    }
    assert as_json(ConfigError(tmp_path / "n.toml", "bad", line=3))["where"].endswith("n.toml:3")
    assert as_json(PeerLost("bob", "closed"))["where"] == "bob"


def test_of_a_group_the_cause_is_told():
    group = BaseExceptionGroup("", [PeerLost("bob", "closed"), ExceptionGroup("", [UsageError("cause")]), ValueError()])

    assert report(group) == ("error[E0816]: cause", 2)


def test_a_fault_of_the_program_tells_no_value():
    with pytest.raises(ValueError) as caught:
        int("secret-4711")
    text, status = report(caught.value)

    assert status == 3
    assert "4711" not in text
    assert "test_errors.py" in text


def test_every_code_is_in_the_catalogue():
    source = inspect.getsource(errors)
    used = set(re.findall(r'"(E[0-9]{4})"', source))

    assert len(used) > 10
    assert used <= set(CODES)
