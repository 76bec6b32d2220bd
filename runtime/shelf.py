"""What a job takes from and leaves to other jobs: its nodes agree on stored values and keep their shares.

For: `Shelf`, one party's side of it; `described`, what is known of it beforehand; `PlainShelf`, the same in the clear.
Leaves to others: files (`vault`), messages (`session`), what a study stores and loads (`dsl.storing`).

Before a job starts all nodes tell what they hold under each name that the study loads; every party compares, and none
goes on where two nodes hold shares of different runs. After it, all nodes write what is stored before any puts it in
its place, so that a node that fails leaves the old value at all of them; one that fails between is found out at the
next load.  Beside the shares stand the terms of all whose data they derive from: who may learn what derives from them,
and which studies may use them.  Every later job is held to these, also when those parties have no part in it.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dsl.diagnostics import Diagnostic, StudyError
from dsl.disclosures import derivation
from dsl.outputs import Elaborated
from dsl.stored import Stored, StorePlan, Terms, loads, stores
from dsl.syntax import Study
from mpc.circuit import Array, Circuit
from runtime.errors import PartyFailed, StoreDiffers, UsageError
from runtime.job import Job
from runtime.policy import hold_to_terms, study_digest
from runtime.vault import Prepared, Vault

__all__ = ["Exchange", "PlainShelf", "Shelf", "checked", "described"]

Exchange = Callable[[dict[str, Any]], Awaitable[dict[str, dict[str, Any]]]]
"""Sends a message to all others and gives theirs, by name."""

NONCE_BYTES = 16


@dataclass(slots=True)
class Shelf:
    """One party's part in what its job loads and stores."""

    job: Job
    study: Study
    me: str
    vault: Vault | None
    terms: Terms | None = None
    """What holds of this party's data in later studies."""
    _found: dict[str, Stored] = field(default_factory=dict)
    _shares: dict[str, list[Array]] = field(default_factory=dict)

    async def find(self, exchange: Exchange) -> Mapping[str, Stored]:
        """What is stored under the names that the study loads, where anything is; the same at all parties.

        Raises UsageError where this node has no place for stored values, StoreDamaged, StoreDiffers naming the node
        that differs, StudyError when a value was stored for another protocol or other nodes.
        """
        names = [name for name, _ in loads(self.study)]
        vault = self._vault() if names or stores(self.study) else None
        if not names:
            return {}
        mine = {} if vault is None else {name: vault.load(name) for name in names}
        told = {name: None if one is None else one[0].to_json() for name, one in mine.items()}
        answers = {**await exchange({"stored": told}), self.me: {"stored": told}}
        found = self._found
        for name in names:
            known = self._common(name, {node: _held(node, name, answers[node]) for node in self.job.nodes})
            if known is not None:
                found[name] = known
                checked(self.study, known, self.job.protocol, self.job.nodes, self.job.frac)
        self._shares = {name: one[1] for name, one in mine.items() if one is not None}
        return found

    def _vault(self) -> Vault | None:
        if self.me not in self.job.nodes:
            return None
        if self.vault is None:
            raise UsageError(f"{self.me} has no place for stored values: say where with --state DIR")
        return self.vault

    def _common(self, name: str, held: Mapping[str, Any]) -> Stored | None:
        """What the nodes hold, if it is the same at all of them."""
        texts = {node: json.dumps(one, sort_keys=True) for node, one in held.items()}
        usual = max(texts.values(), key=list(texts.values()).count)
        for node, text in texts.items():
            if text != usual:
                why = "holds nothing" if held[node] is None else "does not hold shares of the same run as the others"
                raise StoreDiffers(node, name, why)
        first = self.job.nodes[0]
        if held[first] is None:
            return None
        try:
            known = Stored.from_json(held[first])
        except ValueError as error:
            raise PartyFailed(first, f"it described what is stored as `{name}` wrongly: {error}") from None
        if known.name != name:
            raise PartyFailed(first, f"it described another value than the one stored as `{name}`")
        return known

    def review(self, done: Elaborated) -> None:
        """PolicyRefused where a stage breaks terms under which something was stored that it loads."""
        hold_to_terms(self.job, done, self._found)

    def carried(self, circuit: Circuit) -> dict[int, Array]:
        """The shares that this node holds of each `stored` node."""
        return {
            index: self._shares[node["name"]][node["index"]]
            for index, node in circuit
            if node.op == "stored" and node["name"] in self._shares
        }

    async def put(self, exchange: Exchange, done: Elaborated, values: Mapping[int, Any]) -> None:
        """Keep what the study stores.  values: of each `store` node, this node's share."""
        if not done.stores:
            return
        vault = self._vault()
        mine = secrets.token_hex(NONCE_BYTES)
        told = {"store": mine, "terms": None if self.terms is None else self.terms.to_json()}
        answers = {**await exchange(told), self.me: told}
        run = hashlib.sha256(b"parley stored run 1" + self.job.id.encode())
        for node in self.job.nodes:
            run.update(_nonce(node, answers[node].get("store")))
        agreed = run.hexdigest()
        terms = [one for party, answer in answers.items() for one in _terms(party, answer.get("terms"))]
        prepared: list[Prepared] = []
        try:
            if vault is not None:
                for plan in done.stores:
                    shares = [values[node] for node in plan.nodes]
                    prepared.append(vault.prepare(self._described(plan, done, agreed, terms), shares))
            for peer, answer in (await exchange({"written": agreed})).items():
                if answer.get("written") != agreed:
                    raise PartyFailed(peer, "it did not write what is to be stored")
            while prepared and vault is not None:
                vault.commit(prepared[0])
                del prepared[0]
        finally:
            for one in prepared:
                assert vault is not None
                vault.drop(one)

    def _described(self, plan: StorePlan, done: Elaborated, run: str, terms: Sequence[Terms]) -> Stored:
        parties, sources = derivation(done, plan.nodes)
        held = {one for one in (*terms, *self._inherited()) if one.party in parties}
        return Stored(
            name=plan.name,
            id=run,
            study=study_digest(self.job.study),
            protocol=self.job.protocol,
            nodes=self.job.nodes,
            frac=self.job.frac,
            form=plan.form,
            parties=parties,
            sources=sources,
            # The same at every node, whichever order the answers came in.
            terms=tuple(sorted(held, key=lambda one: json.dumps(one.to_json()))),
        )

    def _inherited(self) -> Iterator[Terms]:
        """The terms of what this job has loaded: they go on to what it stores."""
        for known in self._found.values():
            yield from known.terms


