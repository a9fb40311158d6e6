"""What people write of launchers: `slurm queue=short mem=4G submit=array`, `[launcher NAME]`, `[requirements]`.  Pure.

The first word of a launcher is the name of an engine, or of a section
`[launcher NAME]` that has the same words as keys and `engine`.  Anything else is
a command to put in front, as it has always been (spec/config.md M11), and none
of our business: so is `ssh HOST`, because areas have that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from mt.config import Config, Problem
from mt.durations import hms, shown
from mt.errors import ConfigError
from mt.launchers import ENGINES
from mt.launchers.amounts import count, memory, seconds, time
from mt.launchers.base import Ask
from mt.launchers.flags import refused

SECTION, REQUIREMENTS = "launcher", "requirements"
WAYS = ("auto", "job", "array", "pilot")
#: other words for a key
ALIASES: Mapping[str, str] = {
    "partition": "queue", "project": "account", "cpus": "cores", "mem": "memory", "licenses": "licences",
    "way": "submit",
}  # fmt: skip
#: what a job can ask for, in a launcher and in [requirements]
ASKS = ("queue", "account", "cores", "memory", "time", "licences", "flags")
KEYS = (*ASKS, "submit", "jobs", "hosts", "poll", "idle", "notice", "lost", "python")
#: what an engine has nothing for
_LACKS: Mapping[str, tuple[str, ...]] = {"ssh": ("queue", "account", "licences", "flags"), "htcondor": ("queue",)}
#: seconds: the longest pause between two queries where only the shortest is said
_LONGEST = 30.0
#: a job may take so much longer than the limit of its case: a part of it, and at least so many seconds
_MARGIN, _LEAST = 0.2, 60.0


class Choice(NamedTuple):
    """A launcher that was understood.

    `way` is how cases are handed over, `jobs` the most jobs at once (0: not
    said), `hosts` names with slots, `poll` the shortest and longest pause
    between two queries, `idle` how long a pilot waits for more work, `notice`
    how long before the end of its time a job takes nothing new, all in seconds;
    `lost` is how often a case whose job the machine ended runs again by itself,
    `python` the interpreter on the hosts (empty: the one that we run), `text`
    the launcher as written.
    """

    engine: str
    ask: Ask = Ask()
    way: str = "auto"
    jobs: int = 0
    hosts: tuple[tuple[str, int], ...] = ()
    poll: tuple[float, float] = (2.0, _LONGEST)
    idle: float = 60.0
    notice: int = 60
    lost: int = 3
    python: str = ""
    text: str = ""


def read_choice(text: str, named: Mapping[str, Mapping[str, str]]) -> Choice | None:
    """The engine that a launcher means; None when it is a command, `local`, or nothing.

    `named` are the sections `[launcher NAME]`.  Raises ConfigError when it means
    an engine and cannot be understood.
    """
    first, rest = [*text.split(None, 1), "", ""][:2]
    if (first not in ENGINES and first not in named) or _is_command(first, rest, named):
        return None
    section = named.get(first, {})
    engine = section.get("engine", first).strip()
    if engine not in ENGINES:
        where = f"launcher '{first}'"
        if "engine" not in section:
            raise ConfigError(f"{where}: it names no engine", hint=f"write in [launcher {first}]: engine slurm")
        raise ConfigError(f"{where}: there is no engine '{engine}'", hint=_nearest(engine, ENGINES, "engines"))
    pairs = [(key, value) for key, value in section.items() if key != "engine"]
    return _choice(text.strip(), engine, [*pairs, *_pairs(text)])


def launchers_named(config: Config) -> dict[str, dict[str, str]]:
    """The sections `[launcher NAME]` of megatest.config."""
    found = {}
    for section in config.sections():
        kind, _, name = section.partition(" ")
        if kind == SECTION and name.strip():
            found[name.strip()] = dict(config.items(section))
    return found


def ask_of(config: Config) -> Ask:
    """What `[requirements]` of a test asks of an engine; what cannot be read is not asked, `problems` tells of it.

    Where no time is said, the `runtimelim` of the test and a margin will do:
    so the test's own limit, which says more, comes first.
    """
    said = {key: value for key, value in _asked(config) if not isinstance(value, Problem)}
    if "time" not in said and (limit := hms(config.get(REQUIREMENTS, "runtimelim") or "")):
        said["time"] = limit + max(limit * _MARGIN, _LEAST)
    return Ask(**said)


def over(ask: Ask, other: Ask) -> Ask:
    """What is asked, and from the other one what is not said here; flags of both count, the later ones win."""
    said = {key: value for key, value in ask._asdict().items() if value}
    return other._replace(**said)._replace(flags=(*other.flags, *ask.flags))


def problems(config: Config) -> Iterator[Problem]:
    """What cannot be understood in megatest.config or a testconfig, for `mt check`."""
    yield from (value for _, value in _asked(config) if isinstance(value, Problem))
    named = launchers_named(config)
    bad: set[str] = set()
    for section in config.sections():
        name = section.partition(" ")[2].strip()
        if name in named and section.startswith(f"{SECTION} "):
            keys = config.keys(section)
            wrong = list(_wrong(name, named, config.where(section, keys[0]) if keys else config.shown(config.path)))
            bad.update({name} if wrong else ())
            yield from wrong
    for section, key in [("jobtools", "launcher"), *(("host-types", key) for key in config.keys("host-types"))]:
        text = config.get(section, key) or ""
        if not bad.intersection(text.split(None, 1)[:1]):  # that was told
            yield from _wrong(text, named, config.where(section, key))


def _wrong(text: str, named: Mapping[str, Mapping[str, str]], where: str | None) -> Iterator[Problem]:
    try:
        read_choice(text, named)
    except ConfigError as e:
        yield Problem(where or "", e.what, hint=e.hint)


def _is_command(first: str, rest: str, named: Mapping[str, object]) -> bool:
    """Whether this is `ssh HOST` and not the engine: nothing in it looks like one of our words."""
    if first != "ssh" or first in named or not rest.strip():
        return False
    key, equals, _ = rest.split(None, 1)[0].partition("=")
    return not equals or not key.isidentifier()


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """The words after the first one, which are all KEY=VALUE."""
    for word in _words(text, text)[1:]:
        key, equals, value = word.partition("=")
        if not equals:
            near = _nearest(word, (*KEYS, *ALIASES), "keys", KEYS, 0.8)
            raise ConfigError(f"launcher '{text}': '{word}' is not KEY=VALUE", hint=near)
        yield key, value


def _words(value: str, text: str) -> list[str]:
    from shlex import split

    try:
        return split(value)
    except ValueError as e:
        raise ConfigError(f"launcher '{text}': {str(e).lower()}", hint="put quotes around a value with blanks") from e


def _choice(text: str, engine: str, pairs: Iterable[tuple[str, str]]) -> Choice:
    said: dict[str, Any] = {}
    flags: list[str] = []
    for given, value in pairs:
        key = ALIASES.get(given, given)
        if key not in KEYS:
            hint = _nearest(given, (*KEYS, *ALIASES), "keys", KEYS)
            raise ConfigError(f"launcher '{text}': unknown key '{given}'", hint=hint)
        if key in _LACKS.get(engine, ()):
            raise ConfigError(f"launcher '{text}': {engine} has no '{given}'", hint=f"leave '{given}' out")
        try:
            said[key] = read_value(key, value.strip())
        except ValueError as e:
            raise ConfigError(f"launcher '{text}': {given} '{value}': {e}", hint=_EXAMPLES.get(key)) from e
        flags += said["flags"] if key == "flags" else ()
    if taken := refused(engine, flags):
        raise ConfigError(f"launcher '{text}': {taken[0]}", hint=taken[1])
    if bool(said.get("hosts")) != (engine == "ssh"):
        what = "it needs hosts" if engine == "ssh" else f"{engine} finds hosts by itself"
        raise ConfigError(f"launcher '{text}': {what}", hint="ssh hosts=a:4,b:2" if engine == "ssh" else None)
    ask = Ask(**{key: said.pop(key) for key in ASKS if key in said})._replace(flags=tuple(flags))
    return Choice(engine, ask, way=said.pop("submit", "auto"), text=text, **said)


_EXAMPLES = {
    "memory": "memory=4G, memory=500M", "time": "time=90m, time='1h 30m', time=1:30:00", "cores": "cores=4",
    "hosts": "hosts=a:4,b:2", "poll": "poll=2s, poll=2s..30s", "submit": "submit=auto, job, array or pilot",
}  # fmt: skip


def read_value(key: str, text: str) -> Any:
    """The value of one of KEYS; raises ValueError that says in words what is wrong with it."""
    reader = _READERS.get(key)
    if reader is not None:
        return reader(text)
    if key == "submit" and text not in WAYS:
        raise ValueError("no way to hand cases over")
    if not text or not text.isprintable():
        raise ValueError("a word is wanted")
    if key in ("queue", "account") and any(c.isspace() for c in text):
        raise ValueError("one word is wanted")
    return text


def _flags(text: str) -> tuple[str, ...]:
    from shlex import split

    try:
        words = tuple(split(text))
    except ValueError as e:
        raise ValueError(str(e).lower()) from e
    if not all(map(str.isprintable, words)):
        raise ValueError("one line is wanted")
    return words


def _pauses(text: str) -> tuple[float, float]:
    words = text.replace("..", " ").split()
    if not 1 <= len(words) <= 2:
        raise ValueError("one or two lengths of time are wanted")
    first = seconds(words[0])
    longest = seconds(words[1]) if len(words) == 2 else max(first, _LONGEST)
    if not 0 < first <= longest:
        raise ValueError(f"{shown(first)} to {shown(longest)} is no span of pauses")
    return first, longest


def _hosts(text: str) -> tuple[tuple[str, int], ...]:
    """`a:4,b` or `a:4 b`: names with slots, one slot where nothing is said; `[::1]:2` for addresses with colons."""
    found: dict[str, int] = {}
    for word in text.replace(",", " ").split():
        name, colon, number = word.rpartition(":")
        has_slots = bool(colon) and (":" not in name or name.endswith("]"))
        name, slots = (name, count(number, 1)) if has_slots else (word, 1)
        name = name.removeprefix("[").removesuffix("]")
        if not name or name.startswith("-"):
            raise ValueError(f"'{word}' is no host")
        found[name] = found.get(name, 0) + slots
    if not found:
        raise ValueError("no host is named")
    return tuple(found.items())


#: what reads the values of keys that are not plain words
_READERS: Mapping[str, Callable[[str], Any]] = {
    "cores": lambda text: count(text, 1), "jobs": lambda text: count(text, 0), "lost": lambda text: count(text, 0),
    "memory": memory, "time": time, "idle": seconds, "notice": lambda text: int(seconds(text)),
    "poll": _pauses, "hosts": _hosts, "flags": _flags,
}  # fmt: skip


def _asked(config: Config) -> Iterator[tuple[str, Any | Problem]]:
    """What [requirements] says of each key: its value, or what is wrong with it."""
    spellings = [(key, key) for key in ASKS] + [(alias, key) for alias, key in ALIASES.items() if key in ASKS]
    seen: set[str] = set()
    for given, key in spellings if config.has(REQUIREMENTS) else ():
        text = (config.get(REQUIREMENTS, given) or "").strip()
        if not text or key in seen:
            continue
        seen.add(key)
        try:
            yield key, read_value(key, text)
        except ValueError as e:
            what = f"[{REQUIREMENTS}] {given}: '{text}': {e}, so no launcher asks for it"
            yield key, Problem(config.where(REQUIREMENTS, given) or "", what, "warning", _EXAMPLES.get(key))


def _nearest(word: str, known: Iterable[str], kind: str, listed: Iterable[str] = (), least: float = 0.6) -> str:
    from difflib import get_close_matches

    near = get_close_matches(word, list(known), 1, least)
    return f"did you mean {near[0]}?" if near else f"{kind}: {', '.join(listed or known)}"
