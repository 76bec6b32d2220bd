"""Names that something is differentiated by.

For: `variables`, the names that stand in the second argument of a `grad` of a study, module or function.
Leaves to others: `grad` itself (`builtins.gradient`).

Equal nodes of a circuit are one: two weights that both start with zeros, or a bias of 0.0 and the 0.0 of a formula. So
every value that such a name is given becomes a node of its own (`Walker.bind`); what does not use that node does not
depend on the name.
"""

from __future__ import annotations

from dsl import syntax

__all__ = ["variables"]


def variables(root: syntax.Node) -> frozenset[str]:
    """All names below `root` by which something is differentiated."""
    found: set[str] = set()
    for node in syntax.walk(root):
        match node:
            case syntax.Call(function=syntax.Name("grad"), arguments=(_, names)):
                found.update(n.id for n in syntax.walk(names) if isinstance(n, syntax.Name))
    return frozenset(found)