PLAIN = "plain"


@dataclass(slots=True)
class PlainShelf:
    """What a study in the clear takes from and leaves to others in the clear: values, not shares, for debugging."""

    study: Study
    frac: int
    vault: Vault | None
    arrays: dict[tuple[str, str, str], Array] = field(default_factory=dict)
    """The leaves of what is loaded, as `mpc.plain` finds them."""

    @classmethod
    def at(cls, study: Study, frac: int, state: Path | None) -> PlainShelf:
        """The shelf in a directory beside those of the nodes; of none, nothing is found and nothing kept."""
        return cls(study, frac, None if state is None else Vault(state / PLAIN, PLAIN))

    def find(self) -> dict[str, Stored]:
        """What is stored under the names that the study loads."""
        found: dict[str, Stored] = {}
        for name, _ in loads(self.study):
            one = None if self.vault is None else self.vault.load(name)
            if one is not None:
                found[name], leaves = one
                checked(self.study, found[name], PLAIN, (PLAIN,), self.frac)
                self.arrays |= {("", name, str(index)): leaf for index, leaf in enumerate(leaves)}
        return found

    def put(self, text: str, done: Elaborated, values: Mapping[int, Any]) -> None:
        """Keep what the study stores.  values: of each `store` node."""
        if self.vault is None:
            return
        for plan in done.stores:
            parties, sources = derivation(done, plan.nodes)
            run = secrets.token_hex(NONCE_BYTES)
            known = Stored(plan.name, run, study_digest(text), PLAIN, (PLAIN,), self.frac, plan.form, parties, sources)
            self.vault.commit(self.vault.prepare(known, [np.asarray(values[node]) for node in plan.nodes]))


def checked(study: Study, known: Stored, protocol: str, nodes: tuple[str, ...], frac: int) -> None:
    """StudyError if a stored value cannot be used in a job of this protocol among these nodes."""
    if (known.protocol, known.nodes, known.frac) == (protocol, nodes, frac):
        return
    span = dict(loads(study))[known.name]
    text = (
        f"`{known.name}` is stored for {known.protocol} among {', '.join(known.nodes)} with {known.frac} fraction "
        f"bits, and this job runs {protocol} among {', '.join(nodes)} with {frac}"
    )
    helps = (f"run it with `--protocol {known.protocol} --nodes {','.join(known.nodes)} --frac {known.frac}`",)
    raise StudyError([Diagnostic("E0416", text, span=span, source=study.source, helps=helps)])


def described(study: Study, job: Job, state: Path) -> dict[str, Stored]:
    """What the study loads, as far as the first node that keeps something in `state`/NODE holds it."""
    found: dict[str, Stored] = {}
    owner = next((node for node in job.nodes if (state / node).is_dir()), None)
    for name, _ in loads(study):
        known = None if owner is None else Vault(state / owner, owner).describe(name)
        if known is not None:
            checked(study, known, job.protocol, job.nodes, job.frac)
            found[name] = known
    return found


def _held(node: str, name: str, answer: Mapping[str, Any]) -> Any:
    told = answer.get("stored")
    if not isinstance(told, dict) or name not in told:
        raise PartyFailed(node, f"it did not say what it holds as `{name}`")
    return told[name]


def _terms(party: str, told: Any) -> list[Terms]:
    if told is None:
        return []
    try:
        terms = Terms.from_json(told)
    except ValueError as error:
        raise PartyFailed(party, f"it told the terms of its data wrongly: {error}") from None
    if terms.party != party:
        raise PartyFailed(party, f"it told terms of {terms.party}")
    return [terms]


def _nonce(node: str, told: Any) -> bytes:
    try:
        nonce = bytes.fromhex(told)
    except (TypeError, ValueError):
        nonce = b""
    if len(nonce) != NONCE_BYTES:
        raise PartyFailed(node, "it did not take part in naming what is stored")
    return nonce
