"""Run the commands of an engine: with a time limit, with bounds on what they print, and never for ever.

What a command prints goes into memory files, not pipes: a daemon that it leaves
behind cannot hold us up, and a question that runs in the background needs
nobody who reads.  A command that is too slow is ended with all of its process
group.  Its limits (ulimit) are never touched, because engines hand them on to
the jobs.
"""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from mt.errors import LaunchError, why
from mt.launchers.base import Engine, Trouble

#: statuses of our own: no end within the time limit, more output than anybody wants, an end that somebody else saw
SLOW, LOUD, UNSEEN = 1001, 1002, 1003
#: bytes: the most that a command may print; so much of it is a line for people (characters)
MOST, SHOWN = 64 << 20, 300
#: seconds between two looks at how much was printed, and until a killed command is left to itself
_LOOK, _DEATH = 0.25, 2.0
#: seconds after which a command hangs that should have answered
_HANGS = 2.0
#: the end of a command without an answer says nothing against the job
_SILENT = Trouble("", "the engine does not answer; it is asked again", passing=True)

#: what stands in front of the words that count: `sbatch: error: `
_PREFIX = re.compile(
    r"(?:[\w.+-]{1,40}(?:: ?| )(?=\S))?(?:\[?(?:error|fatal)\]?: ?)+|(?:q|s|b|condor_)[a-z]{2,12}: ", re.IGNORECASE
)
#: lines that say nothing
_EMPTY = re.compile(r"exiting\.?|submitting job\(s\)\.*|.{0,30}\bwarning\b.*|-+|=+|", re.I)


class Answer(NamedTuple):
    """How a command ended (negative: by a signal) and what it printed."""

    status: int
    out: str
    err: str
    program: str = ""


def call(
    argv: Sequence[str], *, seconds: float, env: Mapping[str, str] | None = None, cwd: str | None = None,
    stdin: str | None = None, enough: Callable[[], bool] = lambda: False,
) -> Answer:  # fmt: skip
    """Run a command and wait for its end, at most so long; one that hangs ends earlier when somebody has `enough`.

    Raises LaunchError when it cannot be started.
    """
    running, since = _Running(argv, seconds, env, cwd, stdin), time.monotonic()
    try:
        while (answer := running.answer()) is None:
            running.rest()
            if time.monotonic() - since > _HANGS and enough():
                return Answer(SLOW, "", "interrupted before it answered", argv[0])
        return answer
    finally:
        running.leave()


class Asking:
    """Commands that run in the background, one after another, each with the same time limit."""

    def __init__(
        self, commands: Sequence[Sequence[str]], *, seconds: float, env: Mapping[str, str] | None = None,
        cwd: str | None = None,
    ) -> None:  # fmt: skip
        """Start the first one; raises LaunchError when it cannot be started."""
        self._rest = list(commands)
        self._terms = seconds, env, cwd
        self._answers: list[Answer] = []
        self._running: _Running | None = None
        if self._rest:
            self._next()

    def done(self) -> list[Answer] | None:
        """The answers, in order, when all commands have ended; else None, at once."""
        while self._running is not None or self._rest:
            try:
                answer = self._running.answer() if self._running else self._next()
            except LaunchError as e:
                answer = Answer(UNSEEN, "", e.what)
            if answer is None:
                return None
            self._answers.append(answer)
            if self._running is not None:
                self._running.leave()
                self._running = None
        return self._answers

    def wait(self, seconds: float, enough: Callable[[], bool] = lambda: False) -> list[Answer] | None:
        """The same, but wait for it: at most so long, and for one that hangs only until somebody has `enough`."""
        began = time.monotonic()
        while (answers := self.done()) is None:
            waited = time.monotonic() - began
            if waited >= seconds or (waited > _HANGS and enough()):
                return None
            if self._running is not None:
                self._running.rest(seconds - waited)
        return answers

    def stop(self) -> None:
        """End what runs; nothing is answered any more."""
        self._rest.clear()
        if self._running is not None:
            self._running.leave()
            self._running = None

    def _next(self) -> Answer | None:
        """Start the next one, which has no answer yet."""
        self._running = _Running(self._rest.pop(0), *self._terms)
        return None


