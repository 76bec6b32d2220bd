"""`store model as name` and `load('name')`: values kept as shares from one study to a later one.

For: `store`, `load`, `preload`.
Leaves to others: what is publicly known of a stored value (`stored`), keeping shares (`runtime.vault`).

**The `store` node.** One source, a leaf of the value; attributes: `name` and `index`, the leaf's place. Nobody sees the
node: what only one party sees is shared first, what is public and no constant too. **The `stored` node.** No source; a
secret leaf of what is loaded; attributes: `name`, `index`, `id`, `parties`, `sources`, as in `Stored`. These stand at
the circuit's beginning, whichever way a study goes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dsl import syntax
from dsl.builtins.table import special
from dsl.source import Span
from dsl.stored import MOST_KNOWN, ArrayForm, Form, PartsForm, Stored, StorePlan, TextForm, loads
from dsl.values import Array, Record, Table, Text, Tuple, Unknown, Val, describe
from dsl.walker import Walker
from mpc.circuit import Value
from mpc.types import BOOL, INT, NOBODY, DType, Shape, Type, count

__all__ = ["load", "preload", "store"]


# ---------------------------------------------------------------------------------------------- store


def store(w: Walker, s: syntax.Store) -> None:
    """Walk a store statement."""
    if not _allowed(w, s):
        return
    val = w.evaluate(s.value)
    if isinstance(val, Unknown):
        return
    first = next((plan.span for plan in w.stores if plan.name == s.name.text), None)
    if first is not None:
        w.fail("E0203", f"two values are stored as `{s.name.text}`", s.name.span, secondary=[(first, "here")])
    values: list[Value] = []
    form = _taken_apart(w, val, s.value.span, values)
    nodes = []
    for index, value in enumerate(values):
        t = value.type.seen(NOBODY)
        attrs = {"name": s.name.text, "index": index}
        nodes.append(w.builder.append("store", (value,), attrs, t, pure=False).index)
    w.stores.append(StorePlan(s.name.text, form, tuple(nodes), s.name.span))


def _allowed(w: Walker, s: syntax.Store) -> bool:
    where = "a function" if w.frames else "a loop" if w.loops else ""
    if where:
        helps = [f"store the result at the left margin: `store result as {s.name.text}`"]
        w.error("E0308", f"{where} stores nothing", s.span, helps=helps)
        return False
    if w.guards:
        guard = w.guards[-1]
        why = [(guard.span, "this decides, and is secret"), *w.why(guard.value)]
        w.error("E0308", "nothing is stored where a secret decides what runs", s.span, secondary=why)
        return False
    return True


def _taken_apart(w: Walker, val: Val, span: Span, values: list[Value]) -> Form:
    """The form of `val`; its leaves are added to `values`."""
    match val:
        case Array():
            return _array(w, val, span, values)
        case Text(text):
            return TextForm(text)
        case Tuple(items):
            return PartsForm(None, tuple((str(i), _taken_apart(w, v, span, values)) for i, v in enumerate(items)))
        case Record(kind, fields):
            return PartsForm(kind, tuple((n, _taken_apart(w, v, span, values)) for n, v in fields.items()))
        case Table(columns=columns):
            few = ", ".join(list(columns)[:3])
            helps = [f"store columns of it as arrays: `store matrix({w.text(span)}, {few}) as kept`"]
            return w.fail("E0301", "a table cannot be stored", span, describe(val), helps=helps)
    return w.fail("E0301", f"{describe(val)} cannot be stored", span)


def _array(w: Walker, array: Array, span: Span, values: list[Value]) -> Form:
    if array.stype.kind == "key":
        w.fail("E0309", "a key means nothing in another job: its salt is drawn anew", span, describe(array))
    if array.padded:
        w.full(array, span)
    value = array.value
    known = None
    if value.is_const and count(value.shape) <= MOST_KNOWN:
        known = tuple(value.constant.reshape(-1).tolist())
    else:
        values.append(value)
    if array.valid is not None:
        values.append(array.valid)
    return ArrayForm(array.stype, value.shape, known, array.valid is not None)


# ----------------------------------------------------------------------------------------------- load


def preload(w: Walker, study: syntax.Study) -> None:
    """Make the leaves of all that the study loads and that is known."""
    for name, span in loads(study):
        known = w.bindings.stored.get(name)
        if known is not None:
            with w.at(span):
                w.loaded[name] = _put_together(w, known.form, _Leaves(w, known))


@special("load")
def load(w: Walker, e: syntax.Call) -> Val:
    """`load('name')`: what an earlier study stored under that name, secret."""
    if len(e.arguments) != 1 or e.keywords:
        return w.error("E0205", "`load` takes the name of what was stored", e.span, helps=["write `load('model')`"])
    name = e.arguments[0]
    if not isinstance(name, syntax.Text):
        return w.error("E0301", "the name of what was stored is a text of the study", name.span)
    val = w.loaded.get(name.value)
    if val is None:
        text = f"it is not known what is stored as `{name.value}`"
        helps = [f"a study that ran before it says `store model as {name.value}`", "--state DIR says where it is"]
        return w.error("E0415", text, name.span, helps=helps)
    return w.local(val)


class _Leaves:
    """Makes `stored` nodes one after the other."""

    def __init__(self, w: Walker, known: Stored) -> None:
        self.w = w
        self.known = known
        self.index = 0

    def next(self, dtype: DType, shape: Shape) -> Value:
        """The next leaf's node."""
        known = self.known
        attrs = {
            "name": known.name,
            "index": self.index,
            "id": known.id,
            "parties": known.parties,
            "sources": known.sources,
        }
        self.index += 1
        return self.w.builder.append("stored", (), attrs, Type(dtype, shape, NOBODY))


def _put_together(w: Walker, form: Form, made: _Leaves) -> Val:
    match form:
        case TextForm(text):
            return Text(text)
        case PartsForm(kind, parts):
            fields = {name: _put_together(w, part, made) for name, part in parts}
            return Tuple(tuple(fields.values())) if kind is None else Record(kind, fields)
        case ArrayForm(stype, shape, known, masked):
            dtype = stype.dtype(w.frac)
            if known is None:
                value = made.next(dtype, shape)
            else:
                value = _constant(w, dtype, shape, known)
            array = Array(value, stype)
            if masked:
                array = replace(array, valid=made.next(BOOL, array.shape))
            return array


def _constant(w: Walker, dtype: DType, shape: Shape, known: tuple[float | int | bool, ...]) -> Value:
    kind = np.bool_ if dtype == BOOL else np.int64 if dtype == INT else np.float64
    sizes = tuple(d for d in shape if isinstance(d, int))
    return w.builder.const(np.array(known, kind).reshape(sizes), dtype)
