"""A party's own rules for its node: which studies may run, who may learn what derives from its data.

Asked before anything of this party's is shared, once for the job and once for each stage's circuit, which every node
compiles itself: what is judged is what will be computed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dsl.compile import Stage
from dsl.outputs import Elaborated
from dsl.privacy.lineage import Owned
from dsl.privacy.spending import Spending, noise_behind, spending
from dsl.stored import Stored, Terms
from mpc.circuit import Circuit, Node, reachable
from mpc.types import DEFAULT_FRAC
from runtime.config import NodeConfig
from runtime.errors import PolicyRefused
from runtime.job import Job
from runtime.ledger import Ledger

__all__ = ["PolicyGuard", "hold_to_terms", "study_digest"]


def study_digest(text: str) -> str:
    """SHA-256 of a study's text, by which a policy names it."""
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class PolicyGuard:
    """The policy of one node, and its ledger."""

    config: NodeConfig
    ledger: Ledger | None = None

    def admit(self, job: Job) -> None:
        """PolicyRefused if the study as such may not run here: asked of its text alone, before it is read."""
        studies = self.config.policy.studies
        digest = study_digest(job.study)
        if studies is not None and digest not in studies:
            self._refuse(f"{job.name} ({digest}) is not among the studies that it takes part in ([policy] studies)")

    def terms(self) -> Terms:
        """What later studies must keep to that load what derives from this party's data."""
        receivers, studies = self.config.policy.allow_reveal_to, self.config.policy.studies
        return Terms(
            self.config.name,
            None if receivers is None else tuple(sorted(receivers)),
            None if studies is None else tuple(sorted(studies)),
        )

    def review(self, job: Job, stage: Stage) -> None:
        """PolicyRefused if a stage needs too much or tells too many."""
        memory = self.config.limits.memory_bytes
        if memory is not None and stage.schedule.peak > memory:
            self._refuse(f"it needs {stage.schedule.peak} bytes of memory, [limits] memory_bytes is {memory}")
        self._rows(stage)
        self._reveals(job, stage.elaborated, decides=stage.needs is not None)
        self._noise(job, stage.elaborated)

    def settle(self, job: Job) -> None:
        """PolicyRefused if the job's protocol, places or settings are not those that this party allows."""
        policy = self.config.policy
        if policy.protocols is not None and job.protocol not in policy.protocols:
            self._refuse(f"the protocol {job.protocol} is not among [policy] protocols")
        strangers = [n for n in job.nodes if n not in job.roles and n not in policy.nodes]
        if strangers:
            self._refuse(f"{', '.join(strangers)} would compute, no party of the study and not among [policy] nodes")
        if job.dealer is not None and job.dealer != self.config.name and job.dealer not in policy.dealers:
            self._refuse(f"{job.dealer} would deal correlated randomness and is not among [policy] dealers")
        allowed = policy.parameters
        if allowed is None and policy.studies is not None:
            allowed = frozenset()
        if allowed is not None:
            other = sorted(set(job.params) - allowed)
            if other:
                self._refuse(f"it sets {', '.join(other)}, not among [policy] parameters")
            if job.frac != DEFAULT_FRAC and "frac" not in allowed:
                self._refuse(f"it computes with {job.frac} fraction bits: put `frac` among [policy] parameters")

    def weigh(self, elements: int) -> None:
        """PolicyRefused if inputs of so many elements cannot be held in the memory that is allowed."""
        memory = self.config.limits.memory_bytes
        if memory is not None and 16 * elements > memory:
            self._refuse(f"its inputs have {elements} elements, more than [limits] memory_bytes = {memory} can hold")

    def foresee(self, job: Job, done: Elaborated) -> None:
        """PolicyRefused for what the study will tell, whatever the sizes, BudgetSpent for what it costs: before any
        data are read."""
        self._reveals(job, done, decides=True)
        self._noise(job, done)
        if self.ledger is not None:
            self.ledger.weigh(self._mine_of(spending(done.circuit)))

    def count(self, done: Elaborated, tables: Iterable[str]) -> None:
        """PolicyRefused if numbers of rows would be told of tables that noise is to hide.

        Such a number is exact, and known to all: it would undo what noise promises, and the ledger cannot weigh it.
        """
        policy = self.config.policy
        charged = self._mine_of(spending(done.circuit))
        for table in sorted(set(tables) - policy.counts_beside_noise):
            if policy.only_with_noise or table in charged:
                why = "[policy] only_with_noise" if policy.only_with_noise else "the study promises noise on it"
                self._refuse(
                    f"it tells how many rows of {table} conditions keep, or groups it has (counts=public), without "
                    f"noise: {why}; "
                    "[policy] counts_beside_noise names the tables of which that is allowed"
                )

    def charge(self, job: Job, costs: Mapping[Owned, Spending]) -> None:
        """Enter what a stage spends of this party's tables, before it runs.  BudgetSpent if too little is left."""
        if self.ledger is not None:
            self.ledger.charge(job, self._mine_of(costs))

    def _mine_of(self, costs: Mapping[Owned, Spending]) -> dict[str, Spending]:
        return {table: cost for (party, table), cost in costs.items() if party == self.config.name}

    def _rows(self, stage: Stage) -> None:
        least = self.config.policy.min_rows
        for _, node in stage.elaborated.circuit:
            if node.op == "input" and node["party"] == self.config.name and node.type.shape:
                rows = node.type.sizes[0]
                if rows < least:
                    self._refuse(f"its input {node['name']} has {rows} rows, [policy] min_rows is {least}")

    def _reveals(self, job: Job, done: Elaborated, *, decides: bool) -> None:
        allowed = self.config.policy.allow_reveal_to
        if allowed is None:
            return
        circuit = done.circuit
        for told, node in told_by(circuit, job, decides=decides):
            others = told - allowed - {self.config.name}
            if others and self._mine(circuit, node):
                name = circuit.nodes[node].get("name", "a value opened in mid-study")
                self._refuse(
                    f"it reveals {name} to {', '.join(sorted(others))}, which derives from this party's data and is "
                    "allowed for none but those in [policy] allow_reveal_to"
                )

    def _noise(self, job: Job, done: Elaborated) -> None:
        if not self.config.policy.only_with_noise:
            return
        for told, node in told_by(done.circuit, job, decides=True):
            if told - {self.config.name} and self._bare(done.circuit, node):
                name = done.circuit.nodes[node].get("name", "a value opened in mid-study")
                self._refuse(f"it tells {name} without noise ([policy] only_with_noise)")

    def _bare(self, circuit: Circuit, index: int) -> bool:
        """Whether a node, or an opening in a loop, tells of this party's data without noise."""
        node = circuit.nodes[index]
        if node.op == "loop":
            return _opens(node["body"], bare=True) and self._mine(circuit, index)
        if noise_behind(circuit, node.src):
            return False
        known = {i for i, n in circuit if n.type.public}  # told before, and judged then
        return any(self._brought(circuit.nodes[i]) for i in reachable(circuit, node.src, stop=known) - known)

    def _mine(self, circuit: Circuit, index: int) -> bool:
        ancestors = reachable(circuit, [index])
        return any(self._brought(circuit.nodes[i]) for i in ancestors)

    def _brought(self, node: Node) -> bool:
        """Whether a value is this party's, or was stored by a study that it brought something to."""
        if node.op == "stored":
            return self.config.name in node["parties"]
        return node.op == "input" and bool(node["party"] == self.config.name)

    def _refuse(self, why: str) -> None:
        raise PolicyRefused(self.config.name, why)


