"""Commands that the area asks for when a test enters a state or gets a status (spec/runs.md 4.10, spec/config.md T60).

`[triggers]` of the testconfig come first, then those of megatest.config.  Each
write of a state and status looks up `STATE/STATUS`, `STATE/` and `/STATUS`, and
what is found is started in the background: nobody waits for it, and nothing it
does can hurt the case.

    triggers = Triggers.of(area)                 # once per run
    if triggers.wanted(spec.triggers): triggers.fire(change, spec.triggers, env)

A trigger is no part of its case.  A case that is killed takes everything with
it that carries its MT_CMDINFO, so a trigger gets one that says the same in
other letters: it may call `mt value`, and survives.
"""

from __future__ import annotations

import binascii
import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from mt.errors import why
from mt.testspec import Pairs
from mt.trace import trace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mt.area import Area

#: what a case goes through when it is launched, as triggers have always seen it (spec/runs.md 3.4)
BEGINNING = (("LAUNCHED", "LAUNCHED"), ("REMOTEHOSTSTART", "n/a"), ("RUNNING", "n/a"))
_SHELL = "/bin/sh"
_MOST_WATCHED = 100


class Change(NamedTuple):
    """One write of a state and status: of a case, or with an empty item of a test's top record.

    `number` is the id of the record, `when` seconds since 1970, `dir` the run
    directory through the link tree, for a top record the one above its items.
    """

    test: str
    item: str
    number: int
    state: str
    status: str
    when: float
    dir: str


class Hit(NamedTuple):
    """A trigger that fires: its key, its command, and `tconfig` or `mtconfig` for the file it stands in."""

    key: str
    command: str
    source: str

    @property
    def log(self) -> str:
        """The name of the file that takes its output."""
        return f"{self.source}-last-trigger-{self.key.replace('/', '-').replace(' ', '-')}.log"


def hits(own: Pairs, common: Pairs, state: str, status: str) -> Iterator[Hit]:
    """The triggers that fire for a write, in order; `own` are those of the testconfig."""
    for source, pairs in (("tconfig", own), ("mtconfig", common)):
        found = dict(pairs)
        for key in (f"{state}/{status}", f"{state}/", f"/{status}"):
            command = found.get(key, "").strip()
            if command:
                yield Hit(key, command, source)


class Triggers:
    """The triggers of an area, and those it has started that have not ended yet."""

    def __init__(self, home: str, common: Pairs = (), env: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.common = common
        self.env = env if env is not None else {}
        self._started: list[int] = []

    @classmethod
    def of(cls, area: Area) -> Triggers:
        """Those of megatest.config; the area's environment is what a trigger gets when nobody knows better."""
        return cls(area.home, tuple(area.config.items("triggers")), area.env)

    def wanted(self, own: Pairs = ()) -> bool:
        """Whether any write could fire anything: without triggers nobody need make a Change."""
        return bool(own or self.common)

    def begin(self, change: Change, own: Pairs = (), env: Mapping[str, str] | None = None) -> None:
        """Fire for all that a case goes through from its launch to RUNNING, once its directory is there."""
        for state, status in BEGINNING:
            self.fire(change._replace(state=state, status=status), own, env)

    def fire(self, change: Change, own: Pairs = (), env: Mapping[str, str] | None = None) -> int:
        """Start what fires for a change; gives how many were started, and raises nothing.

        `env` is the environment of the case, where it is at hand.  Nothing is
        run before there is a run directory.
        """
        if not self.wanted(own) or not os.path.isdir(change.dir):
            return 0
        self._reap()
        found = hits(own, self.common, change.state, change.status)
        return sum(self._start(hit, change, env) for hit in found)

    def _start(self, hit: Hit, change: Change, env: Mapping[str, str] | None) -> int:
        """Start one trigger, detached; what keeps it from starting is said in its log."""
        out = self._log(hit.log, change.dir)
        try:
            pid = os.posix_spawn(
                _SHELL,
                command_line(hit, change),
                environment(self.env if env is None else env, change),
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, out, 1),
                    (os.POSIX_SPAWN_DUP2, out, 2),
                ],
                setsid=True,
                setsigmask=(),
                setsigdef=[signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ],
            )
        except (OSError, ValueError) as e:
            reason = why(e) if isinstance(e, OSError) else str(e)
            _complain(out, f"cannot start trigger '{hit.key}': {reason}")
            return 0
        finally:
            os.close(out)
        trace("spawn", hit.command, child=pid)
        self._watch(pid)
        return 1

    def _log(self, name: str, directory: str) -> int:
        """The log, open for appending: in the run directory, else the area, else /tmp/USER; at worst nowhere."""
        for place in (directory, self.home):
            try:
                return _appending(os.path.join(place, name))
            except OSError:
                continue
        try:
            place = _own_tmp()
            os.makedirs(place, mode=0o700, exist_ok=True)
            return _appending(os.path.join(place, name))
        except OSError:
            return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)

    def _watch(self, pid: int) -> None:
        """Remember a process by a descriptor: its number may be another's by the time we collect it."""
        try:
            self._started.append(os.pidfd_open(pid))
        except OSError:  # it has been collected by somebody else, or there are no descriptors left
            return
        if len(self._started) > _MOST_WATCHED:
            os.close(self._started.pop(0))

    def _reap(self) -> None:
        """Collect those that have ended, without waiting for the others."""
        left = []
        for fd in self._started:
            try:
                ended = os.waitid(os.P_PIDFD, fd, os.WEXITED | os.WNOHANG) is not None
            except ChildProcessError:
                ended = True
            if ended:
                os.close(fd)
            else:
                left.append(fd)
        self._started = left

    def close(self) -> None:
        """Forget those that still run; they go on."""
        self._reap()
        while self._started:
            os.close(self._started.pop())


def command_line(hit: Hit, change: Change) -> list[str]:
    """The words of a trigger's process: its command is shell text, to which the arguments are appended.

    An empty item path is an empty argument (D11).
    """
    text = f'cd -P -- "$0" || exit\n{hit.command} "$@"'
    given = (
        str(change.number), change.dir, hit.key, change.test, change.item, change.state, change.status,
        str(int(change.when)),
    )  # fmt: skip
    return [_SHELL, "-c", text, change.dir, *given]


def environment(env: Mapping[str, str], change: Change) -> dict[str, str]:
    """What a trigger finds in its environment: that of the case, with the names of the test."""
    made = dict(env)
    made["MT_TEST_NAME"], made["MT_ITEMPATH"], made["MT_TEST_RUN_DIR"] = change.test, change.item, change.dir
    if "MT_CMDINFO" in made:
        made["MT_CMDINFO"] = other_letters(made["MT_CMDINFO"])
    made.pop("PWD", None)
    return made


def other_letters(cmdinfo: str) -> str:
    """The same MT_CMDINFO in a form that is not the mark of the case's own processes."""
    try:
        facts = json.loads(binascii.a2b_base64(cmdinfo))
        body = json.dumps({"trigger": True, **facts})
    except (ValueError, TypeError):
        return cmdinfo
    return binascii.b2a_base64(body.encode(), newline=False).decode()


def _appending(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)


def _own_tmp() -> str:
    from mt.team import user_name

    return f"/tmp/{user_name(os.getuid())}"  # noqa: S108 - the place that is documented


def _complain(out: int, text: str) -> None:
    try:
        os.write(out, f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n".encode("utf-8", "surrogateescape"))
    except OSError:
        pass
