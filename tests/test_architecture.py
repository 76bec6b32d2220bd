"""Who may import whom, read from the text of every module; and those rules of the house that text can show."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("mpc", "dsl", "network", "runtime")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MAY_IMPORT = {
    "network": {"network"},
    "mpc": {"mpc"},
    "dsl": {"dsl", "mpc"},
    "runtime": {"runtime", "dsl", "mpc", "network"},
}
NO_WAITING = {"asyncio", "socket", "ssl", "selectors", "multiprocessing", "subprocess", "uvloop"}
FORBIDDEN = {
    "network": {"numpy", "lark", "click", "rich", "pyarrow"},
    "mpc": {"lark", "click", "rich", "pyarrow", *NO_WAITING},
    "dsl": {"click", "rich", "pyarrow", *NO_WAITING},
    "runtime": {"lark"},
}
ONLY_IN = {
    "lark": ("dsl/parse.py",),
    "aiomqtt": ("network/mqtt.py",),
    "click": ("runtime/cli.py", "runtime/running.py"),
    "rich": ("runtime/",),
    "pyarrow": ("runtime/sources/",),
    "onnx": ("runtime/onnx_model.py",),
}
NOWHERE = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "random"}
MOST_LINES = 450


class Import(NamedTuple):
    """A module named in an import statement."""

    module: str
    line: int
    early: bool
    """At the top of the module and not for types alone: it takes part in the order of loading."""


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), name(path))


def imports(path: Path) -> Iterator[Import]:
    def walk(node: ast.AST, early: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (Import(alias.name, child.lineno, early) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{name(path)}:{child.lineno}: a relative import"
                assert child.module is not None
                for module in sorted({target(child.module, alias.name) for alias in child.names}):
                    yield Import(module, child.lineno, early)
            else:
                lazy = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or (
                    isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
                )
                yield from walk(child, early and not lazy)

    yield from walk(tree(path), True)


def target(module: str, alias: str) -> str:
    """The module that `from module import alias` is about: `alias` itself where it is one of ours."""
    inner = ROOT / module.replace(".", "/") / alias
    return f"{module}.{alias}" if inner.is_dir() or inner.with_suffix(".py").is_file() else module


def dotted(node: ast.AST) -> str:
    """`np.random.default_rng` of the expression that says so; empty for others."""
    if isinstance(node, ast.Attribute):
        inner = dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return node.id if isinstance(node, ast.Name) else ""


every_module = pytest.mark.parametrize("path", MODULES, ids=name)


@every_module
def test_packages_import_downwards_only(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    for found in imports(path):
        top = found.module.split(".")[0]
        assert top not in PACKAGES or top in MAY_IMPORT[package], f"{name(path)}:{found.line} imports {top}"
        assert top not in FORBIDDEN[package], f"{name(path)}:{found.line} imports {top}"


@every_module
def test_libraries_stay_in_their_rooms(path: Path) -> None:
    for found in imports(path):
        top = found.module.split(".")[0]
        assert top not in NOWHERE, f"{name(path)}:{found.line} imports {top}"
        rooms = ONLY_IN.get(top)
        assert rooms is None or name(path).startswith(rooms), f"{name(path)}:{found.line} imports {top}"


@every_module
def test_no_code_from_data_no_weak_randomness_no_sleeping(path: Path) -> None:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            called = dotted(node.func)
            assert called not in {"eval", "exec", "compile", "__import__", "time.sleep"}, f"{name(path)}:{node.lineno}"
            for keyword in node.keywords:
                unsafe = keyword.arg == "allow_pickle" and not (
                    isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                )
                assert not unsafe, f"{name(path)}:{node.lineno} allows pickles"
        if isinstance(node, ast.Attribute):
            assert dotted(node) not in {"np.random", "numpy.random"}, f"{name(path)}:{node.lineno}"


@every_module
def test_modules_stay_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_no_module_needs_itself_to_load() -> None:
    """Modules that import one another at load time work only in the order that somebody happened to find."""
    known = {module_name(path): path for path in MODULES}
    needs = {
        module: {found.module for found in imports(path) if found.early and found.module in known} - {module}
        for module, path in known.items()
    }
    done: set[str] = set()

    def visit(module: str, above: tuple[str, ...]) -> None:
        assert module not in above, " -> ".join([*above[above.index(module) :], module])
        if module in done:
            return
        for other in sorted(needs[module]):
            visit(other, (*above, module))
        done.add(module)

    for module in sorted(needs):
        visit(module, ())


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_modules_of_tests_have_names_of_their_own() -> None:
    """The folders of tests share one search path: of two modules with one name, one would be taken for the other."""
    found: dict[str, Path] = {}
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if path.name not in ("conftest.py", "__init__.py"):
            assert path.name not in found, f"{name(path)} and {name(found[path.name])}"
            found[path.name] = path
