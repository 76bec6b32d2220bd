"""What one party shares, it shares whole: a matrix and its transpose are one sharing, and so are the batches of it.

Lowering shares a private value where it first meets a secret, and by then it may have been moved: the rows of a batch,
the transpose in a gradient.  Moving shares costs nothing, so the sharing goes first.
"""

from __future__ import annotations

from dataclasses import replace

from mpc.circuit import Circuit, Node
from mpc.passes.rewrite import Rebuild, Way, in_bodies
from mpc.types import Layout

__all__ = ["share_whole"]

MOVES = frozenset(["reshape", "transpose", "slice"])


def share_whole(circuit: Circuit) -> Circuit:
    """share(move(x)) -> move(share(x)), where that shares no more elements."""
    circuit = in_bodies(circuit, share_whole)
    ways = {index: way for index, node in circuit if node.op == "share" and (way := _way(circuit, node)) is not None}
    # Only what its owner has checked is known to have a place in the ring everywhere: of other values, what is used.
    given = {index: way for index, way in ways.items() if circuit.nodes[way.root].op == "input"}
    sources = {index: way.site(circuit) for index, way in ways.items()} | Way.sources(circuit, given)
    out = Rebuild()
    for index, node in circuit:
        if index not in ways:
            out.copy(index, node)
            continue
        source, encode = sources[index], circuit.nodes[node.src[0]]
        shape = circuit.nodes[source].type.shape
        inner = out.add(replace(encode, src=(out.where[source],), type=encode.type.with_(shape=shape)))
        shared = out.add(replace(node, src=(inner,), type=node.type.with_(shape=shape)))
        out.where[index] = out.move(circuit, shared, ways[index].after(source))
    return out.finish(circuit.results)


def _way(circuit: Circuit, share: Node) -> Way | None:
    encode = circuit.nodes[share.src[0]]
    if encode.op != "encode" or circuit.nodes[encode.src[0]].type.layout is not Layout.CLEAR:
        return None
    return Way.of(circuit, encode.src[0], lambda node: node.op in MOVES)
