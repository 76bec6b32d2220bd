"""An operand of several matrix products is masked once: what each of them then opens is the result alone.

A product opens x - a and y - b under masks a and b that are drawn for it, so a matrix that goes into ten products
travels ten times.  Here it travels once: `mask` opens x - a, and its products share a.  That is [Mohassel and Zhang,
SecureML, S&P 2017, section IV-B, where the training data are masked once for all epochs].  What was opened is moved
like the matrix itself (batches of rows, the transpose of the backward pass), and before a loop when the matrix stays
the same in it.

Why nothing leaks: a stays uniform to the nodes and masks x alone, whose difference is opened once; each product still
has its own mask of the other operand, or one that masks that operand alone, and its own dealt share of a b.

This is a pass for matrices, whose operands outweigh their results: products of single elements open as much either way
when nothing is used again, and there the masks would only take memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from mpc.circuit import Circuit, Node
from mpc.passes.rewrite import Rebuild, Way
from mpc.passes.simplify import dead, same
from mpc.spec import MASKED, check
from mpc.types import INT, Layout

__all__ = ["mask_once"]

PRODUCTS = frozenset(["matmul", "matmul_trunc"])

WORTH = 1 << 10
"""Elements that must be saved on the wire before a mask of its own is worth its step."""

COUNTED = frozenset(["const", "add", "sub", "mul", "neg"])
"""Operations on public whole numbers in which the dealer follows the nodes."""


def mask_once(circuit: Circuit) -> Circuit:
    """The circuit with masked operands where that saves bytes: legal by `spec`, and of the same values."""
    out = dead(same(_masked(circuit, {})))
    check(out)
    return out


def _masked(circuit: Circuit, repeats: Mapping[int, int]) -> Circuit:
    """repeats: for parameters (by node) that stay the same, how often the circuit runs with each."""
    return _with_masks(_before_loops(circuit, repeats), repeats)


# -- how an operand comes from a matrix ------------------------------------------------------------


def _way(circuit: Circuit, index: int) -> Way:
    return Way.of(circuit, index, lambda node: node.op in MASKED and all(_counted(circuit, i) for i in node.src[1:]))


def _counted(circuit: Circuit, index: int) -> bool:
    """Whether the dealer can work out this number: it follows from constants and a loop's index."""
    node = circuit.nodes[index]
    if node.type.layout is not Layout.CLEAR or node.type.shape or node.type.dtype != INT:
        return False
    return (node.op == "param" and node["index"] == 0) or (
        node.op in COUNTED and all(_counted(circuit, i) for i in node.src)
    )


# -- masks within one circuit ----------------------------------------------------------------------


def _with_masks(circuit: Circuit, repeats: Mapping[int, int]) -> Circuit:
    ways = {
        i: _way(circuit, i)
        for _, node in circuit
        for i in node.src
        if node.op == "mask" or (node.op in PRODUCTS and _of_shares(circuit, node))
    }
    sites = Way.sources(circuit, ways)
    worth = _worth(circuit, ways, sites, repeats)
    out, made = Rebuild(), dict[int, int]()

    def masked(operand: int) -> int:
        site = sites[operand]
        node = circuit.nodes[site]
        if site not in made:
            t = node.type.with_(layout=Layout.MASKED)
            made[site] = out.add(Node("mask", (out.where[site],), (), t, node.origin))
        return out.move(circuit, made[site], ways[operand].after(site))

    for index, node in circuit:
        if node.op == "mask":
            out.where[index] = masked(node.src[0])
        elif node.op in PRODUCTS and any(i in worth for i in node.src):
            out.where[index] = out.add(replace(node, src=tuple(masked(i) for i in node.src)))
        else:
            out.copy(index, node)
    return out.finish(circuit.results)


def _of_shares(circuit: Circuit, node: Node) -> bool:
    return all(circuit.nodes[i].type.layout is Layout.ARITH for i in node.src)


def _worth(
    circuit: Circuit, ways: Mapping[int, Way], at: Mapping[int, int], repeats: Mapping[int, int]
) -> frozenset[int]:
    """The operands for which a mask that is kept saves enough.  at: where each would be masked."""
    masked = {at[node.src[0]] for _, node in circuit if node.op == "mask"}
    saved: Counter[int] = Counter()
    for i in (i for _, node in circuit for i in node.src if i in at and node.op in PRODUCTS):
        saved[at[i]] += repeats.get(ways[i].root, 1) * circuit.nodes[i].type.size
    for i, way in ways.items():
        whole = way.root if way.root in repeats else at[i]
        if saved[at[i]] - circuit.nodes[whole].type.size >= WORTH:
            masked.add(at[i])
    return frozenset(i for i in ways if at[i] in masked)


# -- masks before loops ----------------------------------------------------------------------------


def _before_loops(circuit: Circuit, repeats: Mapping[int, int]) -> Circuit:
    """Bodies with their masks, those of operands that stay the same made once, before the loop."""
    out = Rebuild()
    for index, node in circuit:
        if node.op != "loop":
            out.copy(index, node)
            continue
        body: Circuit = node["body"]
        times: int = node["count"]
        inner = {
            i: times * repeats.get(_way(circuit, node.src[p["index"] - 1]).root, 1)
            for i, p in body
            if p.op == "param" and p["index"] > node["carried"]
        }
        body, wanted = _lifted(_masked(body, inner), times, node["carried"], len(node.src))
        moved = out.moved(node)
        extra = []
        for place in wanted:
            t = circuit.nodes[node.src[place]].type.with_(layout=Layout.MASKED)
            extra.append(out.add(Node("mask", (moved.src[place],), (), t, node.origin)))
        attrs = tuple((k, body if k == "body" else v) for k, v in node.attrs)
        out.where[index] = out.add(replace(moved, src=(*moved.src, *extra), attrs=attrs))
    return out.finish(circuit.results)


def _lifted(body: Circuit, times: int, carried: int, operands: int) -> tuple[Circuit, list[int]]:
    """The body with masked parameters for masks of what stays the same, and which operands these are the masks of."""
    ways = {index: _way(body, node.src[0]) for index, node in body if node.op == "mask"}
    parts: Counter[int] = Counter()
    for index, way in ways.items():
        root = body.nodes[way.root]
        if root.op == "param" and root["index"] > carried:
            parts[way.root] += body.nodes[index].type.size
    lifted = {root: k for k, root in enumerate(r for r, n in parts.items() if times * n >= body.nodes[r].type.size)}
    out, params = Rebuild(), dict[int, int]()
    for index, node in body:
        lifts = ways.get(index)
        if lifts is None or lifts.root not in lifted:
            out.copy(index, node)
            continue
        if lifts.root not in params:
            origin = body.nodes[lifts.root]
            number = (("index", 1 + operands + lifted[lifts.root]),)
            params[lifts.root] = out.add(
                Node("param", (), number, origin.type.with_(layout=Layout.MASKED), origin.origin)
            )
        out.where[index] = out.move(body, params[lifts.root], lifts.steps)
    return out.finish(body.results), [body.nodes[root]["index"] - 1 for root in lifted]
