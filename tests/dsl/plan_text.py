"""A query's plan as text, for golden files; and the plan of a query over the tables of `query_tables`.

For: `bound`, `plan_text`, `node_text`.

A column is written by its name, one of a table with the table's, and with a number where there are several.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any

from query_tables import DECLARATIONS

from dsl import syntax
from dsl.diagnostics import Reporter
from dsl.elaborate import RULES
from dsl.inputs import Bindings
from dsl.node import Node
from dsl.parse import parse
from dsl.query.bind import bind_query
from dsl.query.plan import (
    Attach,
    Block,
    Column,
    Derived,
    From,
    Joined,
    Measure,
    Ordered,
    Plan,
    Ref,
    Scan,
    Source,
    Union,
)
from dsl.region import Region, StudyBuilder
from dsl.scope import Scope
from dsl.statements import block
from dsl.unparse_expression import Level
from dsl.unparse_query import QueryWriter
from dsl.walker import Walker

__all__ = ["Names", "bound", "node_text", "plan_text"]


def bound(query: str) -> Plan:
    """The plan of a query, its names bound and no rule applied."""
    study = parse(f"{DECLARATIONS}query q:\n    {query}\n")
    scope = Scope(study.source)
    w = Walker(
        reporter=Reporter(study.source),
        bindings=Bindings(),
        known=(),
        abstract=True,
        rules=RULES,
        scope=scope,
        region=Region(StudyBuilder()),
        source=study.source,
        tree=study,
        scopes=[scope],
    )
    *declarations, definition = study.body
    block(w, declarations)
    assert isinstance(definition, syntax.QueryDefinition)
    return bind_query(w, definition.query, None, {})


@dataclass
class Names:
    """Names that tell columns apart, in the order in which they are met."""

    known: dict[Column, str] = field(default_factory=dict)

    def of(self, column: Column, name: str = "") -> str:
        if column not in self.known:
            base = (name or column.name).replace(" ", "_")
            number = 1 + sum(used == base or used.rpartition("#")[0] == base for used in self.known.values())
            self.known[column] = base if number == 1 else f"{base}#{number}"
        return self.known[column]


class _Writer(QueryWriter):
    """Writes bound expressions."""

    def __init__(self, names: Names) -> None:
        self.names = names

    def name(self, name: str) -> str:
        return name

    def query_parts(self, node: Any) -> tuple[Level, str]:
        if isinstance(node, Ref):
            return Level.ATOM, self.names.of(node.column)
        if type(node).__module__ == "dsl.query.plan":
            values = [getattr(node, f.name) for f in fields(node) if f.name != "span"]
            shown = [self.expression(v) if isinstance(v, Node) else str(v) for v in values]
            return Level.POSTFIX, f"{type(node).__name__.lower()}({', '.join(shown)})"
        return super().query_parts(node)


def node_text(node: Node, names: Names | None = None) -> str:
    """A bound expression."""
    return _Writer(names or Names()).expression(node)  # type: ignore[arg-type]


def plan_text(plan: Plan, names: Names | None = None) -> str:
    """A plan, a line for each of its parts."""
    return "\n".join(_Text(names or Names()).plan(plan)) + "\n"


@dataclass
class _Text:
    names: Names

    def e(self, *nodes: Node, between: str = ", ") -> str:
        return between.join(node_text(n, self.names) for n in nodes)

    def columns(self, columns: Any) -> str:
        return ", ".join(self.names.of(c) for c in columns)

    def plan(self, plan: Plan) -> Iterator[str]:
        match plan:
            case Block():
                yield from self.block(plan)
            case Union(left, right, every, columns):
                names = ", ".join(self.names.of(c) for _, c in columns)
                yield f"union{' all' if every else ''} as {names}"
                yield from self.below(self.plan(left))
                yield from self.below(self.plan(right))
            case Ordered(inner, order, limit):
                lines = list(self.below(self.plan(inner)))
                keys = ", ".join(self.e(node) + " desc" * down for node, down in order)
                yield (f"order by {keys}" if order else "") + (f" limit {limit}" if limit is not None else "")
                yield from lines

    def block(self, block: Block) -> Iterator[str]:
        source = list(self.below(self.source_of(block.source)))
        lines = []
        if block.grouped:
            keys = ", ".join(f"{self.names.of(c)} = {self.e(k)}" for c, k in block.keys)
            lines.append(f"  group by {keys}" if keys else "  group of all rows")
            lines += [f"  measure {self.measure(m)}" for m in block.measures]
        lines += [line for a in block.attaches for line in self.below(self.attach(a))]
        lines += [f"  having {self.e(h)}" for h in block.having]
        items = ", ".join(
            f"{self.names.of(i.column)} = {self.e(i.value)}{' (hidden)' if i.hidden else ''}" for i in block.items
        )
        yield f"select {'distinct ' if block.distinct else ''}{items}"
        yield from (*lines, *source)

    def measure(self, m: Measure) -> str:
        argument = "" if m.argument is None else self.e(m.argument)
        return f"{self.names.of(m.column)} = {m.kind}({argument})"

    def source_of(self, source: From) -> Iterator[str]:
        for one in source.sources:
            yield from self.source(one)
        for a in source.attaches:
            yield from self.attach(a)
        for c in source.conditions:
            yield f"where {self.e(c)}"

    def source(self, source: Source) -> Iterator[str]:
        match source:
            case Scan(table=table, columns=columns):
                for column, name in columns.items():
                    self.names.of(column, f"{table.name}.{name}")
                yield f"scan {table.name}"
            case Derived(plan=plan):
                yield "rows of"
                yield from self.below(self.plan(plan))
            case Joined(kind=kind, left=left, right=right):
                inner = [*self.below(self.source_of(left)), *self.below(self.source_of(right))]
                bound = "" if source.bound is None else f" bounded {source.bound}"
                yield f"{kind} join on {self.e(*source.on, between=' and ')}{bound}"
                yield from inner
        for a in source.attaches:
            yield from self.below(self.attach(a))
        yield from (f"  compute {self.names.of(c)} = {self.e(node)}" for c, node in source.computed)
        if not isinstance(source, Joined) and source.ranked:
            yield f"  rank {self.columns(source.ranked)}"
        yield from (f"  filter {self.e(node)}" for node in source.filters)

    def attach(self, a: Attach) -> Iterator[str]:
        inner = list(self.below(self.plan(a.plan)))
        keys = " and ".join(f"{self.e(outer)} = {self.names.of(c)}" for outer, c in a.keys)
        pairs = self.e(*a.pairs, between=" and ")
        made = ", ".join([self.names.of(a.matched), *map(self.names.of, a.columns)])
        yield f"attach {made} where {keys or pairs or 'one row'}"
        yield from (f"  measure {self.measure(m)}" for m in a.measures)
        yield from inner

    def below(self, lines: Iterator[str]) -> Iterator[str]:
        return (f"  {line}" for line in lines)
