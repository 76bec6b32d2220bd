"""Modules of the library: studies' text in `dsl/library/NAME.parley`, whose functions a study can call.

For: `load`, `member`; `exported`, what a module offers.
Leaves to others: the modules themselves; walking them is walking any text.

A module consists of functions, imports of other modules, and constants. Names that begin with `_`, of modules too, are
the library's own: a module that a study can import passes on what it takes from those. It is parsed once in a process
and walked once in each study that imports it, before the study goes on.
"""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from functools import cache
from importlib.resources.abc import Traversable

from dsl import syntax
from dsl.parse import parse
from dsl.scope import Scope
from dsl.source import Span
from dsl.values import Function, Module, Unknown, Val
from dsl.walker import Walker

__all__ = ["exported", "load", "member", "modules"]

PROMISED = ("ml", "stats")
"""Modules that the language has."""


def modules(folder: Traversable) -> tuple[str, ...]:
    """The names of all modules there are in a folder."""
    if not folder.is_dir():
        return ()
    return tuple(sorted(f.name.removesuffix(".parley") for f in folder.iterdir() if f.name.endswith(".parley")))


@cache
def _parsed(name: str, text: str) -> syntax.Study:
    return parse(text, f"{name}.parley")


def exported(w: Walker, name: str) -> list[str]:
    """The names that a study can use of a module, which need not be imported."""
    found: list[str] = []
    for s in _tree(w, name).body:
        match s:
            case syntax.Function(name=made):
                found.append(made.text)
            case syntax.FromImport(names=names):
                found += [n.bound.text for n in names]
            case syntax.Assign(target=syntax.Name(id=made)):
                found.append(made)
    return [n for n in found if not n.startswith("_")]


def _tree(w: Walker, name: str) -> syntax.Study:
    return _parsed(name, w.library.joinpath(f"{name}.parley").read_text(encoding="utf-8"))


def load(w: Walker, name: str, span: Span) -> Module | Unknown:
    """The module `name`; an error at `span` when there is none."""
    known = w.modules.get(name)
    if known is not None and (w.in_library or not name.startswith("_")):
        return known
    there = [n for n in modules(w.library) if w.in_library or not n.startswith("_")]
    if name not in there:
        if name in PROMISED:
            return w.error("E0901", f"the module `{name}` is not supported yet", span)
        near = [f"there is `{n}`" for n in get_close_matches(name, there, n=1)]
        return w.error("E0208", f"there is no module `{name}`", span, f"modules: {', '.join(there)}", helps=near)
    tree = _tree(w, name)
    scope = Scope(tree.source)
    module = Module(name, scope)
    w.modules[name] = module
    before = (w.scope, w.source, w.tree, w.frames, w.loops, w.loop_guards)
    w.scopes.append(scope)
    w.scope, w.source, w.tree, w.frames, w.loops, w.loop_guards = scope, tree.source, tree, [], [], []
    try:
        w.rules.block(w, tree.body)
    finally:
        w.scope, w.source, w.tree, w.frames, w.loops, w.loop_guards = before
    for key, binding in list(scope.names.items()):
        val = binding.val
        if isinstance(val, Function) and (not val.module or val.module.startswith("_")):
            scope.names[key] = replace(binding, val=replace(val, module=name))
    return module


def member(w: Walker, module: Module, name: str, span: Span) -> Val:
    """A function (or constant) of a module of the library."""
    binding = module.scope.names.get(name)
    if binding is None or (name.startswith("_") and not w.in_library):
        there = [n for n in module.scope.names if not n.startswith("_")]
        near = [f"there is `{module.name}.{n}`" for n in get_close_matches(name, there, n=1)]
        return w.error("E0208", f"`{module.name}` has no `{name}`", span, f"it has {', '.join(there)}", helps=near)
    return binding.val
