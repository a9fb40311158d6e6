"""What is wrong in an area's files, found by reading them and running no test (spec/features.md `mt check`).

Every function takes what has been read and gives `Problem`s.  What the readers
themselves found comes first; here is added what they put up with in silence:
misspelled keys, scripts that are not there, circles of waitons, comments that
still run commands.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator

from mt import infra, retries, traps
from mt.config import Config, Problem, template
from mt.disks import free_space, look
from mt.errors import ConfigError, MtError
from mt.excuses import problems as excuse_problems
from mt.known import MEGATEST, TESTCONFIG, UNREAD, listed
from mt.launchers.words import problems as launcher_problems
from mt.selectors import find_cycle
from mt.testspec import StepSpec, TestSpec, item_path, wait_problems

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mt.area import Area
    from mt.known import Table

#: reads log rules (text, name of the file, directory of files they load) and gives (where, what) of malformed ones;
#: raises ConfigError when they cannot be read at all
Rules = Callable[[str, str, str], Iterable[tuple[str, str]]]

_GET = re.compile(r"#\{g(?:et)?\s+(\S+)\s+([^\s{}]+)\s*\}")
#: sections whose values are words, never commands: a `#` in them is a mistake
_WORDS = ("requirements", "skip", "items", "itemstable", "disks", "jobgroups", "tests-paths", "subrun")
_TIMES = (("setup", "runtimelim"),)
_NUMBERS = tuple(
    ("setup", key)
    for key in "max_concurrent_jobs launch-delay launch_delay inter-test-delay reruns minspace maxretries".split()
)
_BUILTINS = frozenset(
    "[ [[ : . alias bg builtin case cd command declare do done echo eval exec exit export false fg for function getopts"
    " hash if jobs kill let local printf pwd read readonly return set shift shopt source test time times trap true type"
    " ulimit umask unset until wait while { ( ! megatest mt logpro nbfake".split()
)


def of_area(area: Area) -> Iterator[Problem]:
    """megatest.config, runconfigs.config, waivers.config: keys, traps, disks, targets that fit no keys, bad excuses."""
    targets = area.targets()  # first: reading them all finds their problems
    config = area.config
    yield from area.problems
    yield from _keys(config, MEGATEST)
    yield from _texts(config)
    yield from traps.trailing(config, (*_WORDS, "setup", "jobtools"))
    yield from traps.durations(config, _TIMES)
    yield from traps.numbers(config, (*_NUMBERS, *(("jobgroups", key) for key in config.keys("jobgroups"))))
    yield from traps.triggers(config)
    yield from traps.host_types(config)
    yield from infra.problems(config)
    yield from retries.problems(config, "setup")
    yield from launcher_problems(config)
    if area.runconfigs is not None:
        yield from _texts(area.runconfigs)
        yield from traps.shell_values(area.runconfigs, area.runconfigs.sections())
    yield from _targets(area, targets)
    for name, path in area.disks or ():
        yield from _disk(area, name, path)
    yield from excuse_problems(area.home)
    if not area.keys:
        yield Problem("megatest.config", "[fields] names no keys", hint="write at least one, as in: SYSTEM TEXT")


def of_tests(area: Area, names: Iterable[str], rules: Rules) -> Iterator[Problem]:
    """Each named test, and circles among those and all they wait on."""
    specs: dict[str, TestSpec] = {}
    for name in names:
        try:
            specs[name] = area.spec(name)
        except MtError as e:
            yield Problem(e.where or f"tests/{name}/testconfig", e.what, hint=e.hint)
            continue
        yield from of_test(area, specs[name], rules)
    yield from _circles(area, specs)


def of_test(area: Area, spec: TestSpec, rules: Rules) -> Iterator[Problem]:
    """One test: what reading found, keys, waitons, items, scripts, log rules."""
    yield from spec.problems
    for problem in wait_problems(spec, area.tests()):
        unknown = problem.text.rsplit(" ", 1)[1]
        yield problem._replace(hint=_nearest(unknown, area.tests()))
    yield from _keys(spec.config, TESTCONFIG)
    yield from _texts(spec.config)
    yield from _traps(spec)
    yield from _items(spec)
    yield from _scripts(area, spec)
    yield from _rules(spec, rules)
    yield from infra.problems(spec.config)
    yield from retries.problems(spec.config, "requirements")
    yield from launcher_problems(spec.config)
    for name, path in spec.disks or ():
        yield from _disk(area, name, path, spec)


# -- any file


def _keys(config: Config, table: Table) -> Iterator[Problem]:
    """Keys of known sections that nothing reads, and sections whose names are nearly known."""
    used = set(_GET.findall("\n".join(_text(path) for path in config.files)))
    for section in config.sections():
        if listed(section) not in table:
            yield from _near_section(config, section, table)
            continue
        words = table[listed(section)]
        for key in config.keys(section):
            where = config.where(section, key) or config.shown(config.path)
            if (section, key) in UNREAD:
                said = UNREAD[section, key] or "nothing reads this key"
                yield Problem(where, f"[{section}] {key}: {said}", "warning")
            elif words is not None and key not in words and (section, key) not in used:
                yield Problem(where, f"[{section}] unknown key '{key}'", "warning", _nearest(key, words))


def _near_section(config: Config, section: str, table: Table) -> Iterator[Problem]:
    hint = _nearest(section, table, 0.8)
    keys = config.keys(section)
    if hint and not any(word in section for word in ("env-override", "pre-launch-env")):
        where = config.where(section, keys[0]) if keys else None
        yield Problem(where or config.shown(config.path), f"unknown section [{section}]", "warning", hint)


def _nearest(word: str, known: Iterable[str], least: float = 0.6) -> str | None:
    import difflib

    near = difflib.get_close_matches(word, list(known), 1, least)
    return f"did you mean {near[0]}?" if near else None


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""  # what cannot be read was told by the reader


def _texts(config: Config) -> Iterator[Problem]:
    for path in config.files:
        yield from traps.of_text(path, _text(path), config)


# -- the area


def _targets(area: Area, names: Iterable[str]) -> Iterator[Problem]:
    for name in sorted(names):
        if name == "default" or not area.keys or template(name) is not None:
            continue
        if name.count("/") + 1 != len(area.keys):
            text = f"section [{name}] fits no target: the keys are {'/'.join(area.keys)}"
            yield Problem("runconfigs.config", text, "warning", "a target has one value for each key")


def _disk(area: Area, name: str, path: str, spec: TestSpec | None = None) -> Iterator[Problem]:
    disk = look(name, path, free_space)
    if disk.free is None:
        config = spec.config if spec else area.config
        yield Problem(
            config.where("disks", name) or "", f"disk {name} '{disk.path}' cannot be used: {disk.reason}", "warning"
        )


# -- one test


def _traps(spec: TestSpec) -> Iterator[Problem]:
    config = spec.config
    maps = [("requirements", "itemmap", spec.itemmaps.general)]
    maps += [("itemmap", pattern, lines) for pattern, lines in spec.itemmaps.some]
    yield from traps.trailing(config, _WORDS)
    yield from traps.durations(config, (("skip", "rundelay"),))
    yield from traps.triggers(config)
    yield from traps.spellings(config)
    yield from traps.near_misses(config)
    yield from traps.item_maps(maps, config)


def _items(spec: TestSpec) -> Iterator[Problem]:
    if not spec.items:
        return
    seen: set[str] = set()
    for path in map(item_path, spec.items):
        if path in seen:
            yield Problem(spec.where, f"item '{path}' comes twice and runs once", "warning")
            return
        seen.add(path)


def _scripts(area: Area, spec: TestSpec) -> Iterator[Problem]:
    """Programs that are not there; those of later steps may be made by the steps before them."""
    if spec.runscript:
        yield from _runscript(area, spec, spec.runscript)
    for number, step in enumerate(spec.steps):
        if not step.command:
            if not spec.config.is_deferred("ezsteps", step.name):
                yield Problem(step.where, f"step '{step.name}' has no command", "warning")
            continue
        level = "error" if number == 0 and not spec.runscript else "warning"
        yield from _step(area, spec, step, level)


def _runscript(area: Area, spec: TestSpec, script: str) -> Iterator[Problem]:
    where = spec.config.where("setup", "runscript") or spec.where
    word = _program(script)
    if word is None:
        return
    path = os.path.join(spec.dir, word)
    if os.path.isfile(path):
        if not os.access(path, os.X_OK):
            yield Problem(where, f"runscript '{word}' is not executable", "warning", f"chmod +x {_shown(area, path)}")
    elif "/" in word or not _on_path(area, word):
        yield Problem(where, f"runscript '{word}' is neither in the test's directory nor on PATH")


def _step(area: Area, spec: TestSpec, step: StepSpec, level: str) -> Iterator[Problem]:
    word = _program(step.command)
    own = [name for name, _ in spec.scripts]
    if word is None or word in _BUILTINS or word.removeprefix("./") in own:
        return
    path = os.path.join(spec.dir, word)
    if "/" not in word:
        if not os.path.isfile(path) and not _on_path(area, word):
            yield Problem(step.where, f"step '{step.name}': command '{word}' is not on PATH", "warning")
    elif not os.path.exists(path):
        yield Problem(step.where, f"step '{step.name}': there is no script '{word}'", level)
    elif not os.access(path, os.X_OK):
        hint = f"chmod +x {_shown(area, path)}"
        yield Problem(step.where, f"step '{step.name}': script '{word}' is not executable", level, hint)


def _program(command: str) -> str | None:
    """The word that names the program of a plain command line; None when only a shell could tell."""
    word = command.split(None, 1)[0] if command.strip() else ""
    return word if re.fullmatch(r"[\w./+@-]+|\[\[?|[:!{(]", word) else None


def _on_path(area: Area, word: str) -> bool:
    return shutil.which(word, path=area.env.get("PATH", os.defpath)) is not None


def _shown(area: Area, path: str) -> str:
    return area.config.shown(os.path.normpath(path))


def _rules(spec: TestSpec, rules: Rules) -> Iterator[Problem]:
    """Log rules of the testconfig and of files in the test's directory; a step without rules of that name is told."""
    steps = {step.name for step in spec.steps}
    for name, text in spec.logpro.items():
        where = spec.config.where("logpro", name) or spec.where
        if steps and name not in steps and name != "subrun":
            near = _nearest(name, steps, 0.8)
            yield Problem(where, f"[logpro] '{name}' names no step", "warning" if near else "info", near)
            continue
        path, _, line = where.rpartition(":")
        padded = "\n" * (int(line) - 1) + text if line.isdigit() else text  # so that errors name lines of the file
        for problem in _loaded(rules, padded, path or where, spec.dir, f"log rules of step '{name}'"):
            yield problem._replace(where=where) if problem.where in (path, f"{path}:1") else problem
    for file in sorted(os.listdir(spec.dir)):
        if file.endswith(".logpro") and file[: -len(".logpro")] in steps:
            path = os.path.join(spec.dir, file)
            yield from of_rules(_text(path), spec.config.shown(path), spec.dir, rules)


