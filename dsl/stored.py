"""What is publicly known of a stored value: how it is put together, where it comes from, for whom it can be used.

For: `Stored`, the description that stands beside the shares and is the same at every node; its forms; `StorePlan`, what
a study is to store; `loads` and `stores`, the names that a study loads and stores.
Leaves to others: the statements (`storing`), the shares and the files (`runtime.vault`).

A value is stored as *leaves*, each one array of shares: the numbers of an array, then its mask when something may be
missing. What is a constant of the program (how many classes there are) is part of the description instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias, get_args

from dsl import syntax
from dsl.source import Span
from dsl.stypes import Kind, SType, text_words
from mpc.types import BOOL, DType, Shape

__all__ = ["ArrayForm", "Form", "PartsForm", "StorePlan", "Stored", "Terms", "TextForm", "leaves", "loads", "stores"]

MOST_KNOWN = 1024
"""Elements of a constant that a description holds; of a larger one shares are kept."""

MOST_NAMES = 64
MOST_TERMS = 1024
MOST_PARTS = 1024
MOST_AXES = 32
DEEPEST = 16


@dataclass(frozen=True, slots=True)
class ArrayForm:
    """An array. shape: as circuits hold it (a text has one axis more than the study sees). known: the elements, when
    they are constants of the program. masked: a leaf that says what is there follows that of the numbers."""

    stype: SType
    shape: Shape
    known: tuple[float | int | bool, ...] | None = None
    masked: bool = False


@dataclass(frozen=True, slots=True)
class TextForm:
    """A text of the study itself."""

    text: str


@dataclass(frozen=True, slots=True)
class PartsForm:
    """A record with its kind and fields, or values side by side: no kind, and parts that have only places."""

    kind: str | None
    parts: tuple[tuple[str, Form], ...]


Form: TypeAlias = "ArrayForm | TextForm | PartsForm"


def leaves(form: Form, frac: int) -> Iterator[tuple[DType, Shape]]:
    """Element type and shape of every leaf, in order."""
    match form:
        case ArrayForm(stype, shape, known, masked):
            if known is None:
                yield stype.dtype(frac), shape
            if masked:
                yield BOOL, shape[:-1] if stype.kind == "text" else shape
        case PartsForm(parts=parts):
            for _, part in parts:
                yield from leaves(part, frac)


@dataclass(frozen=True, slots=True)
class Terms:
    """What the policy of a party, whose data a stored value derives from, said when it was stored.

    receivers: who may learn what derives from its data; studies: the digests of those that may use them. None: any.
    """

    party: str
    receivers: tuple[str, ...] | None
    studies: tuple[str, ...] | None

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "party": self.party,
            "receivers": None if self.receivers is None else list(self.receivers),
            "studies": None if self.studies is None else list(self.studies),
        }

    @classmethod
    def from_json(cls, message: Any) -> Terms:
        """From a JSON object, which another party may have sent; ValueError if it is none of terms."""
        try:
            receivers, studies = message["receivers"], message["studies"]
            return cls(
                _text(message["party"]),
                None if receivers is None else _texts(receivers, MOST_TERMS),
                None if studies is None else _texts(studies, MOST_TERMS),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"no terms: {error!r}") from None


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored value, without the value.

    id: drawn at random when it was stored, the same at every node: shares of different runs are never put together.
    study: the digest of the study that stored it. protocol, nodes (in the order of their places) and frac: those of
    that run, and of every run that loads it. parties: whose data it derives from. sources: which inputs and columns.
    terms: under which terms of theirs; a party without terms of its own has none.
    """

    name: str
    id: str
    study: str
    protocol: str
    nodes: tuple[str, ...]
    frac: int
    form: Form
    parties: tuple[str, ...]
    sources: tuple[str, ...]
    terms: tuple[Terms, ...] = ()

    @property
    def leaves(self) -> tuple[tuple[DType, Shape], ...]:
        """Element type and shape of every leaf, in order."""
        return tuple(leaves(self.form, self.frac))

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "name": self.name,
            "id": self.id,
            "study": self.study,
            "protocol": self.protocol,
            "nodes": list(self.nodes),
            "frac": self.frac,
            "form": _to_json(self.form),
            "parties": list(self.parties),
            "sources": list(self.sources),
            "terms": [one.to_json() for one in self.terms],
        }

    @classmethod
    def from_json(cls, message: Any) -> Stored:
        """From a JSON object, which another party may have sent; ValueError if it is none of a stored value."""
        try:
            return cls(
                name=_text(message["name"]),
                id=_text(message["id"]),
                study=_text(message["study"]),
                protocol=_text(message["protocol"]),
                nodes=_texts(message["nodes"], MOST_NAMES),
                frac=_whole(message["frac"], 62),
                form=_form(message["form"], 0),
                parties=_texts(message["parties"], MOST_NAMES),
                sources=_texts(message["sources"], 1 << 16),
                terms=tuple(Terms.from_json(one) for one in _listed(message["terms"], MOST_TERMS)),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"no description of a stored value: {error!r}") from None


