"""`parley check`: what a study will disclose and cost, before anyone shares anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from dsl.compile import Compiler, Stage
from dsl.disclosures import Disclosure, disclosures
from dsl.elaborate import elaborate
from dsl.inputs import Bindings, InputSpec, Told, requirements
from dsl.parse import parse
from dsl.source import Source, Span
from dsl.stored import loads
from dsl.syntax import Study
from mpc.circuit import Circuit, Origin
from mpc.delays import delays
from mpc.protocols import SCHEMES
from mpc.types import size_of
from network import WAN, Link
from runtime.counted import counted
from runtime.errors import UsageError
from runtime.exactness import Exactness, exactness
from runtime.job import Job
from runtime.owned import asked
from runtime.plans import PricedPlan, past_checks, priced
from runtime.policy import study_digest
from runtime.session import bound
from runtime.shelf import described
from runtime.sources import Connections, Database, Held, find, hold, measure, suffixes

__all__ = ["Cost", "LineCost", "Report", "check_study"]

LAN = Link(rtt_seconds=0.0002, bits_per_second=10e9)
"""What `lan` is taken to be in estimates: parties in one data centre."""

ROUND_SECONDS = 150e-6
BYTE_SECONDS = 6e-9
"""What a round and a byte cost in computation at one party: measured on two cores, for estimates."""


@dataclass(frozen=True, slots=True)
class LineCost:
    """What one line of the study costs: rounds are those in which its own operations are under way."""

    line: int
    text: str
    rounds: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Cost:
    """Exact rounds, bytes and correlations; estimated seconds."""

    rounds: int
    bytes_sent: dict[str, int]
    memory: int
    demand: dict[str, int]
    lan: float
    wan: float
    lines: tuple[LineCost, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """All that `parley check` says."""

    job: Job
    threat: str
    digest: str
    types: tuple[tuple[str, str], ...]
    disclosures: tuple[Disclosure, ...]
    cost: Cost | None
    """None while sizes are missing."""
    missing: tuple[str, ...]
    assumptions: tuple[str, ...]
    passes: tuple[str, ...]
    """Where an index that not all see costs a pass over an array."""
    staged: bool
    warnings: tuple[str, ...] = ()
    plans: tuple[PricedPlan, ...] = ()
    """How each query is carried out."""
    errors: tuple[Exactness, ...] = ()
    """How far each result may be from exact arithmetic."""

    def to_json(self, *, plans: bool = False) -> dict[str, Any]:
        """As one JSON object; plans: with the queries' plans."""
        cost = None
        if self.cost is not None:
            cost = {
                "rounds": self.cost.rounds,
                "bytes_sent": self.cost.bytes_sent,
                "memory": self.cost.memory,
                "correlations": self.cost.demand,
                "seconds_lan": round(self.cost.lan, 4),
                "seconds_wan": round(self.cost.wan, 4),
                "lines": [
                    {"line": c.line, "text": c.text, "rounds": c.rounds, "bytes": c.bytes} for c in self.cost.lines
                ],
            }
        return {
            "study": self.job.name,
            "digest": self.digest,
            "protocol": self.job.protocol,
            "nodes": list(self.job.nodes),
            "dealer": self.job.dealer,
            "threat": self.threat,
            "types": dict(self.types),
            "disclosures": [d.to_json() for d in self.disclosures],
            "errors": [e.to_json() for e in self.errors],
            "cost": cost,
            "missing_sizes": list(self.missing),
            "assumptions": list(self.assumptions),
            "passes": list(self.passes),
            "stages": "first of several" if self.staged else "one",
            "warnings": list(self.warnings),
            **({"plans": [p.to_json() for p in self.plans]} if plans else {}),
        }


