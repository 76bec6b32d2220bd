"""The settings of one party's node: `node.toml`.

For: `load_config` and the frozen `NodeConfig` that it gives.
Leaves to others: reading keys and cards (`network.identity`), judging a study by the policy (`policy`).

    name   = "north_bank"                   # as in the studies
    key    = "keys/north_bank.key"          # made by `parley keygen`; must be readable by its owner alone
    card   = "keys/north_bank.card.toml"    # this party's own card, with its certificate and address
    listen = "0.0.0.0:7001"                 # when it is not the card's address
    cards  = ["partners", "extra/regulator.card.toml"]   # the other parties: files, or directories of *.card.toml

    [data]
    directory = "data"                      # PARTY/NAME.csv, .parquet or .npy in it
    files     = { accounts = "/srv/export/accounts.parquet" }
    tables    = { loans = "postgres://reader@db/bank?table=loans&password_file=pg.secret" }  # `sources.address`

    [limits]
    connect_seconds = 60                    # to reach the other parties
    round_seconds   = 600                   # of silence of a peer
    job_seconds     = 86400                 # of a whole job
    memory_bytes    = 8_000_000_000         # a job that needs more is refused
    jobs            = 4                     # at once
    cores           = 2                     # of this machine, for this node

    [state]
    directory = "state"                     # what studies store, sealed; NAME.state beside this file when left out

    [policy]
    studies         = "any"                 # or a list of the digests that may run, as `parley check` prints them
    allow_reveal_to = ["regulator"]         # who may learn what derives from this party's data; left out: anyone named
    min_rows        = 1                     # of an input that this party brings
    protocols       = ["rep3"]              # those that may be used; left out: all
    nodes           = ["helper"]            # who may compute beside the parties of the study; left out: nobody
    dealers         = ["dealer"]            # who may deal correlated randomness; left out: nobody
    parameters      = ["epochs"]            # those that a proposer may set; left out: none where `studies` is a list
    max_epsilon     = 3.0                   # of each table, over all jobs that reveal it with noise; left out: any
    max_delta       = 1e-5                  # likewise
    table_epsilon   = { accounts = 1.0 }    # of single tables, in place of max_epsilon
    only_with_noise = true                  # whether all that derives from this party's data must have noise
    counts_beside_noise = ["visits"]        # tables whose `counts=public` may be told although noise is to hide them

Paths are relative to the file. Every key that is not known is an error, with the line where it stands.
"""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NoReturn

from network.errors import IdentityError
from network.identity import Address, check_name, parse_address
from runtime.errors import ConfigError
from runtime.ledger import Budget
from runtime.sources.address import Database, parse_database

__all__ = ["Data", "Limits", "NodeConfig", "Policy", "load_config"]

_DIGEST: Final = re.compile(r"(?:sha256:)?[0-9a-f]{64}")
_CARD: Final = "*.card.toml"


@dataclass(frozen=True, slots=True)
class Data:
    """Where this party's inputs are: a directory, and by the input's name files and tables of databases, which come
    first.
    """

    directory: Path | None = None
    files: Mapping[str, Path] = field(default_factory=lambda: MappingProxyType({}))
    tables: Mapping[str, Database] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Limits:
    """Time-outs in seconds, memory in bytes and cores (None: as much as there is), jobs at once."""

    connect_seconds: float = 60.0
    round_seconds: float = 600.0
    job_seconds: float = 86_400.0
    memory_bytes: int | None = None
    jobs: int = 4
    cores: int | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """What may be computed with this party's data.

    studies: digests in hexadecimal, or None for any. allow_reveal_to: who may learn what derives from this party's
    data, or None for every party that the study names. min_rows: smallest table of this party that may take part.
    nodes: who may compute beside the parties of the study. dealers: who may deal. protocols: those that may be used,
    None for all. parameters: those that a proposer may set, None for all. budget: of privacy. only_with_noise: what
    derives from this party's data is told with noise or not at all. counts_beside_noise: tables of which numbers of
    rows may be told all the same.
    """

    studies: frozenset[str] | None = frozenset()
    allow_reveal_to: frozenset[str] | None = None
    min_rows: int = 1
    nodes: frozenset[str] = frozenset()
    dealers: frozenset[str] = frozenset()
    protocols: frozenset[str] | None = None
    parameters: frozenset[str] | None = None
    budget: Budget = field(default_factory=Budget)
    only_with_noise: bool = False
    counts_beside_noise: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """All settings of a node. cards: the files of the other parties' cards, directories already read."""

    file: Path
    name: str
    key: Path
    card: Path
    listen: Address | None
    cards: tuple[Path, ...]
    data: Data = field(default_factory=Data)
    limits: Limits = field(default_factory=Limits)
    policy: Policy = field(default_factory=Policy)
    state: Path | None = None

    @property
    def state_directory(self) -> Path:
        """Where this node keeps what studies store."""
        return self.state or self.file.resolve().with_name(f"{self.name}.state")

    @property
    def bindings(self) -> dict[tuple[str, str], Path | Database]:
        """The single files and tables as `runtime.sources.find` takes them."""
        sources: dict[str, Path | Database] = {**self.data.files, **self.data.tables}
        return {(self.name, name): source for name, source in sources.items()}


