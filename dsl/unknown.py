"""What to write in place of a name that the language does not have.

For: `hints_for_function`, `hints_for_name`.
Leaves to others: the errors themselves (`calls`, `expressions`), and mistakes that stop the parser (`mistakes`).

A name may be the study's own further down, a function of the library, one that queries alone have, or a word of Python.
Only where none of these is found does a name that looks like it help.
"""

from __future__ import annotations

from difflib import get_close_matches

from dsl import syntax
from dsl.builtins.table import BUILTINS, SPECIALS
from dsl.library import exported, modules
from dsl.mistakes import foreign
from dsl.values import Function
from dsl.walker import Walker

__all__ = ["hints_for_function", "hints_for_name"]

_PYTHON = {
    "all": "`min(x)` of truth values says whether all are true",
    "any": "`max(x)` of truth values says whether any is true",
    "append": "arrays are put together by `concat(a, b)`",
    "array": "an array of known numbers is `[1, 2, 3]`, of values `stack(a, b)`",
    "avg": "write `mean(x)`",
    "bool": "compare: `x != 0`",
    "count": "`len(x)` is how many there are, `sum(c)` how many are true",
    "enumerate": "loop over the places: `for i in range(len(x)):`, with `x[i]` in the body",
    "float": "a whole number becomes fixed-point beside one: `x * 1.0`",
    "isnan": "nothing is NaN; what may be missing is replaced by `coalesce(x, 0)`",
    "linspace": "`arange(n) * step` has equal distances",
    "map": "operations work on whole arrays: `x * 2` doubles every entry",
    "matmul": "the product of matrices is `A @ B`",
    "maximum": "`max(a, b)` is element by element",
    "minimum": "`min(a, b)` is element by element",
    "pow": "a power is `x ** 2`",
    "random": "public random numbers are `randn(shape, seed=1)`",
    "sorted": "write `sort(x)`",
    "where": "choose, element by element: `a if c else b`",
    "zip": "loop over the places: `for i in range(len(x)):`, with `x[i]` and `y[i]` in the body",
}


def hints_for_function(w: Walker, name: str) -> list[str]:
    """What to write for a function that is called and that there is not."""
    found = _later(w, name) + _in_library(w, name) + _in_queries(name)
    if not found and (known := _PYTHON.get(name) or foreign(name)):
        found = [known]
    if found:
        return found
    functions = [n for n in w.scope.visible() if (b := w.scope.find(n)) and isinstance(b.val, Function)]
    there = [n for n in (*BUILTINS, *SPECIALS) if not n.startswith("_")]
    return [f"there is `{n}`" for n in get_close_matches(name, [*functions, *there], n=1)]


def hints_for_name(w: Walker, name: str) -> list[str]:
    """What to write for a name that nothing has been called by."""
    if name in _public_modules(w):
        return [f"the library is imported first: `import {name}`"]
    if name.lower() == "null":
        return ["a missing value is `null`, in queries only"]
    return [f"there is `{n}`" for n in get_close_matches(name, [*w.scope.visible(), *BUILTINS], n=1)]


def _later(w: Walker, name: str) -> list[str]:
    body = () if w.tree is None else w.tree.body
    at = next((s.name.span for s in body if isinstance(s, syntax.Function) and s.name.text == name), None)
    if at is None:
        return []
    line = w.source.position(at.start).line
    return [f"its definition, in line {line}, belongs above its first use"]


def _public_modules(w: Walker) -> list[str]:
    return [n for n in modules(w.library) if not n.startswith("_")]


def _in_library(w: Walker, name: str) -> list[str]:
    if name.startswith("_"):
        return []
    there = [m for m in _public_modules(w) if name in exported(w, m)]
    return [f"the library has it: `import {m}`, and then `{m}.{name}(…)`" for m in there]


def _in_queries(name: str) -> list[str]:
    from dsl.query.functions import FUNCTIONS  # queries are built on what is called from here

    if name not in FUNCTIONS:
        return []
    return [f"queries have it, in a select: `{name}(x) as y`"]
