"""What a study discloses: to whom, by which line, from which inputs of whom.

For: `disclosures`, `Disclosure`, and `derivation` of what is stored.
Leaves to others: showing them, and whether a party's policy allows them (`runtime`).

A value derives from all inputs that reach it in the circuit, through loops and through what was opened on the way, even
where the numbers would not show it. Sizes are disclosures too: those that the data bind are seen by every party.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dsl import syntax
from dsl.inputs import requirements
from dsl.outputs import Elaborated
from dsl.privacy.spending import noise_behind, spending
from dsl.source import Span
from dsl.why import source_of
from mpc.circuit import Circuit, Node, reachable

__all__ = ["Disclosure", "derivation", "disclosures"]

Kind = Literal["reveal", "open", "store", "size"]
Origins = frozenset[str]
NONE: Origins = frozenset()


@dataclass(frozen=True, slots=True)
class Disclosure:
    """One thing that parties learn.

    kind: a `reveal` statement, a value opened in mid-study, one that is stored, or a size. receivers: the parties, all
    of them for what is opened and for sizes, none for what is stored: it stays shared until a later study loads it.
    name: the result's, the text of what is opened, or the size's. sources: the inputs and columns that it derives from,
    with their owners, in words (`bank's column `amount``). repeated: it is opened in each pass of a loop. noise: which
    was added before, how much, and to hide what; empty: none.
    """

    kind: Kind
    receivers: tuple[str, ...]
    name: str
    line: int
    sources: tuple[str, ...]
    repeated: bool = False
    noise: str = ""

    def to_json(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "kind": self.kind,
            "receivers": list(self.receivers),
            "name": self.name,
            "line": self.line,
            "sources": list(self.sources),
            "repeated": self.repeated,
            **({"noise": self.noise} if self.noise else {}),
        }


def disclosures(study: syntax.Study, done: Elaborated) -> list[Disclosure]:
    """All disclosures of `study`, of which `done` is the circuit: what is revealed and opened in order, then sizes."""
    reached = _derive(done.circuit, ())
    found: list[tuple[int, Disclosure]] = []
    for output in done.outputs:
        nodes = list(output.nodes())
        receivers = done.parties if output.receivers is None else output.receivers
        line = study.source.position(output.span.start).line
        sources = _listed(done, frozenset().union(*(reached[n][0] for n in nodes)))
        noise = noise_behind(done.circuit, nodes)
        found.append((min(nodes), Disclosure("reveal", receivers, output.name, line, sources, noise=noise)))
    for plan in done.stores:
        line = study.source.position(plan.span.start).line
        sources = derivation(done, plan.nodes)[1]
        found.append((min(plan.nodes, default=0), Disclosure("store", (), plan.name, line, sources)))
    for index, node, origins, repeated, noise in _opened(done.circuit, ()):
        span = Span(0, 0) if node.origin is None else Span(node.origin.start, node.origin.end)
        name = " ".join(study.source.excerpt(span).split())
        line = study.source.position(span.start).line
        found.append((index, Disclosure("open", done.parties, name, line, _listed(done, origins), repeated, noise)))
    ordered = [d for _, d in sorted(found, key=lambda pair: pair[0])]
    return list(dict.fromkeys(ordered)) + _sizes(study, done)


def _listed(done: Elaborated, origins: Origins) -> tuple[str, ...]:
    """In the order of the inputs."""
    known = dict.fromkeys(s for n in done.circuit.nodes if n.op in {"input", "stored"} for s in _sources(n))
    return tuple(s for s in known if s in origins)


def _sources(node: Node) -> tuple[str, ...]:
    """Of what was stored, what it derives from in the study that stored it."""
    if node.op == "input":
        return (str(source_of(node)),)
    kept = f"stored as `{node['name']}`"
    return tuple(f"{source} ({kept})" for source in node["sources"])


def derivation(done: Elaborated, nodes: Sequence[int]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(parties, sources) that these nodes derive from, through what was stored too."""
    there = [done.circuit.nodes[i] for i in sorted(reachable(done.circuit, nodes))]
    parties = {str(n["party"]) for n in there if n.op == "input"}
    parties |= {party for n in there if n.op == "stored" for party in n["parties"]}
    reached = _derive(done.circuit, ())
    return tuple(sorted(parties)), _listed(done, NONE.union(*(reached[i][0] for i in nodes)))


