"""A job: one study with its settings and its parties, as all of them must know it before anything is shared."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from mpc.link import NEAR, round_bytes
from mpc.places import Places
from mpc.protocols import SCHEMES
from mpc.types import DEFAULT_FRAC
from network import parse_link
from runtime.errors import UsageError

__all__ = ["DEALER", "Job", "choose", "version"]

DEALER = "dealer"
MAX_STUDY = 1 << 20
"""A study's text has at most this many bytes."""


def version() -> str:
    """The release of this program."""
    return importlib.metadata.version("parley-mpc")


@dataclass(frozen=True, slots=True)
class Job:
    """What is proposed to the parties; all fields are public and the same at everyone.

    roles: the study's parties.  nodes: those that compute, in the order of their places; may name others too.
    dealer: who deals correlations, for `additive` with preprocessing by a dealer.
    link: what the links are like, `lan`, `wan` or a round trip and a rate: circuits are chosen for it.
    """

    study: str
    name: str
    roles: tuple[str, ...]
    nodes: tuple[str, ...]
    protocol: str
    dealer: str | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    frac: int = DEFAULT_FRAC
    link: str = "lan"
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    version: str = field(default_factory=version)

    @property
    def places(self) -> Places:
        """Who sits where."""
        clients = tuple(r for r in self.roles if r not in self.nodes)
        return Places(self.nodes, clients, self.dealer)

    @property
    def round_bytes(self) -> int:
        """What a round counts beside bytes; ValueError if `link` is none."""
        link = parse_link(self.link)
        return NEAR if link is None else round_bytes(link.rtt_seconds, link.bits_per_second)

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, message: Mapping[str, Any]) -> Job:
        """From a peer's JSON object; ValueError if it is not one."""
        try:
            job = cls(
                study=_text(message["study"], MAX_STUDY),
                name=_text(message["name"], 255),
                roles=_names(message["roles"]),
                nodes=_names(message["nodes"]),
                protocol=_text(message["protocol"], 64),
                dealer=None if message["dealer"] is None else _text(message["dealer"], 64),
                params={_text(k, 255): _text(v, 4096) for k, v in dict(message["params"]).items()},
                frac=_frac(message["frac"]),
                link=_link(message["link"]),
                id=_id(message["id"]),
                version=_text(message["version"], 64),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a job: {error!r}") from None
        return job

    def fingerprints(self) -> dict[str, str]:
        """A digest for each part that all must agree on, so that a difference can be named."""
        parts: dict[str, Any] = {
            "version": self.version,
            "study": self.study,
            "parameters": dict(sorted(self.params.items())),
            "protocol": self.protocol,
            "parties": [self.roles, self.nodes, self.dealer],
            "fraction bits": self.frac,
            "link": self.link,
        }
        return {k: hashlib.sha256(json.dumps(v).encode()).hexdigest() for k, v in parts.items()}


def _text(value: Any, limit: int) -> str:
    if not isinstance(value, str) or len(value) > limit:
        raise ValueError(f"a text of at most {limit} characters was expected")
    return value


def _id(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-zA-Z_-]{1,64}", value):
        raise ValueError("a job's number of letters and digits was expected")
    return value


def _frac(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 8 <= value <= 24:
        raise ValueError("8 to 24 fraction bits were expected")
    return value


def _link(value: Any) -> str:
    text = _text(value, 64)
    parse_link(text)
    return text


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or len(value) > 64:
        raise ValueError("a list of at most 64 names was expected")
    return tuple(_text(v, 64) for v in value)


def choose(
    roles: Sequence[str],
    *,
    protocol: str | None = None,
    nodes: Sequence[str] | None = None,
    preprocessing: str | None = None,
    dealer: str = DEALER,
) -> tuple[str, tuple[str, ...], str | None]:
    """(protocol, nodes, dealer) for a study with these parties, by the rules of the command line.

    `rep3` is the default where there are three nodes (the first three parties when none are named) and no
    preprocessing is asked for, `additive` otherwise.  UsageError if they do not go together.
    """
    if protocol is not None and protocol not in SCHEMES:
        raise UsageError(f"there is no protocol {protocol!r}: choose one of {', '.join(SCHEMES)}")
    if nodes is not None and len(set(nodes)) != len(nodes):
        raise UsageError("--nodes names a party twice")
    if protocol is None:
        enough = len(roles) >= 3 if nodes is None else len(nodes) == 3
        protocol = "rep3" if enough and preprocessing is None else "additive"
    if nodes is None:
        nodes = roles[:3] if protocol == "rep3" else roles
    if protocol == "rep3" and len(nodes) != 3:
        raise UsageError(
            f"rep3 needs three nodes and there are {len(nodes)}: name them with --nodes a,b,c (a further name may be "
            "given that is no party of the study and only computes), or choose --protocol additive"
        )
    if protocol != "rep3" and len(nodes) < 2:
        raise UsageError(f"{protocol} needs two nodes or more: name them with --nodes a,b")
    if protocol != "additive":
        return protocol, tuple(nodes), None
    if preprocessing is None:
        raise UsageError(
            "additive needs correlated randomness: say who provides it with --preprocessing dealer "
            "(a further party, trusted not to collude with any node)"
        )
    if preprocessing != "dealer":
        raise UsageError(f"preprocessing by {preprocessing} is not available: use --preprocessing dealer")
    if dealer in (*roles, *nodes):
        raise UsageError(f"{dealer} is a party of this job: the dealer must be a further one, see --dealer NAME")
    return protocol, tuple(nodes), dealer