def check_study(
    job: Job,
    data: Path | None,
    files: Mapping[tuple[str, str], Path | Database],
    sizes: Sequence[str],
    state: Path | None = None,
    *,
    plans: bool = False,
) -> Report:
    """Check a study, with its cost where the sizes are known.  state: where nodes of `parley run` keep stored values.
    plans: also how each query is carried out.

    Raises StudyError, DataError, UsageError, StoreDamaged.
    """
    study = parse(job.study, job.name)
    specs = requirements(study, dict(job.params))
    with _held(specs, files, plans=plans) as held:
        return _checked(study, job, specs, _bindings(job, specs, data, files, sizes), held, state, plans=plans)


def _checked(
    study: Study,
    job: Job,
    specs: Sequence[InputSpec],
    bindings: Bindings,
    held: Sequence[Held],
    state: Path | None,
    *,
    plans: bool,
) -> Report:
    bindings = replace(bindings, kept=_kept(study, job, held))
    if state is not None:
        bindings = replace(bindings, stored=described(study, job, state))
    # Walked without assuming anything of what is opened, so that all branches are seen.
    done = elaborate(study, bindings, check=True)
    needed = [d for s in specs for d in s.shape if isinstance(d, str) and d not in bindings.sizes]
    rows = [f"{s.party}:{s.name}" for s in specs if s.table and s.max_rows is None]
    missing = [*needed, *(r for r in rows if tuple(r.split(":")) not in bindings.rows)]
    scheme = SCHEMES[job.protocol]
    stages: tuple[Stage, ...] = ()
    if not missing:
        compiler = Compiler(study, bindings, job.places, scheme, round_bytes=job.round_bytes)
        first = compiler.stage()
        stages = (first, *past_checks(compiler, first)) if plans else (first,)
    stage = stages[0] if stages else None
    return Report(
        job=job,
        threat=scheme.threat,
        digest=study_digest(job.study),
        types=done.names,
        disclosures=tuple(_heard(d, job, stage) for d in disclosures(study, done)),
        cost=None if stage is None else _cost(stage, study.source),
        missing=tuple(dict.fromkeys(missing)),
        assumptions=() if stage is None else _assumptions(stage, study.source),
        passes=tuple(dict.fromkeys(_passes(done.circuit, study.source))),
        staged=stage is not None and stage.needs is not None,
        warnings=tuple(str(w.message) for w in done.warnings),
        errors=exactness(done, study.source),
        plans=() if not plans else priced(done, stages, partial(_line_of, study.source), _statements(held, stages)),
    )


def _heard(one: Disclosure, job: Job, stage: Stage | None) -> Disclosure:
    """What is opened in mid-study reaches nodes that only compute too, and the dealer where it decides the course."""
    if one.kind != "open":
        return one
    further = [n for n in job.nodes if n not in job.roles]
    if job.dealer is not None and (stage is None or stage.needs is not None):
        further.append(job.dealer)
    return replace(one, receivers=(*one.receivers, *further))


def _bindings(
    job: Job,
    specs: Sequence[InputSpec],
    data: Path | None,
    files: Mapping[tuple[str, str], Path | Database],
    sizes: Sequence[str],
) -> Bindings:
    if data is not None or files:
        shapes: dict[str, dict[str, tuple[int, ...]]] = {}
        for s in specs:
            path = find(data, s.party, s.name, files, suffixes=suffixes(s))
            shapes.setdefault(s.party, {})[s.name] = measure(s, path)
        return bound(job.params, job.frac, specs, shapes)
    named: dict[str, int] = {}
    rows: dict[tuple[str, str], int] = {}
    for one in sizes:
        name, equals, value = one.partition("=")
        if not equals or not value.strip().isdigit():
            raise UsageError(f"--size takes NAME=NUMBER or PARTY:TABLE=ROWS, not {one!r}")
        party, colon, table = name.partition(":")
        if colon:
            rows[party.strip(), table.strip()] = int(value)
        else:
            named[name.strip()] = int(value)
    return Bindings(named, rows, dict(job.params), job.frac)


