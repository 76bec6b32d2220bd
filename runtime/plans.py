"""`parley check --plan`: how each query is carried out, where, and what every operator costs.

A node of a timetable bears the operator that it belongs to, so rounds and bytes are the timetable's own.  Small equal
operations of one round travel as one, which counts for the first of them; so does what two operators have in common.
What owners computed is shared at the cost of the operator that first needs it in shares; a table's columns that are
shared as they are count for the table's own line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from dsl.compile import Compiler, Stage
from dsl.outputs import Elaborated
from dsl.planned import Operator, Planned
from mpc.circuit import Circuit, Origin
from runtime.terminal import amount

if TYPE_CHECKING:
    from rich.console import Console

    from runtime.check import Report

__all__ = ["PricedOperator", "PricedPlan", "Statement", "past_checks", "priced", "print_plans"]

K = TypeVar("K")

NOTHING = frozenset({"const", "size", "item", "reshape", "broadcast_to", "input"})
"""Operations that are no work."""

NOTABLE = 0.3
"""The part of a query's bytes or rounds from which an operator is pointed out."""


@dataclass(frozen=True, slots=True)
class PricedOperator:
    """One operator. owners: who works on it in the clear. secret: whether there is work on shares.  rounds, bytes: None
    where they are not known."""

    kind: str
    text: str
    how: str
    line: int
    owners: tuple[str, ...]
    secret: bool
    rows: str
    rounds: int | None
    bytes: int | None
    inputs: tuple[PricedOperator, ...]

    def to_json(self) -> dict[str, Any]:
        """As one JSON object."""
        rows = int(self.rows) if self.rows.isdigit() else self.rows
        shown = {"kind": self.kind, "text": self.text, "how": self.how, "line": self.line}
        cost = {"rows": rows, "rounds": self.rounds, "bytes": self.bytes}
        inputs = [one.to_json() for one in self.inputs]
        return {**shown, "owners": list(self.owners), "secret": self.secret, **cost, "inputs": inputs}


@dataclass(frozen=True, slots=True)
class Statement:
    """What an owner's database is asked for one operator: in place of all that stands below it, or for its rows."""

    party: str
    kind: str
    text: str
    sql: str

    def to_json(self) -> dict[str, Any]:
        """As one JSON object."""
        return {"party": self.party, "for": f"{self.kind} {self.text}".strip(), "sql": self.sql}