def _to_json(form: Form) -> dict[str, Any]:
    match form:
        case ArrayForm(stype, shape, known, masked):
            values = None if known is None else list(known)
            return {
                "array": {**asdict(stype), "words": list(stype.words)},
                "shape": list(shape),
                "known": values,
                "masked": masked,
            }
        case TextForm(text):
            return {"text": text}
        case PartsForm(kind, parts):
            return {"parts": [[name, _to_json(part)] for name, part in parts], "kind": kind}


def _form(message: Any, depth: int) -> Form:
    if depth > DEEPEST:
        raise ValueError("a stored value has parts within parts within parts")
    if "text" in message:
        return TextForm(_text(message["text"]))
    if "parts" in message:
        kind = message["kind"]
        parts = _listed(message["parts"], MOST_PARTS)
        named = tuple((_text(name), _form(part, depth + 1)) for name, part in parts)
        return PartsForm(None if kind is None else _text(kind), named)
    return _array_form(message)


def _array_form(message: Mapping[str, Any]) -> ArrayForm:
    stype = _stype(message["array"])
    shape = tuple(_whole(d, 1 << 40) for d in _listed(message["shape"], MOST_AXES))
    if stype.kind == "text" and shape[-1:] != (text_words(stype.length),):
        raise ValueError("a stored text has the wrong number of words")
    known = message["known"]
    if known is not None:
        known = tuple(_listed(known, MOST_KNOWN))
        size = 1
        for d in shape:
            size *= d
        if len(known) != size or not all(isinstance(v, int | float) for v in known):
            raise ValueError("a known part of a stored value has the wrong number of elements")
    return ArrayForm(stype, shape, known, bool(message["masked"]))


def _stype(message: Mapping[str, Any]) -> SType:
    kind = message["kind"]
    if kind not in get_args(Kind):
        raise ValueError("a stored value is of an unknown type")
    return SType(
        kind,
        _whole(message["places"], 18),
        _texts(message["words"], 1 << 16),
        _whole(message["length"], 1 << 20),
        bool(message["nullable"]),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 4096:
        raise ValueError("a text of at most 4096 characters was expected")
    return value


def _listed(value: Any, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise ValueError(f"a list of at most {most} was expected")
    return value


def _texts(value: Any, most: int) -> tuple[str, ...]:
    return tuple(_text(v) for v in _listed(value, most))


def _whole(value: Any, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise ValueError(f"a whole number of at most {most} was expected")
    return value


@dataclass(frozen=True, slots=True)
class StorePlan:
    """One `store` of a study. nodes: the `store` nodes of its leaves, in order."""

    name: str
    form: Form
    nodes: tuple[int, ...]
    span: Span


# ------------------------------------------------------------------------------------------- in a study


def loads(study: syntax.Study) -> tuple[tuple[str, Span], ...]:
    """The names that the study's `load('…')` ask for, each with the first place, in the order of the text."""
    found: list[tuple[str, Span]] = []
    for node in syntax.walk(study):
        match node:
            case syntax.Call(syntax.Name("load"), (syntax.Text(name),)):
                found.append((name, node.span))
    first: dict[str, Span] = {}
    for name, span in sorted(found, key=lambda pair: pair[1].start):
        first.setdefault(name, span)
    return tuple(first.items())


def stores(study: syntax.Study) -> tuple[str, ...]:
    """The names under which the study stores something."""
    return tuple(dict.fromkeys(node.name.text for node in syntax.walk(study) if isinstance(node, syntax.Store)))