def hold_to_terms(job: Job, done: Elaborated, loaded: Mapping[str, Stored]) -> None:
    """PolicyRefused where a job breaks terms under which something that it loads was stored.

    Asked at every party, so that the terms of those hold too who have no part in this job.
    """
    digest = study_digest(job.study)
    for name, known in loaded.items():
        for one in known.terms:
            if one.studies is not None and digest not in one.studies:
                raise PolicyRefused(one.party, f"{job.name} ({digest}) is not among the studies that may use `{name}`")
            if one.receivers is not None:
                _hold_back(job, done, name, one.party, frozenset([*one.receivers, one.party]))


def _hold_back(job: Job, done: Elaborated, name: str, party: str, allowed: frozenset[str]) -> None:
    circuit = done.circuit
    for told, node in told_by(circuit, job, decides=False):
        others = ", ".join(sorted(told - allowed))
        if others and any(
            circuit.nodes[i].op == "stored" and circuit.nodes[i]["name"] == name for i in reachable(circuit, [node])
        ):
            what = circuit.nodes[node].get("name", "a value opened in mid-study")
            raise PolicyRefused(party, f"it reveals {what} to {others}, which derives from its data by way of `{name}`")


def told_by(circuit: Circuit, job: Job, *, decides: bool) -> list[tuple[frozenset[str], int]]:
    """(who learns it, node) for everything that the circuit reveals or opens, a loop standing for what it opens.

    What is opened in mid-study reaches all places of the job, the nodes that only compute too, and the dealer where
    it may decide how the study goes on.
    """
    places = job.places
    hear = {name for name in places.names if name != places.dealer or decides}
    out: list[tuple[frozenset[str], int]] = []
    for index, node in circuit:
        if node.op == "reveal":
            out.append((frozenset(node["to"]), index))
        elif node.op == "open" or (node.op == "loop" and _opens(node["body"])):
            out.append((frozenset(hear), index))
    return out


def _opens(body: Circuit, *, bare: bool = False) -> bool:
    """Whether a loop opens anything. bare: anything without noise."""
    return any(
        (n.op == "open" and not (bare and noise_behind(body, n.src)))
        or (n.op == "loop" and _opens(n["body"], bare=bare))
        for _, n in body
    )
