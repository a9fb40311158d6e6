"""Carry a waiver on: a test that fails as it failed when somebody waived it (spec/runs.md 3.7, spec/config.md T35).

`settled` is what a worker asks about the verdict of every case; it costs
nothing when the verdict is good.  Of a FAIL it asks `[waivers]` of the
testconfig, and of every bad verdict the excuses of the area (`mt.excuses`).

The most recent other run of the target that has the case must have it
COMPLETED/WAIVED, and every entry `NAME RULE GLOB` must find that the files of
both runs are alike: by the command of `[waiver_rules]`, else by their
difference put through `NAME.logpro`, else by plain diff.
"""

from __future__ import annotations

import glob
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mt.errors import MtError, why
from mt.model import CaseKey, CaseRow, RunKey
from mt.pipeline import proc, verdict
from mt.states import OK
from mt.testspec import TestSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mt.db import Store

DIFF = "diff %file1% %file2%"
LOGPRO = "diff %file1% %file2% | logpro %waivername%.logpro %waivername%.html"
#: names that mean one of the two commands above, whatever the testconfig says of rules
_BUILT_IN = ("diff", "logpro")
#: log rules judge: a command whose last stage they are passes with a warning too (D15)
_RULED = re.compile(r"(?:^|[|;&])\s*(?:\S*/)?logpro\s[^|;&]*$")
_LOG = "mt_launch.log"


class Earlier(NamedTuple):
    """The same case in the most recent other run of its target."""

    run: RunKey
    row: CaseRow

    @classmethod
    def of(cls, said: Sequence[Any] | None) -> Earlier | None:
        """The same from what became of it on its way through JSON."""
        return None if said is None else cls(RunKey(*said[0]), CaseRow(*said[1]))


class Answer(NamedTuple):
    """Whether the failure is excused, the comment it then gets, and why it is (not), for a note."""

    excused: bool
    comment: str
    why: str


class Entry(NamedTuple):
    """One line of `[waivers]`: what it is called, its rule (or none), and which file is compared."""

    name: str
    rule: str
    file: str


class Final(NamedTuple):
    """A verdict after waivers and excuses, with notes for the record: what was tried and why it did (not) hold."""

    status: str
    comment: str
    notes: tuple[str, ...] = ()


def settled(
    home: str, run: RunKey, row: CaseRow, spec: TestSpec, directory: str, old: Earlier | None, env: Mapping[str, str],
    watch: proc.Watch = lambda: "",
) -> Final:  # fmt: skip
    """The status and comment of a case that has ended COMPLETED, from those of `row`, which it has without waivers.

    `home` is the area, `directory` the run directory, `old` the case in an
    earlier run (asked for only where the test has waivers), `env` the
    environment of the case.  Raises nothing that a user can cause.
    """
    if row.status in OK or row.status in ("AUTO", "n/a", "INFRA"):
        return Final(row.status, row.comment)
    notes: tuple[str, ...] = ()
    if row.status == "FAIL" and spec.waivers:
        answer = decide(spec, directory, old, env, watch)
        notes = (answer.why,)
        if answer.excused:
            return Final("WAIVED", answer.comment, notes)
    from mt.excuses import Excuses

    excuse = Excuses.read(home).of(run, row.key, row.status, row.comment)
    if excuse is None:
        return Final(row.status, row.comment, notes)
    entry = excuse.entry
    return Final(excuse.status, excuse.comment, (*notes, f"{row.status} excused by [{entry.kind} {entry.pattern}]"))


# -- the lookup


def earlier(store: Store, run_id: int, target: str, key: CaseKey) -> Earlier | None:
    """The case in the most recent other run of the target that has it; None when it never ran before."""
    from mt.fold import refresh
    from mt.queries import cases, find_runs

    for run in find_runs(store, target, order="-start"):
        if run.id == run_id or run.target != target:
            continue
        refresh(store, run.id)
        row = next(cases(store, run.id, key=key), None)
        if row is not None and row.state != "DELETED":
            return Earlier(run.key, row)
    return None


# -- the decision


