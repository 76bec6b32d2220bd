import pytest

from runtime.config import Limits, Policy, load_config
from runtime.errors import ConfigError

MINIMAL = 'name = "bank"\nkey = "keys/bank.key"\ncard = "keys/bank.card.toml"\n'
DIGEST = "ab" * 32


def config(tmp_path, text):
    path = tmp_path / "node.toml"
    path.write_text(text)
    return load_config(path)


def test_the_least_there_can_be(tmp_path):
    found = config(tmp_path, MINIMAL)

    assert (found.name, found.key, found.card) == ("bank", tmp_path / "keys/bank.key", tmp_path / "keys/bank.card.toml")
    assert found.listen is None
    assert found.cards == ()
    assert found.limits == Limits()
    assert found.policy == Policy(studies=frozenset())


def test_everything(tmp_path):
    (tmp_path / "keys").mkdir()
    (tmp_path / "data").mkdir()
    for name in ("bank", "bureau", "insurer"):
        (tmp_path / f"keys/{name}.card.toml").touch()
    (tmp_path / "other.card.toml").touch()
    found = config(
        tmp_path,
        MINIMAL
        + f"""
        listen = "0.0.0.0:7001"
        cards = ["keys", "other.card.toml"]
        [data]
        directory = "data"
        files = {{ loans = "/srv/loans.parquet", scores = "s.csv" }}
        [limits]
        round_seconds = 5
        memory_bytes = 1_000
        [policy]
        studies = ["sha256:{DIGEST}"]
        allow_reveal_to = ["bureau"]
        min_rows = 10
        """,
    )

    assert (found.listen.host, found.listen.port) == ("0.0.0.0", 7001)
    assert [path.name for path in found.cards] == ["bureau.card.toml", "insurer.card.toml", "other.card.toml"]
    assert found.data.directory == tmp_path / "data"
    assert {key: str(path) for key, path in found.bindings.items()} == {
        ("bank", "loans"): "/srv/loans.parquet",
        ("bank", "scores"): str(tmp_path / "s.csv"),
    }
    assert found.limits == Limits(round_seconds=5.0, memory_bytes=1000)
    assert found.policy == Policy(frozenset({DIGEST}), frozenset({"bureau"}), 10)


def test_any_study(tmp_path):
    assert config(tmp_path, MINIMAL + '[policy]\nstudies = "any"\n').policy.studies is None


@pytest.mark.parametrize(
    ("text", "key", "line", "says"),
    [
        ("", "name", None, "`name` is missing"),
        (MINIMAL.replace("bank.key", ""), None, None, None),
        (MINIMAL.replace('"bank"', "7"), "name", 1, "text in quotation marks"),
        (MINIMAL.replace('"bank"', '"no name"'), "name", 1, "letters"),
        (MINIMAL + "lisen = 3\n", "lisen", 4, "did you mean `listen`?"),
        (MINIMAL + 'listen = "here"\n', "listen", 4, "HOST:PORT"),
        (MINIMAL + 'cards = ["gone"]\n', "cards", 4, "no file or directory"),
        (MINIMAL + "cards = [1]\n", "cards", 4, "list of paths"),
        (MINIMAL + "data = 3\n", "data", 4, "[data]"),
        (MINIMAL + '[data]\n\ndirectory = "gone"\n', "data.directory", 6, "no directory"),
        (MINIMAL + "[data]\nfiles = { t = 3 }\n", "data.files.t", None, "is a path"),
        (MINIMAL + "[data.files]\nt = 3\n", "data.files.t", None, "is a path"),
        (MINIMAL + "[limits]\nround_second = 3\n", "limits.round_second", 5, "round_seconds"),
        (MINIMAL + "[limits]\nround_seconds = 0\n", "limits.round_seconds", 5, "greater than 0"),
        (MINIMAL + "[limits]\nround_seconds = inf\n", "limits.round_seconds", 5, "greater than 0"),
        (MINIMAL + "limits.jobs = 1.5\n", "limits.jobs", 4, "whole number"),
        (MINIMAL + "[limits]\njobs = true\n", "limits.jobs", 5, "whole number"),
        (MINIMAL + '[policy]\nstudies = "all"\n', "policy.studies", 5, '"any"'),
        (MINIMAL + '[policy]\nstudies = ["ab"]\n', "policy.studies", 5, "64 hexadecimal digits"),
        (MINIMAL + '[policy]\nallow_reveal_to = "bureau"\n', "policy.allow_reveal_to", 5, "list"),
        (MINIMAL + "[polcy]\n", "polcy", 4, "did you mean `policy`?"),
        (MINIMAL + "x = = 3\n", "", 4, "no TOML"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, text, key, line, says):
    if says is None:
        assert config(tmp_path, text)
        return
    with pytest.raises(ConfigError) as caught:
        config(tmp_path, text)

    assert (caught.value.key, caught.value.line) == (key, line)
    assert says in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "node.toml"))


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match="cannot read it"):
        load_config(tmp_path / "node.toml")
    (tmp_path / "node.toml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_config(tmp_path / "node.toml")