def load_config(path: Path) -> NodeConfig:
    """Reads `node.toml`. Raises ConfigError that names the file, the key and, where it can, the line."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(path, f"cannot read it: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(path, "it is not in UTF-8") from None
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax(path, str(error)) from None
    top = _Section(path, text, "", content)
    config = NodeConfig(
        file=path,
        name=top.name("name"),
        key=top.path("key"),
        card=top.path("card"),
        listen=top.address("listen"),
        cards=_cards(top),
        data=_data(top.section("data")),
        limits=_limits(top.section("limits")),
        policy=_policy(top.section("policy")),
        state=_state(top.section("state")),
    )
    top.finish()
    return config


def _syntax(path: Path, message: str) -> ConfigError:
    place = re.search(r" \(at line (\d+), column \d+\)$", message)
    line = int(place[1]) if place else None
    return ConfigError(path, f"no TOML: {message[: place.start()] if place else message}", line=line)


def _cards(top: _Section) -> tuple[Path, ...]:
    found: list[Path] = []
    for path in top.paths("cards"):
        if path.is_dir():
            inside = sorted(path.glob(_CARD))
            if not inside:
                top.fail("cards", f"there is no {_CARD} in the directory {path}")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            top.fail("cards", f"there is no file or directory {path}")
    own = top.path("card").resolve()
    return tuple(path for path in dict.fromkeys(found) if path.resolve() != own)


def _data(section: _Section) -> Data:
    directory = section.optional_path("directory")
    if directory is not None and not directory.is_dir():
        section.fail("directory", f"there is no directory {directory}")
    files = {name: section.located(text, f"files.{name}") for name, text in section.mapping("files").items()}
    tables = {name: section.database(text, f"tables.{name}") for name, text in section.mapping("tables").items()}
    for name in files.keys() & tables.keys():
        section.fail(f"tables.{name}", "it is among the `files` too: which one?")
    section.finish()
    return Data(directory, MappingProxyType(files), MappingProxyType(tables))


def _state(section: _Section) -> Path | None:
    directory = section.optional_path("directory")
    section.finish()
    return directory


def _limits(section: _Section) -> Limits:
    usual = Limits()
    limits = Limits(
        connect_seconds=section.positive("connect_seconds", usual.connect_seconds),
        round_seconds=section.positive("round_seconds", usual.round_seconds),
        job_seconds=section.positive("job_seconds", usual.job_seconds),
        memory_bytes=section.count("memory_bytes", None),
        jobs=section.count("jobs", usual.jobs) or usual.jobs,
        cores=section.count("cores", None) or None,
    )
    section.finish()
    return limits


def _policy(section: _Section) -> Policy:
    policy = Policy(
        studies=_studies(section),
        allow_reveal_to=section.names("allow_reveal_to"),
        min_rows=section.count("min_rows", 1) or 1,
        nodes=section.names("nodes") or frozenset(),
        dealers=section.names("dealers") or frozenset(),
        protocols=section.words("protocols"),
        parameters=section.words("parameters"),
        budget=Budget(
            section.amount(section.take("max_epsilon"), "max_epsilon"),
            section.amount(section.take("max_delta"), "max_delta"),
            _amounts(section, "table_epsilon"),
        ),
        only_with_noise=section.flag("only_with_noise"),
        counts_beside_noise=section.names("counts_beside_noise") or frozenset(),
    )
    section.finish()
    return policy


def _amounts(section: _Section, key: str) -> dict[str, Decimal]:
    value = section.take(key) or {}
    if not isinstance(value, dict):
        section.fail(key, "is a table: { accounts = 1.0 }")
    found = {name: section.amount(one, key) for name, one in value.items()}
    return {name: one for name, one in found.items() if one is not None}


def _studies(section: _Section) -> frozenset[str] | None:
    value = section.take("studies")
    if value is None:
        return frozenset()
    if value == "any":
        return None
    digests = section.texts("studies", value, 'is "any" or a list of digests')
    for digest in digests:
        if not _DIGEST.fullmatch(digest):
            section.fail("studies", "a digest is 64 hexadecimal digits, as `parley check` prints it")
    return frozenset(digest.removeprefix("sha256:") for digest in digests)


class _Section:
    """One table of the file. Every key that is taken is known; `finish` refuses the others."""

    def __init__(self, file: Path, text: str, title: str, content: Mapping[str, Any]) -> None:
        self.file = file
        self.text = text
        self.title = title
        self.content = content
        self.known: list[str] = []

    def fail(self, key: str, message: str) -> NoReturn:
        """Ends the reading; the message follows the key's full name."""
        full = f"{self.title}.{key}" if self.title else key
        raise ConfigError(self.file, f"`{full}`: {message}", key=full, line=_line_of(self.text, self.title, key))

    def finish(self) -> None:
        """Refuses keys that nobody took."""
        for key in self.content:
            if key not in self.known:
                close = difflib.get_close_matches(key, self.known, n=1)
                hint = f"; did you mean `{close[0]}`?" if close else f"; known are {', '.join(sorted(self.known))}"
                self.fail(key, f"no such setting{hint}")

    def take(self, key: str) -> Any:
        """The value as TOML has it, or None."""
        self.known.append(key)
        return self.content.get(key)

    def section(self, key: str) -> _Section:
        """The table `[key]`, empty when it is not there."""
        value = self.take(key)
        if value is None:
            value = {}
        if not isinstance(value, dict):
            self.fail(key, f"is a section: write [{key}] on a line of its own")
        return _Section(self.file, self.text, f"{self.title}.{key}" if self.title else key, value)

    def string(self, key: str) -> str | None:
        """A text that is not empty, or None."""
        value = self.take(key)
        if value is not None and (not isinstance(value, str) or not value):
            self.fail(key, "is a text in quotation marks")
        return value

    def needed(self, key: str) -> str:
        """A text that must be there."""
        value = self.string(key)
        if value is None:
            raise ConfigError(self.file, f"`{key}` is missing", key=key)
        return value

    def name(self, key: str) -> str:
        """A party's name."""
        try:
            return check_name(self.needed(key))
        except IdentityError as error:
            self.fail(key, str(error))

    def address(self, key: str) -> Address | None:
        """HOST:PORT, or None."""
        value = self.string(key)
        try:
            return None if value is None else parse_address(value)
        except IdentityError as error:
            self.fail(key, str(error))

    def amount(self, value: Any, key: str) -> Decimal | None:
        """A number that is not below 0, as it was written; None where there is none."""
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            self.fail(key, "is a number, not below 0")
        return Decimal(repr(value))

    def flag(self, key: str) -> bool:
        """true or false; false when it is not there."""
        value = self.take(key)
        if value is not None and not isinstance(value, bool):
            self.fail(key, "is true or false")
        return bool(value)

    def located(self, value: Any, key: str) -> Path:
        """A path, relative to the file."""
        if not isinstance(value, str) or not value:
            self.fail(key, "is a path in quotation marks")
        return self.file.parent / Path(value).expanduser()

    def database(self, value: Any, key: str) -> Database:
        """A table of a database; paths in its address are relative to the file."""
        if not isinstance(value, str) or not value:
            self.fail(key, "is a database's address in quotation marks")
        try:
            return parse_database(value, self.file.parent)
        except ValueError as error:
            self.fail(key, str(error))

    def path(self, key: str) -> Path:
        """A path that must be there."""
        return self.located(self.needed(key), key)

    def optional_path(self, key: str) -> Path | None:
        """A path, or None."""
        value = self.string(key)
        return None if value is None else self.located(value, key)

    def texts(self, key: str, value: Any, what: str) -> list[str]:
        """A list of texts."""
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            self.fail(key, what)
        return list(value)

    def paths(self, key: str) -> list[Path]:
        """A path or a list of paths, relative to the file; empty when it is not there."""
        value = self.take(key)
        if value is None:
            return []
        listed = [value] if isinstance(value, str) else value
        return [self.located(item, key) for item in self.texts(key, listed, "is a path or a list of paths")]

    def names(self, key: str) -> frozenset[str] | None:
        """Names of parties, or None."""
        value = self.take(key)
        if value is None:
            return None
        names = self.texts(key, value, "is a list of parties' names")
        try:
            return frozenset(check_name(name) for name in names)
        except IdentityError as error:
            self.fail(key, str(error))

    def words(self, key: str) -> frozenset[str] | None:
        """A list of words, or None."""
        value = self.take(key)
        return None if value is None else frozenset(self.texts(key, value, "is a list of words"))

    def mapping(self, key: str) -> Mapping[str, Any]:
        """A table of any names."""
        value = self.take(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.fail(key, "is a table of names and paths or addresses")
        return value

    def positive(self, key: str, usual: float) -> float:
        """A number greater than 0."""
        value = self.take(key)
        if value is None:
            return usual
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            self.fail(key, "is a number greater than 0")
        return float(value)

    def count(self, key: str, usual: int | None) -> int | None:
        """A whole number greater than 0."""
        value = self.take(key)
        if value is None:
            return usual
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            self.fail(key, "is a whole number greater than 0")
        return value


def _line_of(text: str, title: str, key: str) -> int | None:
    """The line of a key; a key written in another way (inside braces, say) is not found, and has none."""
    here = ""
    parts = re.escape(key).replace(r"\.", r"\s*\.\s*")
    wanted = re.compile(rf"""\s*["']?{parts}["']?\s*[.=]""")
    dotted = re.compile(rf"""\s*{re.escape(f"{title}.{key}")}\s*[.=]""")
    opened = re.compile(rf"\s*\[\s*{re.escape(f'{title}.{key}' if title else key)}\s*\]")
    for number, line in enumerate(text.split("\n"), start=1):
        header = re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line)
        if opened.match(line) or (here == title and wanted.match(line)) or (not here and title and dotted.match(line)):
            return number
        if header:
            here = header[1]
    return None