def _derive(circuit: Circuit, params: Sequence[Origins]) -> list[tuple[Origins, ...]]:
    """For every node, the inputs that each of its results derives from."""
    reached: list[tuple[Origins, ...]] = []
    for _, node in circuit:
        sources = [reached[i] for i in node.src]
        match node.op:
            case "input" | "stored":
                reached.append((frozenset(_sources(node)),))
            case "param":
                reached.append((params[node["index"]],))
            case "item":
                whole = sources[0]
                reached.append((whole[node["index"]] if len(whole) > 1 else whole[0],))
            case "loop":
                reached.append(tuple(_around(node, [s[0] for s in sources])[1 : node["carried"] + 1]))
            case _:
                reached.append((NONE.union(*(o for s in sources for o in s)),))
    return reached


def _around(node: Node, sources: Sequence[Origins]) -> list[Origins]:
    """What the parameters of a loop's body derive from, after any number of passes."""
    body: Circuit = node["body"]
    params = [NONE, *sources]
    while True:
        reached = _derive(body, params)
        after = [params[k] | reached[i][0] for k, i in enumerate(body.results, start=1)]
        if after == params[1 : len(after) + 1]:
            return params
        params[1 : len(after) + 1] = after


def _opened(circuit: Circuit, params: Sequence[Origins]) -> Iterator[tuple[int, Node, Origins, bool, str]]:
    """Every `open`: the node of this circuit that it is in, itself, what it derives from, whether a loop repeats it,
    and which noise it has."""
    reached = _derive(circuit, params)
    for index, node in circuit:
        if node.op == "open":
            yield index, node, reached[node.src[0]][0], False, noise_behind(circuit, node.src)
        elif node.op == "loop":
            inner = _around(node, [reached[i][0] for i in node.src])
            for _, opened, origins, _, noise in _opened(node["body"], inner):
                yield index, opened, origins, True, noise


def _sizes(study: syntax.Study, done: Elaborated) -> list[Disclosure]:
    """The sizes that data bind: letters, rows of tables whose number is not hidden, and of rows that conditions keep
    those that their owners let be known."""
    sources: dict[tuple[str, int], list[str]] = {}
    for spec in requirements(study):
        line = study.source.position(spec.span.start).line
        if spec.table and spec.max_rows is None:
            sources[f"rows of {spec.name} at {spec.party}", line] = [f"{spec.party}'s `{spec.name}`"]
        for dim in spec.shape:
            if isinstance(dim, str):
                key = next((k for k in sources if k[0] == dim), (dim, line))
                mine = f"{spec.party}'s `{spec.name}`"
                sources.setdefault(key, [])
                if mine not in sources[key]:
                    sources[key].append(mine)
    told = [n for _, n in done.circuit if n.op == "input" and n.get("told") is not None]
    for party, table, scan in dict.fromkeys((n["party"], n["name"], n["scan"]) for n in told):
        line = min(study.source.position(place).line for place, number in done.scans if number == scan)
        exactly = ", which no noise hides" if (party, table) in spending(done.circuit) else ""
        sources[f"rows of {table} at {party} that conditions on it keep{exactly}", line] = [f"{party}'s `{table}`"]
    for party, table, place in done.told_groups:
        line = study.source.position(place).line
        exactly = ", which no noise hides" if (party, table) in spending(done.circuit) else ""
        sources[f"groups of {table} at {party} that a query makes{exactly}", line] = [f"{party}'s `{table}`"]
    return [Disclosure("size", done.parties, name, line, tuple(s)) for (name, line), s in sources.items()]