def decide(
    spec: TestSpec,
    directory: str,
    old: Earlier | None,
    env: Mapping[str, str],
    watch: proc.Watch = lambda: "",
) -> Answer:
    """Whether the waiver of an earlier run holds for what is in `directory` now; raises nothing expected.

    Runs the commands of all entries until one does not pass; `watch` may end
    one of them, as it ends a step.
    """
    if not spec.waivers:
        return _no("there are no waivers")
    if old is None:
        return _no("no waiver to carry on: it is in no other run of this target")
    if (old.row.state, old.row.status) != ("COMPLETED", "WAIVED"):
        return _no(f"no waiver to carry on: it is {old.row.state}/{old.row.status} in {old.run}")
    for name, value in spec.waivers:
        said = _apply(name, value, dict(spec.waiver_rules), directory, old.row.dir, env, watch)
        if said:
            return _no(f"waiver '{name}' does not hold: {said}")
    names = ", ".join(name for name, _ in spec.waivers)
    return Answer(True, old.row.comment or f"waived in {old.run}", f"waived as in {old.run}: {names}")


def _no(reason: str) -> Answer:
    return Answer(False, "", reason)


def entry(name: str, value: str, rules: Mapping[str, str]) -> Entry | None:
    """One line of `[waivers]`, `NAME RULE GLOB`; None when it names no file.

    A single word is the file.  With the words the other way round, as some
    write them, the one that is a rule is taken for it.
    """
    words = value.strip().split(None, 1)
    if not words:
        return None
    if len(words) == 1:
        return Entry(name, "", words[0])
    first, rest = words[0], words[1].strip()
    known = (*rules, *_BUILT_IN)
    return Entry(name, rest, first) if first not in known and rest in known else Entry(name, first, rest)


def rule_of(one: Entry, rules: Mapping[str, str], *, has_logpro: bool) -> str:
    """The command of an entry with its marks; a name that is no rule falls back, as it always did."""
    return rules.get(one.rule) or (LOGPRO if has_logpro else DIFF)


def filled(rule: str, one: Entry, new: str, old: str) -> str:
    """The command that compares the file in the directory `new` with that in `old`.

    Directories are quoted; the file may be a pattern of the shell.
    """
    places = {"file1": _place(new, one.file), "file2": _place(old, one.file), "waivername": one.name}
    return re.sub(r"%(file1|file2|waivername)%", lambda hit: places[hit[1]], rule)


def _place(directory: str, file: str) -> str:
    return f"{shlex.quote(directory)}/{file}"


def passes(command: str, code: int) -> bool:
    """Whether an exit status means that the waiver holds: 0, and 2 from log rules."""
    return code == 0 or (code == 2 and _RULED.search(command) is not None)


def _apply(
    name: str, value: str, rules: Mapping[str, str], new: str, old: str, env: Mapping[str, str], watch: proc.Watch
) -> str:
    """Try one entry; gives why it does not hold, nothing when it does."""
    one = entry(name, value, rules)
    if one is None:
        return "it names no file"
    has_logpro = os.path.exists(os.path.join(new, f"{name}.logpro"))
    rule = rule_of(one, rules, has_logpro=has_logpro)
    for mark, place in (("%file1%", new), ("%file2%", old)):
        if mark in rule and not _is_there(place, one.file):
            return f"there is no '{one.file}' in '{place}'"
    command = filled(rule, one, new, old)
    try:
        ended = _run(command, new, env, watch)
    except MtError as e:
        return e.what
    except OSError as e:
        return f"cannot use '{e.filename or new}': {why(e)}"
    if ended.killed:
        return ended.killed
    if passes(command, ended.exits[0]):
        return ""
    return f"{verdict.describe(ended.exits) or ended.exits[0]} of {one.rule or ('logpro' if has_logpro else 'diff')}"


def _is_there(directory: str, file: str) -> bool:
    """Whether the file of an entry exists; what only the shell can work out is left to it."""
    if "$" in file or "`" in file:
        return True
    return bool(directory) and bool(glob.glob(os.path.join(glob.escape(directory), file)))


def _run(command: str, directory: str, env: Mapping[str, str], watch: proc.Watch) -> proc.Ended:
    """Run a comparison in the run directory; what it says goes to the launch log."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    out = os.open(os.path.join(directory, _LOG), flags, 0o666)
    try:
        os.write(out, f"waiver: {command}\n".encode("utf-8", "surrogateescape"))
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            words = ("/bin/sh", "-c", f'cd -- "$0" || exit 125\n{command}', directory)
            pid = proc.spawn(words, env, out, null, "/bin/sh")
            return proc.wait([pid], watch, mark=b"", slow=lambda: None)
        finally:
            os.close(null)
    finally:
        os.close(out)