class _Running:
    """A command that was started."""

    def __init__(
        self, argv: Sequence[str], seconds: float, env: Mapping[str, str] | None, cwd: str | None,
        stdin: str | None = None,
    ) -> None:  # fmt: skip
        self.program = argv[0]
        self.seconds = seconds
        self.status: int | None = None
        self.verdict: tuple[int, str] | None = None  # ours, when we have ended it
        self.files = [os.memfd_create("answer"), os.memfd_create("errors")]
        try:
            self.process = _start(argv, env, cwd, stdin, self.files)
        except BaseException:
            self._close()
            raise
        self.deadline = time.monotonic() + seconds

    def answer(self) -> Answer | None:
        """How it ended, None as long as it runs; ends it when it is too slow or too loud.  Never waits."""
        now = time.monotonic()
        if self._ended():
            status, note = self.verdict or (self.status or 0, "")
            return self._told(status, note)
        if self.verdict is None and self._size() > MOST:
            self._kill(LOUD, f"more than {MOST >> 20} MB of output")
        elif self.verdict is None and now >= self.deadline:
            self._kill(SLOW, f"no answer within {self.seconds:g} s")
        elif self.verdict is not None and now >= self.deadline:
            return self._told(*self.verdict)  # it hangs in the kernel: others have to see its end
        return None

    def rest(self, most: float = _LOOK) -> None:
        """Wait for its end, for its limit, or for a moment."""
        left = min(max(self.deadline - time.monotonic(), 0.0), _LOOK, most)
        try:
            fd = os.pidfd_open(self.process.pid)
        except OSError:
            return  # it is gone
        try:
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            poll.poll(left * 1000 + 1)
        finally:
            os.close(fd)

    def leave(self) -> None:
        """End it, if it still runs, and let go of all that it holds of ours."""
        if not self._ended() and self.verdict is None:
            self._kill(SLOW, "")
            while not self._ended() and time.monotonic() < self.deadline:
                self.rest()
        self.process.returncode = UNSEEN if self.status is None else self.status  # Popen need not wait for it
        self._close()

    def _ended(self) -> bool:
        """Whether it has ended; its pid is ours until we see that here."""
        if self.status is None:
            try:
                pid, status = os.waitpid(self.process.pid, os.WNOHANG)
            except ChildProcessError:
                self.status, self.verdict = UNSEEN, self.verdict or (UNSEEN, "how it ended is not known")
                return True
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is not None

    def _kill(self, status: int, note: str) -> None:
        self.verdict = status, note
        self.deadline = time.monotonic() + _DEATH
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def _size(self) -> int:
        return sum(os.fstat(fd).st_size for fd in self.files)

    def _told(self, status: int, note: str) -> Answer:
        out, err = (os.pread(fd, MOST, 0).decode("utf-8", "replace") for fd in self.files)
        return Answer(status, out, f"{note}\n{err}" if note else err, self.program)

    def _close(self) -> None:
        while self.files:
            os.close(self.files.pop())


def _start(
    argv: Sequence[str], env: Mapping[str, str] | None, cwd: str | None, stdin: str | None, files: Sequence[int]
) -> subprocess.Popen[bytes]:
    source = os.memfd_create("input")
    try:
        if stdin is not None:
            with open(source, "wb", closefd=False) as f:
                f.write(stdin.encode("utf-8", "surrogateescape"))
            os.lseek(source, 0, os.SEEK_SET)
        return subprocess.Popen(
            list(argv), stdin=source, stdout=files[0], stderr=files[1], env=env, cwd=cwd, start_new_session=True
        )
    except OSError as e:
        if cwd is not None and e.filename == cwd:
            raise LaunchError(f"cannot run '{argv[0]}' in '{cwd}': {why(e)}") from e
        reason = "not found" if isinstance(e, FileNotFoundError) else why(e)
        raise LaunchError(f"cannot run '{argv[0]}': {reason}", hint="mt launcher list") from e
    finally:
        os.close(source)


# -- what an answer means


def fits(pattern: str, answer: Answer) -> bool:
    """Whether a pattern of an engine finds something in what a command printed."""
    return re.search(pattern, f"{answer.err}\n{answer.out}", re.IGNORECASE | re.MULTILINE) is not None


def trouble_of(engine: Engine, answer: Answer) -> Trouble | None:
    """The known failure of an engine that an answer tells of; None for one that is not known, and for none."""
    found = next((trouble for trouble in engine.troubles if fits(trouble.pattern, answer)), None)
    return found or (_SILENT if answer.status in (SLOW, LOUD) else None)


def explain(engine: Engine, answer: Answer) -> str:
    """What went wrong, in one line: the one that tells of a known failure, else the first that says much."""
    note, _, rest = answer.err.partition("\n") if answer.status in (SLOW, LOUD, UNSEEN) else ("", "", answer.err)
    note, lines = _clean(note), list(_lines(answer._replace(err=rest)))
    trouble = trouble_of(engine, answer)
    known = [line for line in lines if trouble and trouble.pattern and re.search(trouble.pattern, line, re.I)]
    said = next(iter(known or lines), "")
    if note:
        return f"{note} ({said})" if said else note
    if answer.status == 0:
        return f"an answer that was not expected: {said}" if said else "an empty answer"
    return said or f"{answer.program or engine.programs[0]} {_how(answer.status)} and said nothing"


def _lines(answer: Answer) -> Iterator[str]:
    """What was printed, errors first: without prefixes, control characters, and lines that say nothing."""
    for raw in (*answer.err.splitlines()[:200], *answer.out.splitlines()[:200]):
        line = _clean(raw)
        if not _EMPTY.fullmatch(line):
            line = _PREFIX.sub("", line, count=1) if _PREFIX.match(line) else line
            line = ": ".join(map(_lowered, line.split(": ")))
            yield line if len(line) <= SHOWN else f"{line[:SHOWN]}..."


def _clean(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text[:2000]).split())


def _lowered(text: str) -> str:
    """A phrase with a small first letter, unless its first word is a name such as LSF or QOSMaxLimit."""
    first = text.split(" ", 1)[0]
    return text if any(c.isupper() for c in first[1:]) else text[:1].lower() + text[1:]


def _how(status: int) -> str:
    return f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
