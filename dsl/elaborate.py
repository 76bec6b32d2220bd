"""From a study's tree to its circuit: one walk that computes with sizes, types and public values, and builds the rest.

For: `elaborate`.
Leaves to others: reading the text (`parse`), making the circuit run (`compile`).

There is no separate type checker: what the walk cannot build is wrong. All errors of a walk are raised together. A
study is checked without its data by the same walk, sizes then being symbolic. How stages come about is told in
`walker`, loops in `loops`, inputs in `declarations`, results in `reveals`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources.abc import Traversable
from typing import Final

from dsl import syntax
from dsl.diagnostics import Diagnostic, Reporter
from dsl.expressions import evaluate
from dsl.inputs import Bindings, requirements
from dsl.library import load
from dsl.outputs import Elaborated
from dsl.query.rescans import same_scans
from dsl.region import Region, StudyBuilder
from dsl.scope import Scope
from dsl.statements import block
from dsl.storing import preload
from dsl.values import Unset, describe
from dsl.walker import Rules, StageBreak, Walker
from mpc.circuit import Array, Circuit, Value

__all__ = ["elaborate"]

RECURSION = 20_000
"""Trees are at most `syntax.MAX_DEPTH` deep, calls `calls.MAX_CALLS`; a level of either takes some frames of Python."""

ONCE: Final = frozenset({"open", "shuffle", "shuffle_rows", "noise", "input", "keep"})
"""Operations that later stages must not do again."""

RULES = Rules(evaluate, block, load)


def elaborate(
    study: syntax.Study,
    bindings: Bindings,
    known: Sequence[Array] = (),
    *,
    check: bool = False,
    library: Traversable | None = None,
) -> Elaborated:
    """The circuit of `study`.

    bindings: sizes, rows and parameters; sizes that are missing stay symbolic, and then nothing is assumed to be known
    that is opened (`abstract`), as also when `check` is set. known: the values that earlier stages opened, in the order
    in which the walk needed them. library: the folder of modules, the language's own by default. Raises `StudyError`
    with all that is wrong.
    """
    reporter = Reporter(study.source)
    scope = Scope(study.source)
    w = Walker(
        reporter=reporter,
        bindings=bindings,
        known=known,
        abstract=check or _missing(study, bindings),
        rules=RULES,
        scope=scope,
        region=Region(StudyBuilder()),
        source=study.source,
        tree=study,
        scopes=[scope],
    )
    if library is not None:
        w.library = library
    _unknown_settings(study, bindings, reporter)
    needs: Value | None = None
    with _deep():
        try:
            preload(w, study)
            block(w, study.body)
        except StageBreak as stage:
            needs = stage.value
    reporter.finish()
    return _finished(w, needs)


def _finished(w: Walker, needs: Value | None) -> Elaborated:
    builder = w.root.builder
    reveals = [i for i, node in enumerate(builder.nodes) if node.op == "reveal"]
    circuit = Circuit(same_scans(builder.nodes), tuple(reveals))
    own = {node["scan"] for node in builder.nodes if node.get("scan") is not None}
    scans = _scans(w, circuit)
    return Elaborated(
        circuit=circuit,
        outputs=tuple(w.outputs),
        parties=tuple(w.parties),
        needs=None if needs is None else needs.index,
        live=() if needs is None else _live(w, circuit),
        abstract=w.abstract,
        warnings=w.reporter.warnings,
        names=_names(w),
        stores=tuple(w.stores),
        plans=tuple(w.plans.queries),
        scans=scans,
        groups=tuple((place, number) for number, place in w.plans.scans.items() if number not in own),
        told_groups=tuple(key for key, told in w.bindings.kept.items() if not told.at),
    )


def _scans(w: Walker, circuit: Circuit) -> tuple[tuple[int, int], ...]:
    """Places of scans, and the numbers that these have in the circuit, where equal scans are one."""
    pairs = zip(w.root.builder.nodes, circuit.nodes, strict=True)
    now = {before["scan"]: after.get("scan") for before, after in pairs if before.get("scan") is not None}
    return tuple((place, scan) for number, place in w.plans.scans.items() if (scan := now.get(number)) is not None)


def _names(w: Walker) -> tuple[tuple[str, str], ...]:
    """What the study's own names stand for at its end, in the order in which they came."""
    shown = {"variable", "param", "input", "table", "query"}
    return tuple(
        (name, describe(bound.val, viewers=True))
        for name, bound in w.scopes[0].names.items()
        if bound.role in shown and not isinstance(bound.val, Unset)
    )


def _live(w: Walker, circuit: Circuit) -> tuple[int, ...]:
    """What later stages may use: all that names and unfinished expressions hold, and what must not be done twice."""
    builder = w.root.builder
    found = {v.index for v in w.alive() if v.builder is builder}
    brought = {node: i for i, node in reversed([*circuit]) if node.op == "input"}  # not what reads an earlier one's
    found |= {i for i, node in circuit if node.op in ONCE and brought.get(node, i) == i}
    return tuple(sorted(i for i in found if builder.nodes[i].op not in {"const", "size"}))


def _missing(study: syntax.Study, bindings: Bindings) -> bool:
    """Whether a size is not bound."""
    for spec in requirements(study, bindings.params):
        if spec.table and spec.max_rows is None and (spec.party, spec.name) not in bindings.rows:
            return True
        if any(isinstance(d, str) and d not in bindings.sizes for d in spec.shape):
            return True
    return False


def _unknown_settings(study: syntax.Study, bindings: Bindings, reporter: Reporter) -> None:
    params = {s.name.text for s in study.body if isinstance(s, syntax.Param)}
    for name in bindings.params:
        if name not in params:
            known = f"the study's parameters: {', '.join(sorted(params))}" if params else "the study has no parameters"
            reporter.add(Diagnostic("E0816", f"there is no parameter `{name}`; {known}", where=f"-p {name}=…"))


@contextmanager
def _deep() -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, RECURSION))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