def of_rules(text: str, source: str, directory: str, rules: Rules) -> Iterator[Problem]:
    """A file of log rules."""
    yield from _loaded(rules, text, source, directory, "log rules")


def _loaded(rules: Rules, text: str, source: str, directory: str, what: str) -> Iterator[Problem]:
    try:
        for where, said in rules(text, source, directory):
            yield Problem(where, f"{what}: {said}")
    except ConfigError as e:
        yield Problem(e.where or source, f"{what}: {e.what}", hint=e.hint)


def _circles(area: Area, specs: dict[str, TestSpec]) -> Iterator[Problem]:
    """Tests that wait on each other; each circle is told once, with its path."""
    waits: dict[str, list[str]] = {}
    queue = list(specs)
    for name in queue:  # grows while it is walked
        if name in waits:
            continue
        try:
            spec = specs.get(name) or area.spec(name)
        except MtError:
            continue
        waits[name] = [w for w in spec.waitons if w != name and w in area.tests()]
        queue.extend(waits[name])
    while circle := find_cycle(waits):
        spec = area.spec(circle[0])
        where = spec.config.where("requirements", "waiton") or spec.where
        yield Problem(
            where, f"tests wait on each other: {' -> '.join(circle)}", hint="take one waiton out of the circle"
        )
        waits.pop(circle[0])
