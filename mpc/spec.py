"""What is legal in a lowered circuit, whatever passes it went through."""

from __future__ import annotations

from mpc.circuit import Circuit, Node
from mpc.local import KERNELS
from mpc.protocol import NARROW, STEPS
from mpc.types import BOOL, Layout, Type, size_of

__all__ = ["SpecError", "check"]

ENGINE = frozenset(
    ["const", "input", "param", "carry", "item", "bundle", "loop", "reveal", "tell", "permutation", "random_bits"]
)
"""Operations that the engine itself knows."""

OPENED = frozenset(["open", "order", "tell", "reveal", "decode"])
"""The only operations whose result may be seen by someone who does not see all operands."""


class SpecError(AssertionError):
    """A lowered circuit breaks a rule: a fault of lowering or of a pass, never of a study."""


def check(circuit: Circuit, where: str = "") -> None:
    """SpecError at the first node that breaks a rule."""
    for index, node in circuit:
        at = f"{where}%{index} {node.op}"
        if any(not 0 <= i < index for i in node.src):
            raise SpecError(f"{at}: operands {node.src} do not all come before it")
        types = [circuit.nodes[i].type for i in node.src]
        _layouts(at, node, types)
        _viewers(at, node, types)
        _masks(at, node, types)
        _rings(at, node, types)
        _shapes(at, node, types)
        body = node.get("body")
        if isinstance(body, Circuit):
            check(body, f"{at} > ")
            _loop(at, node, body, types)
    if any(not 0 <= i < len(circuit) for i in circuit.results):
        raise SpecError(f"{where}results {circuit.results} are not all nodes")


def _layouts(at: str, node: Node, types: list[Type]) -> None:
    for t in node.types:
        if (t.layout is Layout.BITS and t.dtype != BOOL) or (t.layout is Layout.ARITH and t.dtype == BOOL):
            raise SpecError(f"{at}: {t.dtype} cannot be held as {t.layout.value}")
        if t.layout is Layout.CLEAR and t.secret:
            raise SpecError(f"{at}: a secret value is held in the clear")
        if t.shared and not t.secret:
            raise SpecError(f"{at}: a share is marked as seen by someone")
    if node.type.shared and node.op not in STEPS | KERNELS.keys() | ENGINE:
        raise SpecError(f"{at}: no protocol has this operation on shares")
    if node.op in ("share", "encode") and any(t.shared for t in types):
        raise SpecError(f"{at}: a share is encoded or shared again")


MASKED = frozenset(["view", "reshape", "transpose", "slice", "dynamic_slice"])
"""Kernels that move the elements of a masked value, mask and all."""


def _masks(at: str, node: Node, types: list[Type]) -> None:
    """Masked values are made of shares, moved, and multiplied with one another; nothing else is defined on them."""
    masked = [t.layout is Layout.MASKED for t in types]
    if node.op == "mask":
        legal = types[0].layout is Layout.ARITH and node.type == types[0].with_(layout=Layout.MASKED)
    elif node.op == "param" or node.op in MASKED:
        legal = node.op == "param" or masked[:1] == [node.type.layout is Layout.MASKED]
    elif node.op in ("matmul", "matmul_trunc"):
        legal = node.type.layout is not Layout.MASKED and len(set(masked)) == 1
    else:
        legal = node.type.layout is not Layout.MASKED and (node.op == "loop" or not any(masked))
    if not legal:
        raise SpecError(f"{at}: masked values do not go this way")


WIDE = frozenset(["view", "share"])
"""Local kernels and sharing, of which no narrow form is needed."""


def _rings(at: str, node: Node, types: list[Type]) -> None:
    """Narrow values are whole numbers, on shares or encoded, and meet only values of their own ring."""
    for t in node.types:
        if t.dtype.narrow and (t.dtype.kind != "int" or t.layout is Layout.CLEAR):
            raise SpecError(f"{at}: {t} cannot be held in a narrow ring")
    operands = types[1:] if node.op == "permute" else types
    rings = {t.dtype.bits for t in operands if t.layout in (Layout.ARITH, Layout.MASKED, Layout.RING)}
    if node.op == "narrow":
        truth = types[0].layout is Layout.BITS and node.type.dtype.bits == 1
        smaller = types[0].layout is Layout.ARITH and types[0].dtype.bits >= node.type.dtype.bits
        if not (truth or smaller) or node.type.layout is not Layout.ARITH:
            raise SpecError(f"{at}: {types[0]} cannot be brought to {node.type.dtype.bits} bits")
        return
    if node.op == "lift":
        if types[0].layout is not Layout.ARITH or not types[0].dtype.narrow or node.type.dtype.bits != 64:
            raise SpecError(f"{at}: {types[0]} cannot be lifted to {node.type.dtype}")
        return
    if node.op == "b2a":
        if node.get("width", 64) != node.type.dtype.bits:
            raise SpecError(f"{at}: a result of {node.type.dtype.bits} bits")
        return
    if all(bits == 64 for bits in rings):
        if node.op != "encode" and node.type.dtype.narrow and node.op not in ("const", "param", "carry", "item"):
            raise SpecError(f"{at}: a narrow result of wide operands")
        return
    if node.op in WIDE or (node.op in STEPS and node.op not in NARROW):
        raise SpecError(f"{at}: not in narrow rings")
    if node.op not in ("loop", "bundle", "item", "decode", "parity") and rings != {node.type.dtype.bits}:
        raise SpecError(f"{at}: operands of {sorted(rings)} bits make a result of {node.type.dtype.bits}")


def _viewers(at: str, node: Node, types: list[Type]) -> None:
    """Nobody sees a result who does not see the operands, but by `open` and `tell`."""
    if node.op in OPENED or node.op in ("item", "loop", "param", "carry"):
        return
    for t in types:
        if t.seen_by is not None and (node.type.seen_by is None or not node.type.seen_by <= t.seen_by):
            raise SpecError(f"{at}: seen by more parties than one of its operands")


def _shapes(at: str, node: Node, types: list[Type]) -> None:
    binary = node.op in ("add", "sub", "xor", "and_", "mul", "mul_trunc")
    if node.type.shared and binary and len({t.ndim for t in types}) != 1:
        raise SpecError(f"{at}: operands with different numbers of axes")
    if node.op == "reshape" and size_of(node.type.shape) != size_of(types[0].shape):
        raise SpecError(f"{at}: the number of elements changes")


def _loop(at: str, node: Node, body: Circuit, types: list[Type]) -> None:
    carried: int = node["carried"]
    if len(body.results) != carried or len(node.types) != carried:
        raise SpecError(f"{at}: {len(body.results)} results of the body for {carried} carried values")
    for k, result in enumerate(body.results):
        inner = body.nodes[result].type
        if (inner.shape, inner.layout, inner.dtype) != (types[k].shape, types[k].layout, types[k].dtype):
            raise SpecError(f"{at}: carried value {k} goes in as {types[k]} and comes back as {inner}")