@dataclass(frozen=True, slots=True)
class PricedPlan:
    """A query. rounds: those in which any of its operators is under way. others: sub-queries of one row, and checks.

    statements: what owners' databases are asked, where they are known.
    """

    name: str
    line: int
    rounds: int | None
    bytes: int | None
    root: PricedOperator
    others: tuple[PricedOperator, ...]
    statements: tuple[Statement, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As one JSON object."""
        cost = {"rounds": self.rounds, "bytes": self.bytes}
        others = [one.to_json() for one in self.others]
        asked = [one.to_json() for one in self.statements]
        told = {"plan": self.root.to_json(), "others": others, "statements": asked}
        return {"query": self.name, "line": self.line, **cost, **told}


def past_checks(compiler: Compiler, stage: Stage) -> Iterator[Stage]:
    """The stages after the first, as long as only checks of queries stand between them, which are taken to hold."""
    while stage.needs is not None:
        at = _number(stage.elaborated.circuit.nodes[stage.needs].origin)
        checks = {o.number for p in stage.elaborated.plans for o in p.operators() if o.kind == "check"}
        if at not in checks:
            return
        compiler.opened(np.asarray(False))
        stage = compiler.stage()
        yield stage


def priced(
    done: Elaborated,
    stages: Sequence[Stage],
    line: Callable[[int], int],
    asked: Sequence[tuple[str, int, str]] = (),
) -> tuple[PricedPlan, ...]:
    """The plans of a study's queries, with costs as far as the stages go.

    done: the whole study, without what is opened in its course. stages: the first ones, none while sizes are missing.
    line: of an offset in the text. asked: what owners' databases are asked: party, number of the operator, statement.
    """
    reached = stages[-1].elaborated if stages else None
    known = () if reached is None else reached.plans
    out = [] if reached is None else [_plan(p, stages, reached.circuit, line, asked) for p in known]
    return (*out, *(_plan(p, (), done.circuit, line, ()) for p in done.plans[len(known) :]))


def _plan(
    plan: Planned,
    stages: Sequence[Stage],
    circuit: Circuit,
    line: Callable[[int], int],
    asked: Sequence[tuple[str, int, str]],
) -> PricedPlan:
    numbers = {one.number for one in plan.operators()}
    costs = _costs(stages, _number)
    total = _costs(stages, lambda o: _number(o) in numbers).get(True, (0, 0)) if stages else None
    workers = _workers(circuit, numbers)

    def one(operator: Operator) -> PricedOperator:
        work = workers.get(operator.number) or {p.viewers for p in operator.parts}
        owners = sorted({name for viewers in work if viewers for name in viewers})
        cost = None if total is None else costs.get(operator.number, (0, 0))
        return PricedOperator(
            operator.kind,
            operator.text,
            operator.how,
            line(operator.span.start),
            tuple(owners),
            frozenset() in work,
            _rows(operator),
            None if cost is None else cost[0],
            None if cost is None else cost[1],
            tuple(map(one, operator.inputs)),
        )

    rounds, nbytes = (None, None) if total is None else total
    known = {o.number: o for o in plan.operators()}
    statements = tuple(
        Statement(party, known[number].kind, known[number].text, sql) for party, number, sql in asked if number in known
    )
    others = tuple(map(one, plan.others))
    return PricedPlan(plan.name, line(plan.span.start), rounds, nbytes, one(plan.root), others, statements)


def _costs(stages: Sequence[Stage], key: Callable[[Origin | None], K]) -> dict[K, tuple[int, int]]:
    out: dict[K, tuple[int, int]] = {}
    for stage in stages:
        for place, (rounds, nbytes) in stage.schedule.by_origin(key).items():
            before = out.get(place, (0, 0))
            out[place] = before[0] + rounds, before[1] + nbytes
    return out


def _number(origin: Origin | None) -> int:
    return 0 if origin is None else origin.operator


def _workers(circuit: Circuit, numbers: set[int]) -> dict[int, set[frozenset[str] | None]]:
    """For each operator, who sees the results of its operations."""
    out: dict[int, set[frozenset[str] | None]] = {}
    for _, node in circuit:
        at = _number(node.origin)
        if at in numbers and node.op not in NOTHING and not node.type.public:
            out.setdefault(at, set()).add(node.type.seen_by)
    return out


def _rows(operator: Operator) -> str:
    """The public number of rows: a bound where rows may be invisible."""
    if operator.kind == "check":
        return ""
    if operator.kind == "value":
        return "1"
    return f"{'' if all(p.exact for p in operator.parts) else '≤ '}{operator.rows}"


# ------------------------------------------------------------------------------------------ on a terminal


def print_plans(report: Report, target: Console) -> None:
    """The plan of every query, for a person."""
    if not report.plans:
        target.print("The study has no queries.")
    for plan in report.plans:
        _print(plan, target)
    if report.missing:
        sizes = ", ".join(report.missing)
        target.print(f"What each operator costs depends on sizes that are not known: {sizes}.", markup=False)
        target.print("Give --data DIR, or --size PARTY:TABLE=ROWS for each.", markup=False)
    elif any(p.bytes is None for p in report.plans):
        target.print("What a query costs that follows an opened size or value depends on that.")


def _print(plan: PricedPlan, target: Console) -> None:
    from rich.table import Table

    cost = "" if plan.bytes is None else f"  {plan.rounds} rounds, {amount(plan.bytes)} sent by all"
    target.print(f"[bold]{plan.name}[/bold]  line {plan.line}{cost}", highlight=False)
    table = Table(box=None, pad_edge=False)
    table.add_column("operator", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("where", no_wrap=True)
    table.add_column("rows", justify="right", no_wrap=True, max_width=24, overflow="ellipsis")
    known = plan.bytes is not None
    for heading in ("rounds", "sent") if known else ():
        table.add_column(heading, justify="right", no_wrap=True)
    table.expand = True
    for top in (plan.root, *plan.others):
        for row in _lines(top, plan, "", ""):
            table.add_row(*row[: 5 if known else 3])
    target.print(table)
    for one in plan.statements:
        target.print(f"{one.party}'s database, for {one.kind} {' '.join(one.text.split())}:", style="dim", markup=False)
        target.print(f"    {one.sql}", markup=False, highlight=False, soft_wrap=True)
    target.print()


def _lines(one: PricedOperator, plan: PricedPlan, first: str, rest: str) -> Iterator[tuple[Any, ...]]:
    """The rows of a table for an operator and all below. first, rest: what stands its line and those that follow."""
    from rich.text import Text

    heavy = _notable(one.bytes, plan.bytes) or _notable(one.rounds, plan.rounds)
    style = "bold yellow" if heavy else ""
    where = Text(", ".join(one.owners))
    if one.secret:
        where.append(", then " if one.owners else "").append("secret", "magenta")
    cells = ["–" if n is None else say(n) for n, say in ((one.rounds, str), (one.bytes, amount))]
    free = not one.rounds and not one.bytes and one.rounds is not None
    name = Text.assemble((first, "dim"), (one.kind, style or "bold"), " ", (" ".join(one.text.split()), style))
    yield (name, where, one.rows, *(Text("" if free else c, style) for c in cells))
    below = rest + ("│  " if one.inputs else "   ")
    if one.how:
        yield (Text.assemble((below, "dim"), (one.how, "dim italic")), "", "", "", "")
    for at, inner in enumerate(one.inputs):
        last = at == len(one.inputs) - 1
        yield from _lines(inner, plan, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "))


def _notable(part: int | None, whole: int | None) -> bool:
    return bool(part and whole and part >= NOTABLE * whole)