@contextmanager
def _held(
    specs: Sequence[InputSpec], files: Mapping[tuple[str, str], Path | Database], *, plans: bool
) -> Iterator[list[Held]]:
    """Tables that stay in databases: those whose owners let numbers of rows be known, for plans all of them."""
    connections, found = Connections(), []
    with ExitStack() as stack:
        for spec in specs:
            place = files.get((spec.party, spec.name))
            if isinstance(place, Database) and (place.counts or plans):
                one = hold(place, spec, lambda _: None, connections, verified=place.counts)
                if one is not None:
                    stack.callback(one.close)
                    found.append(one)
        yield found


def _kept(study: Study, job: Job, held: Sequence[Held]) -> dict[tuple[str, str, int], Told]:
    """How many rows conditions keep, of tables whose owners let it be known."""
    if not any(one.tells for one in held) or loads(study):
        return {}
    abstract = elaborate(study, Bindings(params=dict(job.params), frac=job.frac), check=True)
    return {
        (party, name, at): told
        for party, tables in _by_party(held).items()
        for name, places in counted(tables, abstract).items()
        for at, told in places.items()
    }


def _by_party(held: Sequence[Held]) -> dict[str, dict[str, Held]]:
    out: dict[str, dict[str, Held]] = {}
    for one in held:
        out.setdefault(one.spec.party, {})[one.spec.name] = one
    return out


def _statements(held: Sequence[Held], stages: Sequence[Stage]) -> list[tuple[str, int, str]]:
    """What databases are asked in the stages: party, number of the operator, statement."""
    out: dict[tuple[str, int, str], None] = {}
    for party, tables in _by_party(held).items():
        for stage in stages:
            for one in asked(party, tables, stage.elaborated.circuit, stage.schedule):
                origin = stage.schedule.circuit.nodes[one.node].origin
                out[party, 0 if origin is None else origin.operator, one.statement] = None
    return list(out)


def _cost(stage: Stage, source: Source) -> Cost:
    timetable = stage.schedule
    sent = timetable.sent()
    busiest = max(sent.values(), default=0)
    hops = delays(timetable)
    work = hops * ROUND_SECONDS + busiest * BYTE_SECONDS
    texts = source.text.splitlines()
    listed = tuple(
        LineCost(line, texts[line - 1].strip() if line else "", rounds, nbytes)
        for line, (rounds, nbytes) in sorted(timetable.by_origin(partial(_line, source)).items())
    )
    return Cost(
        rounds=hops,
        bytes_sent=sent,
        memory=timetable.peak,
        demand=dict(timetable.demand),
        lan=work + hops * LAN.rtt_seconds / 2 + timetable.wire(LAN.bits_per_second),
        wan=work + hops * WAN.rtt_seconds / 2 + timetable.wire(WAN.bits_per_second),
        lines=listed,
    )


def _line_of(source: Source, offset: int) -> int:
    return source.text.count("\n", 0, offset) + 1


def _line(source: Source, origin: Origin | None) -> int:
    return 0 if origin is None else _line_of(source, origin.start)


def _assumptions(stage: Stage, source: Source) -> tuple[str, ...]:
    """What could not be proved from declared ranges, one line for each place."""
    out: dict[str, None] = {}
    for one in stage.assumptions:
        line = _line(source, one.origin)
        where = f"line {line}: " if line else ""
        out[f"{where}{one.text}"] = None
    return tuple(out)


def _passes(circuit: Circuit, source: Source) -> Iterator[str]:
    """A line for each index that is compared with every place of an axis, since not all may see where it points."""
    alone = {node.src[1] for _, node in circuit if node.op == "take" and not node.type.secret}
    for index, node in circuit:
        if node.op == "loop":
            yield from _passes(node["body"], source)
        elif node.op == "place" and not node.type.public and index not in alone:
            text = "" if node.origin is None else source.excerpt(Span(node.origin.start, node.origin.end))
            many = f"{size_of(node.type.shape)} passes" if node.type.shape else "a pass"
            line = _line(source, node.origin)
            yield f"line {line}: `{' '.join(text.split())}` costs {many} over {node['n']} elements: its index is secret"
