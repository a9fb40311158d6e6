"""Rules of the house that a reader of the source can check (spec/architecture.md L74, L102)."""

from __future__ import annotations

import ast
import configparser
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mt import pages, states, variables, verbs

HOME = Path(__file__).resolve().parents[2]
SOURCES = sorted((HOME / "mt").rglob("*.py"))
TREES = {path.relative_to(HOME).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}

#: constructors whose result changes while it is used
MUTABLE = {"list", "dict", "set", "bytearray", "defaultdict", "deque", "Counter", "OrderedDict", "WeakValueDictionary"}
CONNECTED = {"connect", "socket", "open", "Popen", "Lock", "FileLock", "local", "ThreadPoolExecutor"}
SETTERS = ("os.putenv", "os.unsetenv", "putenv", "unsetenv", "local.env")
#: methods and statements that change a container
CHANGERS = {"append", "add", "update", "setdefault", "pop", "clear", "extend", "insert", "remove", "discard", "popitem"}


def called(node: ast.AST) -> str:
    """The dotted name of what a call calls, or the empty string."""
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def is_environ(node: ast.AST) -> bool:
    return ast.unparse(node) in ("os.environ", "environ", "os.environb", "local.env", "plumbum.local.env")


def environment_writes(tree: ast.AST) -> Iterator[int]:
    """Lines that change the environment of our own process."""
    for node in ast.walk(tree):
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign | ast.Delete):
            targets = node.targets
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets = [node.target]
        if any(is_environ(t.value if isinstance(t, ast.Subscript) else t) for t in targets):
            yield node.lineno
        if isinstance(node, ast.Call):
            method = node.func if isinstance(node.func, ast.Attribute) and node.func.attr in CHANGERS else None
            if called(node) in SETTERS or (method and is_environ(method.value)):
                yield node.lineno


def module_level(tree: ast.Module) -> Iterator[tuple[str, ast.expr, int]]:
    """Names assigned at module level, with their values."""
    for node in tree.body:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    yield target.id, node.value, node.lineno
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            yield node.target.id, node.value, node.lineno


def state_at_module_level(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Module-level connections, empty containers that wait to be filled, and tables that somebody changes."""
    names = set()
    for name, value, line in module_level(tree):
        last = called(value).rpartition(".")[2]
        if last in CONNECTED:
            yield line, f"{name} is a connection or a lock"
        if last in MUTABLE and not value.args:  # type: ignore[attr-defined] # a call, as `called` says
            yield line, f"{name} waits to be filled"
        if isinstance(value, ast.List | ast.Dict | ast.Set) and not ast.unparse(value).strip("[]{}"):
            yield line, f"{name} waits to be filled"
        names.add(name)
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            yield node.lineno, f"global {', '.join(node.names)}"
        changed = None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGERS:
            changed = node.func.value
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            changed = node.targets[0].value
        if isinstance(changed, ast.Name) and changed.id in names and changed.id.lstrip("_").isupper():
            yield node.lineno, f"{changed.id} is changed"


@pytest.mark.parametrize("path", TREES)
def test_the_environment_is_a_value_and_never_written(path: str) -> None:
    assert list(environment_writes(TREES[path])) == []


@pytest.mark.parametrize("path", TREES)
def test_no_module_keeps_state(path: str) -> None:
    assert list(state_at_module_level(TREES[path])) == []


def test_these_checks_find_what_they_look_for() -> None:
    bad = """
import os, sqlite3
CACHE = {}
DB = sqlite3.connect(":memory:")
TABLE = {"a": 1}
def f():
    global DB
    TABLE["b"] = 2
    TABLE.update(c=3)
    os.environ["X"] = "1"
    del os.environ["X"]
    os.environ.update(Y="1")
    os.environ |= {}
    os.putenv("a", "b")
"""
    tree = ast.parse(bad)
    assert sorted(environment_writes(tree)) == [10, 11, 12, 13, 14]
    assert sorted(line for line, _ in state_at_module_level(tree)) == [3, 4, 7, 8, 9]


@pytest.mark.parametrize("path", TREES)
def test_every_module_says_what_it_is_for(path: str) -> None:
    assert (ast.get_docstring(TREES[path]) or "").strip()


def test_every_variable_of_ours_has_a_word_in_the_help_and_in_its_page() -> None:
    told = {*variables.READ, *variables.GIVEN}
    used = set()
    for path, tree in TREES.items():
        if path != "mt/variables.py":
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    used |= set(re.findall(r"(?<![A-Z_])MT_[A-Z][A-Z_]*[A-Z](?![A-Za-z_*])", node.value))
    assert sorted(used - told) == []
    page = (HOME / "man" / "mt-environment.7").read_text(encoding="utf-8")
    assert sorted(name for name in told if f".B {name}\n" not in page) == []


def test_every_state_and_status_is_in_its_page() -> None:
    page = (HOME / "man" / "mt-status.7").read_text(encoding="utf-8").replace("\\-", "-")
    assert [w for w in (*states.STATES, *states.STATUSES) if f".B {w}\n" not in page] == []


def test_every_page_is_installed_and_has_its_parts_in_order() -> None:
    setup = configparser.ConfigParser()
    setup.read(HOME / "setup.cfg")
    installed = {target: pattern for target, pattern in setup["options.data_files"].items()}
    for page in sorted((HOME / "man").iterdir()):
        number = page.suffix[1:]
        assert installed.get(f"share/man/man{number}") == f"man/*.{number}", page.name
        headings = re.findall(r"^\.S[Hh] +\"?(.*?)\"?$", page.read_text(encoding="utf-8"), re.MULTILINE)
        usual = ["NAME", "SYNOPSIS", "DESCRIPTION", "OPERANDS", "OPTIONS", "EXAMPLES", "EXIT STATUS", "SEE ALSO"]
        assert headings[0] == "NAME", page.name
        assert headings[-1] in ("SEE ALSO", "AUTHORS"), page.name
        assert [h for h in headings if h in usual] == [h for h in usual if h in headings], page.name


def test_every_page_that_a_page_names_exists() -> None:
    missing = set()
    for page in sorted((HOME / "man").iterdir()):
        text = page.read_text(encoding="utf-8").replace("\\-", "-")
        text = re.sub(r"\\f[BIPR]", " ", text).replace(" (", "(")
        for name, number in re.findall(r"\b(mt(?:-[a-z]+)*)\((\d)\)", text):
            if not (HOME / "man" / f"{name}.{number}").exists():
                missing.add(f"{page.name}: {name}({number})")
    assert sorted(missing) == []


def test_the_synopsis_of_a_page_is_that_of_the_short_help() -> None:
    for name in verbs.names():
        page = (HOME / "man" / f"mt-{name.replace(' ', '-')}.1").read_text(encoding="utf-8").replace("\\-", "-")
        assert pages.synopsis(name, verbs.load(name)) in page, name


def test_no_waiver_is_without_its_reason() -> None:
    """A `type: ignore` or `noqa` names its code and its reason on the same line."""
    bare = []
    for path in SOURCES:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            found = re.search(r"# (type: ignore|noqa)\b(.*)", line)
            if found and not re.match(r"(\[[\w, -]+\]|: [A-Z]+\d+(, ?[A-Z]+\d+)*) +(#|-) ?\S", found[2]):
                bare.append(f"{path.relative_to(HOME)}:{number}")
    assert bare == []
