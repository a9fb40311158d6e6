"""print the logs of cases

For each case the log of the step that failed, else of its last step, else of its start; --step names another, --all
prints those of all steps.  When there are several logs each has a line `==> ID STEP <==` in front.

With --errors only lines that read like trouble are printed, without any heading, so they can be sorted and counted; a
log without such lines gives its last line.

With -F the logs are followed while the cases run, also those of steps that have not begun yet; each line of several
cases begins with TEST/ITEM.  It ends when the cases have ended.

EXAMPLES

    $ mt log diskperf/sda/4k
    Why did it fail?

    $ mt tests -s FAIL -f ids | mt log --errors - | sort | uniq -c | sort -rn | head
    What do the failures have in common?

    $ mt log -F 'smoke/%'
    Watch cases while they run.

EXIT STATUS

    0  something was printed
    7  nothing matches, or there is no log yet

SEE ALSO

    mt-why, mt-show, mt-steps, mt-paths
"""

from __future__ import annotations

import os
import sys
import time

from mt.errors import NothingSelected
from mt.model import case_id
from mt.options import flag, opt, rest
from mt.rows import CaseOptions, Cases, answer, step_is_good, text_log
from mt.states import LIVE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from mt.model import CaseRow, RunRow, StepRow

#: what a case writes before its first step
LAUNCH_LOG = "mt_launch.log"
_EVERY = 0.2


class Options(CaseOptions):
    """What was typed."""

    step: str | None = opt("--step", meta="S", help="the log of this step")
    all: bool = flag("-a", "--all", help="the logs of all steps")
    errors: bool = flag("-e", "--errors", help="only lines that read like trouble")
    follow: bool = flag("-F", "--follow", help="go on while the cases run")
    ids: tuple[str, ...] = rest("ID", help="ids or patterns of cases; - reads them from stdin", complete="ids")


class Log:
    """One log of one case."""

    def __init__(self, case: str, step: str, path: str) -> None:
        self.case = case
        self.step = step
        self.path = path


def main(opts: Options) -> int:
    """Print, or follow."""
    cases = Cases(opts, opts.ids)
    if opts.follow:
        return follow(cases, opts)
    logs = [log for log in _logs(cases, opts) if os.path.isfile(log.path)]
    headed = len(logs) > 1 and not opts.errors
    for n, log in enumerate(logs):
        if headed:
            _write(f"{chr(10) if n else ''}==> {log.case} {log.step} <==\n".encode())
        _print(log, opts)
    return answer(len(logs), opts, "logs")


def _write(body: bytes) -> None:
    sys.stdout.buffer.write(body)


def _print(log: Log, opts: Options) -> None:
    if opts.errors:
        for line in trouble(log.path):
            _write(line.encode("utf-8", "surrogateescape") + b"\n")
        return
    last = b"\n"
    with open(log.path, "rb") as source:
        while body := source.read(1 << 20):
            _write(body)
            last = body[-1:]
    if last != b"\n":
        _write(b"\n")


def trouble(path: str) -> list[str]:
    """Lines of a log that look bad, else its last line that is not blank."""
    from mt.errorlines import error_lines

    with open(path, encoding="utf-8", errors="surrogateescape") as source:
        found = [line for _, line in error_lines(source)]
        if found:
            return found
        source.seek(0)
        last = ""
        for line in source:
            last = line.strip() or last
    return [last] if last else []


def _logs(cases: Cases, opts: Options) -> Iterator[Log]:
    """The logs to print, in the order of the cases."""
    for picked in cases.picked:
        rows = list(cases.of(picked))
        steps = cases.steps_of(picked, rows)
        for row in rows:
            yield from _of_case(picked.run, row, steps.get(row.key, []), opts)


def _of_case(run: RunRow, row: CaseRow, steps: Sequence[StepRow], opts: Options) -> Iterator[Log]:
    name = case_id(run.key, row.key)
    if opts.step is not None:
        yield Log(name, opts.step, os.path.join(row.dir, _named(steps, opts.step)))
        return
    chosen = list(steps) if opts.all else _telling(steps)
    for step in chosen:
        yield Log(name, step.name, os.path.join(row.dir, text_log(step)))
    if row.dir and (opts.all or not chosen):
        yield Log(name, "-", os.path.join(row.dir, LAUNCH_LOG))


def _named(steps: Sequence[StepRow], name: str) -> str:
    return next((text_log(s) for s in steps if s.name == name), f"{name.replace('/', '_')}.log")


def _telling(steps: Sequence[StepRow]) -> list[StepRow]:
    """The step that failed, else the last one."""
    return [next((s for s in steps if not step_is_good(s)), steps[-1])] if steps else []


# -- follow


class Tail:
    """A growing file; what ends without a newline is kept until the rest of its line comes."""

    def __init__(self, path: str, tag: bytes) -> None:
        self.path = path
        self.tag = tag
        self._file: BinaryIO | None = None
        self._rest = b""

    def lines(self) -> list[bytes]:
        """The whole lines that came since the last call, tagged."""
        try:
            if self._file is None:
                self._file = open(self.path, "rb", buffering=0)
            body = self._rest + (self._file.read() or b"")
        except OSError:
            return []
        *whole, self._rest = body.split(b"\n")
        return [self.tag + line + b"\n" for line in whole]

    def close(self) -> list[bytes]:
        """Close; gives the last line when it had no end."""
        if self._file is not None:
            self._file.close()
        return [self.tag + self._rest + b"\n"] if self._rest else []


def follow(cases: Cases, opts: Options) -> int:
    """Print what comes until no case runs any more."""
    tails: dict[str, Tail] = {}
    shown = 0
    while True:
        running = _add(cases, opts, tails)
        for tail in tails.values():
            shown += _emit(tail.lines())
        sys.stdout.flush()
        if not running:
            break
        time.sleep(_EVERY)
        cases.again()
    shown += sum(_emit(tail.close()) for tail in tails.values())
    if not tails and not opts.allow_empty:
        raise NothingSelected("no logs found", hint="mt tests lists the cases")
    return 0


def _emit(lines: list[bytes]) -> int:
    for line in lines:
        _write(line)
    return len(lines)


def _add(cases: Cases, opts: Options, tails: dict[str, Tail]) -> bool:
    """Take up new logs; gives whether one of the cases may still write."""
    running = False
    for picked in cases.picked:
        rows = list(cases.of(picked))
        steps = cases.steps_of(picked, rows)
        tagged = len(rows) > 1 or len(cases.picked) > 1
        for row in rows:
            controlled = picked.run.state == "RUNNING" and row.state == "NOT_STARTED"
            running = running or row.state in LIVE or controlled
            for step in steps.get(row.key, []):
                if opts.step is None or step.name == opts.step:
                    path = os.path.join(row.dir, text_log(step))
                    tails.setdefault(path, Tail(path, f"{row.key}: ".encode() if tagged else b""))
    return running
