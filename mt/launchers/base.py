"""What a launcher is: a batch engine as data (spec/style.md 1.5).

A launcher only submits, polls, cancels and asks why; it never knows what a case
is.  Everything here is pure: commands are made and answers are read, others run
them (`mt/launchers/calling.py`).  One small module for each engine fills in an
`Engine`; `mt.launchers.TABLE` lists them.

An engine may list a job for a while after its end, or drop it at once; it may
run one job twice at once, and forget one that it has accepted.  So no fate that
is read here ever decides a verdict alone: what the job wrote does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

#: what may have become of a job, in the words of mt: before, while, and after it ran
WAITING, RUNNING = ("queued", "held"), ("running", "suspended")
OVER = ("done", "failed", "cancelled", "preempted", "node-failed", "out-of-memory", "time-limit")


Argv = tuple[str, ...]


class Ask(NamedTuple):
    """What one job asks of the engine; zero or empty where nothing was said.

    `cores` of one host, `memory` in bytes for the whole job, `time` in seconds
    of wall clock, `licences` as the engine writes them, `flags` are handed to
    the engine as they are.
    """

    cores: int = 0
    memory: int = 0
    time: float = 0.0
    queue: str = ""
    account: str = ""
    licences: str = ""
    flags: tuple[str, ...] = ()


class Job(NamedTuple):
    """A job to submit: one, or an array of `tasks` (0 is no array) of which at most `at_once` run at once (0: all).

    `command` is what runs on the host, as words; `name` a word that is the same
    for all jobs of a run; `out` an existing directory where the engine puts what
    the job prints; `home` the directory it begins in; `notice` is how many
    seconds before its time is over it wants a signal (0: none); `host` is for
    engines that do not choose one themselves.
    """

    name: str
    command: Argv
    out: str
    home: str
    ask: Ask = Ask()
    tasks: int = 0
    at_once: int = 0
    notice: int = 0
    host: str = ""


class Word(NamedTuple):
    """What an engine says of one job or array task: a fate of mt, and its own words (`PENDING (Resources)`)."""

    fate: str
    said: str
    host: str = ""


class Unreadable(ValueError):
    """An answer of an engine that cannot be understood: the fate of its jobs is unknown."""


class Trouble(NamedTuple):
    """A kind of failure of the engine's commands: `pattern` finds it in what they print, `hint` says what helps.

    With `passing` it is no fault of the job: the same command may work later
    (the controller of the engine is away).
    """

    pattern: str
    hint: str
    passing: bool = False


def whole(job: str) -> str:
    """All jobs of an engine are asked for at once."""
    return ""


class Engine(NamedTuple):
    """A batch engine as data.

    name, title  the word for `-L`, and one line for people
    programs     what must be on PATH; the first one submits
    text         the whole job script or description of a job, to be stored in a file
    submit       the command that submits that file (`host` of the Job for those that need it)
    job_id       a regular expression whose first group is the id in what `submit` prints
    task         the id of one task of an array, from the id of the array and the task's number from 0
    poll         the commands, mostly one, that ask for all these ids (name is the common `Job.name`)
    read         {id: Word} from what `poll` printed, ranges of array tasks taken apart; raises Unreadable
    cancel       the commands, as few as possible, that end all these jobs
    why          the command that tells most about one job, for people
    task_number  how a job finds its task's number from 0: (variable, number of the first task); ("", 0) for no arrays
    own_id       variables in a job that hold its id and, for arrays, its task as the engine counts it
    past         the command that asks what became of jobs that are no longer listed, or None
    read_past    reads its answer
    stuck        fits the engine's words for a job that is over and yet stays in its queue until it is cancelled
    late         seconds that may pass until `poll` and `past` know that a job has ended
    named        whether `poll` asks for all jobs of a name, also when no id is known
    ending       fits the engine's words for a job that is ending, when they do not tell how
    troubles     known failures, the first that fits counts
    version      the command that prints the version
    maker        fits what it prints, where another engine has programs of the same names; else empty
    arrays       the most tasks of one array
    missing      fits what `poll` prints, with a bad status, when none of the ids is known any more; that is no failure
    end_signals  by which the engine tells a job to end, before it kills; other signals say that the time is nearly over
    apart        ids with different answers here are asked for by commands of their own, which may fail one by one
    """

    name: str
    title: str
    programs: tuple[str, ...]
    text: Callable[[Job], str]
    submit: Callable[[Job, str], Argv]
    job_id: str
    task: Callable[[str, int], str]
    poll: Callable[[str, Sequence[str]], Sequence[Argv]]
    read: Callable[[str], dict[str, Word]]
    cancel: Callable[[Sequence[str]], Sequence[Argv]]
    why: Callable[[str], Argv]
    task_number: tuple[str, int]
    own_id: tuple[str, ...]
    version: Argv
    past: Callable[[Sequence[str]], Argv] | None = None
    read_past: Callable[[str], dict[str, Word]] | None = None
    troubles: tuple[Trouble, ...] = ()
    arrays: int = 1000
    missing: str = ""
    apart: Callable[[str], str] = whole
    maker: str = ""
    end_signals: tuple[str, ...] = ("TERM",)
    stuck: str = ""
    late: float = 0.0
    ending: str = ""
    named: bool = False


#: a job of so many seconds is too short for a warning before its end; of longer ones it is at most such a part
_SHORT, _PART = 600.0, 0.1


def notice(asked: float, time: float) -> int:
    """Seconds before its end at which a job takes nothing new: as asked, or less where its `time` is short.

    Zero for no warning; a `time` of 0 is not known.
    """
    if not time:
        return int(asked)
    return 0 if time < _SHORT else int(min(asked, time * _PART))


def script(prefix: str, lines: Sequence[str], command: Sequence[str], home: str = "") -> str:
    """A job script for /bin/sh: directives, and the command in place of the shell, so that signals reach it.

    It goes to `home` where the engine does not.  Warnings of the engine end
    nothing that has not said yet what it does about them.
    """
    from shlex import join, quote

    head = "".join(f"{prefix} {line}\n" for line in lines)
    head += f"cd {quote(home)} || exit 1\n" if home else ""
    return f"#!/bin/sh\n{head}trap '' USR1 USR2 XCPU\nexec {join(command)}\n"
