"""Start actors in an area, hurt them at random for a while, let everything come to rest, and have it proved.

The seed decides about faults and moments; what the machine does in between it
does not, so a seed repeats a kind of weather rather than a day.  Whoever is hit
is written to `faults` *before* it is hit, with host, pid and start, and the
proof believes a lock to be free only from then on.

    python tests/mayhem/storm.py AREA EVIDENCE SEED SECONDS CASES      a storm of this machine alone, without the proof
"""

from __future__ import annotations

import heapq
import json
import os
import random
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from testarea import TARGET, Area, clean_env

from mayhem.hosts import Lab, parent_of
from mayhem.proof import Process, Report, Wrong, state_of

BIN = Path(sys.executable).parent
HERE = Path(__file__).resolve().parent
RAW = f"{TARGET}//raw//byhand"

#: who is killed alone; the death of a step is its case's failure, and rightly so
VICTIMS = ("controller", "worker", "ask", "value", "write", "set", "watch", "stat", "pack")

#: seconds that a lease lasts without a sign, in areas on disks without locks: longer than anybody is stopped
LEASE = 12

#: one execution leaves a file when it begins and one at its end; some measure, a few take longer
STEP = """\
#!/bin/bash
info=$(base64 -d <<<"$MT_CMDINFO")
attempt=${info#*\\"attempt\\": }
attempt=${attempt%%,*}
mark=$CHAOS/marks/$MT_RUNNAME,$N,$attempt,$HOSTNAME,$$
: >"$mark.begin" || exit 1
case $N in
*3 | *7)
    token=tok:$HOSTNAME-$$-$RANDOM$RANDOM:$N
    mt value told=$token && echo "$token" >>"$CHAOS/$HOSTNAME-$$-$RANDOM$RANDOM.acks" ;;
*5) sleep 0.5 ;;
*) sleep 0.0$((RANDOM % 9)) ;;
esac
: >"$mark.end"
"""


class Weather(NamedTuple):
    """How much of what: `where` are the places (words before a command) of the actors, by host name."""

    seed: int
    seconds: float
    cases: int = 30
    writers: int = 2
    lines: int = 2  # runs that are driven at the same time, each by two controllers, and one by the old command
    slots: int = 2
    patience: float = 40.0  # seconds that a controller may take to end when all is calm
    pace: float = 0.15  # seconds between two faults, in the mean
    faults: tuple[str, ...] = ("kill", "kill", "kill", "team", "stop")


class Place(NamedTuple):
    """Where an actor runs: the name of the host, the words before a command there, and the area as it is seen there."""

    host: str
    before: tuple[str, ...]
    area: Path


class Line:
    """A sequence of runs: when one is over the next begins."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.number = 1

    @property
    def run(self) -> str:
        return f"{self.name}.{self.number}"

    def over(self, run: str) -> None:
        """A controller of this run came to its end; the others may still be at it."""
        if run == self.run:
            self.number += 1


class Actor:
    """A process that is started again whenever it ends."""

    def __init__(self, name: str, place: Place, words: Callable[[], Sequence[str]], line: Line | None = None) -> None:
        self.name = name
        self.place = place
        self.words = words
        self.line = line
        self.run = ""
        self.process: subprocess.Popen[bytes] | None = None


class Being(NamedTuple):
    """A process that may be hit: the machine's pid, what it does, and who it is for the trace."""

    pid: int
    kind: str
    who: Process


def prepare(area: Area, evidence: Path, cases: int, place: Place | None = None) -> None:
    """The tests of the area, its store made at a place, the run of the writers, and the directory of what is said."""
    (evidence / "marks").mkdir(parents=True)
    area({"step": STEP})
    area.test("t", "$MT_RUN_AREA_HOME/step", items={"N": " ".join(map(str, range(cases)))})
    before, home = (place.before, place.area) if place else ((), area.home)
    words = [*before, sys.executable, str(HERE / "actors.py"), "begin", str(home), str(LEASE)]
    subprocess.run(words, check=True, env=area.env)


class Storm:
    """Actors and faults in one area; `play` is all of it, `env` the environment of a new login."""

    def __init__(
        self, env: Mapping[str, str], evidence: Path, weather: Weather, places: Sequence[Place],
        lab: Lab | None = None, keep: Sequence[Path] = (),
    ) -> None:  # fmt: skip
        self.env = env
        self.evidence = evidence
        self.weather = weather
        self.places = places
        self.lab = lab
        self.keep = keep
        self.draw = random.Random(weather.seed)
        self.later: list[tuple[float, int, Callable[[], None]]] = []
        self.asleep: set[str] = set()  # hosts that are down
        self.odd: list[Wrong] = []
        self.allowed = {0, 4, 5, 8, -9, 137}  # how a controller may end while it storms
        self.lines = [Line(f"r{n}") for n in range(weather.lines)]
        self.actors = list(self._cast())
        self.blows: dict[str, Callable[[], None]] = {
            "kill": self.kill_one, "team": self.kill_team, "stop": self.stop_one,
            "crash": self.crash_host, "pause": self.pause_host,
        }  # fmt: skip

    # --- who plays ---

    def _cast(self) -> Iterator[Actor]:
        places = [self.places[n % len(self.places)] for n in range(100)]
        script = str(HERE / "actors.py")
        kinds = [*["write"] * self.weather.writers, "set", "watch", "watch", "stat", "pack"]
        for n, kind in enumerate(kinds):
            yield self._player(f"{kind}{n}", places[n], kind, script)
        for n, line in enumerate(line for line in self.lines for _ in "ab"):
            yield self._controller(f"run{n}", places[n], line, old=False)
        old = Line("old")
        self.lines.append(old)
        yield self._controller("old", places[len(self.lines) * 2], old, old=True)

    def _player(self, name: str, place: Place, kind: str, script: str) -> Actor:
        ending = {"write": "acks", "set": "acks", "watch": "seen"}.get(kind, "said")
        about = {"write": "1", "pack": "1", "set": RAW}.get(kind, "%")
        file = str(self.evidence / f"{name}.{ending}")
        return Actor(name, place, lambda: [sys.executable, script, kind, str(place.area), about, file])

    def _controller(self, name: str, place: Place, line: Line, *, old: bool) -> Actor:
        return Actor(name, place, lambda: self.driving(line.run, old=old), line)

    def driving(self, run: str, *, old: bool = False) -> list[str]:
        """The command that drives a run."""
        if old:
            return [str(BIN / "megatest"), "-run", "-target", TARGET, "-runname", run, "-testpatt", "%"]
        return [str(BIN / "mt"), "run", "-q", "-j", str(self.weather.slots), "-t", TARGET, "-r", run]

    def start(self, actor: Actor) -> None:
        """Start it, on its host and in its area; its stderr is kept."""
        if actor.line:
            actor.run = actor.line.run
        place = actor.place
        trace = self.evidence / f"{place.host}.trace"
        env = {**self.env, "CHAOS": str(self.evidence), "CHAOS_HOST": place.host, "MT_TRACE": str(trace)}
        words = [*place.before, "env", "-C", str(place.area), *actor.words()]
        with open(self.evidence / f"{actor.name}.err", "ab") as err:
            actor.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err, env=env, start_new_session=True
            )

    def tend(self) -> None:
        """Start again who has ended; a run that is over is followed by the next of its line."""
        for actor in self.actors:
            if actor.process is None or actor.process.poll() is not None:
                self.judge(actor)
                if actor.place.host not in self.asleep:
                    self.start(actor)

    def judge(self, actor: Actor) -> None:
        """What the end of a process says: a controller ends as it may, others only when they are killed."""
        if actor.process is None:
            return
        status, actor.process = actor.process.returncode, None
        if actor.line and status == 0:
            actor.line.over(actor.run)
        if status not in (self.allowed if actor.line else (-9, 137)):
            self.odd.append(Wrong("ending", f"{actor.name} {actor.run} ended with {status}"))

    # --- who is hit ---

    def beings(self) -> list[Being]:
        """All processes that this storm has started, directly or not."""
        here = f"CHAOS={self.evidence}".encode()
        found = []
        for word in os.listdir("/proc"):
            if word.isdigit():
                with suppress(OSError, ValueError, IndexError):
                    env = Path(f"/proc/{word}/environ").read_bytes().split(b"\0")
                    if here in env and (kind := kind_of(int(word))):
                        host = next(v[11:] for v in env if v.startswith(b"CHAOS_HOST=")).decode()
                        found.append(Being(int(word), kind, identity(int(word), host)))
        return sorted(found)

    def pick(self, *kinds: str) -> Being | None:
        """One of the processes of these kinds, of any kind when none is named."""
        beings = [b for b in self.beings() if b.kind in kinds or not kinds]
        groups = sorted({b.kind for b in beings})
        if not groups:
            return None
        kind = self.draw.choice(groups)
        return self.draw.choice([b for b in beings if b.kind == kind])

    def strike(self, what: str, victims: Sequence[Being]) -> None:
        """Note whom we kill, then do it."""
        self.note(what, killed=[list(b.who) for b in victims])
        for being in victims:
            with suppress(OSError):
                if identity(being.pid, being.who.host) == being.who:
                    os.kill(being.pid, signal.SIGKILL)

    def note(self, what: str, *, counts: int = 1, **more: object) -> None:
        """One line of the fault log."""
        row = {"t": round(time.time(), 6), "what": what, "counts": counts, **more}
        with open(self.evidence / f"faults.{os.uname().nodename}", "a", encoding="utf-8") as f:
            f.write(json.dumps(row) + "\n")

    def kill_one(self) -> None:
        being = self.pick(*VICTIMS)
        if being:
            self.strike(f"kill {being.kind}", [being])

    def kill_team(self) -> None:
        """A controller and all below it, in any order, but steps last: a worker that saw one die calls it a failure."""
        being = self.pick("controller")
        if being:
            team = below(being.pid)
            victims = [b for b in self.beings() if b.pid in team]
            self.draw.shuffle(victims)
            victims.sort(key=lambda b: b.kind not in ("controller", "worker"))
            self.strike("kill team", victims)

    def stop_one(self) -> None:
        being = self.pick()
        if being:
            self.note(f"stop {being.kind}")
            with suppress(ProcessLookupError):
                os.kill(being.pid, signal.SIGSTOP)
            self.at(0.1 + self.draw.random() * 2, lambda: go_on(being))

    def crash_host(self) -> None:
        """Power off a host, and on again after a while."""
        lab = self.lab
        names = sorted({p.host for p in self.places} - self.asleep)
        if not lab or len(names) < 2:
            return
        name = self.draw.choice(names)
        self.asleep.add(name)
        lab.pause(name)
        victims = [b for b in self.beings() if b.who.host == name]
        self.note(f"crash {name}", killed=[list(b.who) for b in victims])
        lab.crash(name)
        self.at(0.5 + self.draw.random() * 2, lambda: self.wake_host(name))

    def wake_host(self, name: str) -> None:
        if self.lab and name in self.asleep:
            self.lab.up(name, keep=self.keep)
            before = tuple(self.lab.on(name))
            for actor in self.actors:
                if actor.place.host == name:
                    actor.place = actor.place._replace(before=before)
            self.places = [p._replace(before=before) if p.host == name else p for p in self.places]
            self.asleep.discard(name)

    def pause_host(self) -> None:
        """A host that hangs for a while."""
        lab = self.lab
        names = sorted({p.host for p in self.places} - self.asleep)
        if lab and names:
            name = self.draw.choice(names)
            self.note(f"pause {name}")
            lab.pause(name)
            self.at(0.2 + self.draw.random() * 2, lambda: lab.resume(name))

    def at(self, seconds: float, what: Callable[[], None]) -> None:
        """Do something later."""
        heapq.heappush(self.later, (time.monotonic() + seconds, len(self.later) + self.draw.randrange(1 << 30), what))

    def due(self, *, everything: bool = False) -> None:
        """Do what is due."""
        while self.later and (everything or self.later[0][0] <= time.monotonic()):
            heapq.heappop(self.later)[2]()

    # --- the play ---

    def play(self, prover: Callable[[], Report]) -> Report:
        """Storm, rest, proof."""
        self.blow()
        report = prover()
        return report._replace(wrongs=[*self.odd, *report.wrongs])

    def blow(self) -> None:
        """Storm, and rest."""
        end = time.monotonic() + self.weather.seconds
        with self.cleaned():
            while time.monotonic() < end:
                self.tend()
                self.due()
                select.select([], [], [], self.draw.expovariate(1 / self.weather.pace))
                self.blows[self.draw.choice(self.weather.faults)]()
            self.calm()
            self.finish()
        print(f"stormed {self.weather.seconds:.0f} s, at rest after {time.monotonic() - end:.1f} s more", flush=True)

    @contextmanager
    def cleaned(self) -> Iterator[None]:
        """Whatever happens, nothing of the storm lives after it."""
        try:
            yield
        finally:
            self.due(everything=True)
            for being in self.beings():
                with suppress(ProcessLookupError):
                    os.kill(being.pid, signal.SIGKILL)
            for actor in self.actors:
                if actor.process:
                    actor.process.kill()
                    actor.process.wait(30)

    def calm(self) -> None:
        """No more faults: everybody goes on, actors that never end are ended, controllers come to their end."""
        self.due(everything=True)
        actors = {"write", "set", "watch", "stat", "pack", "ask"}
        while victims := [b for b in self.beings() if b.kind in actors]:
            self.strike("end", victims) if victims else None
            for actor in self.actors:
                if actor.process and not actor.line:
                    self.ended(actor, 30)
        for actor in self.actors:
            if actor.process and actor.line:
                self.ended(actor, self.weather.patience)

    def ended(self, actor: Actor, patience: float) -> None:
        """Wait for the end of a process; one that does not end is a wrong."""
        assert actor.process
        try:
            actor.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.odd.append(Wrong("hang", f"{actor.name} {actor.run} does not end: {self.portrait()}"))
            actor.process.kill()
            actor.process.wait(30)
        self.judge(actor)

    def portrait(self) -> str:
        """What lives, and in which state."""
        return "; ".join(f"{b.pid} {b.kind} {state_of(b.pid)} on {b.who.host}" for b in self.beings())

    def finish(self) -> None:
        """Drive every run that was begun to its end, by the same command, two at a time."""
        todo = [f"{line.name}.{n}" for line in self.lines for n in range(1, line.number + 1)]
        tries: dict[str, list[int]] = {run: [] for run in todo}
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda run: self.drive_on(run, tries[run]), todo))
        for run, statuses in tries.items():
            if 0 not in statuses:
                self.odd.append(Wrong("ending", f"{run} comes to no good end: {statuses}"))

    def drive_on(self, run: str, statuses: list[int]) -> None:
        """Give the command again until it says that all is good."""
        actor = Actor(f"finish-{run}", self.places[0], lambda: self.driving(run))
        while len(statuses) < 10 and 0 not in statuses:
            self.start(actor)
            assert actor.process
            try:
                statuses.append(actor.process.wait(self.weather.patience + 20))
            except subprocess.TimeoutExpired:
                self.odd.append(Wrong("hang", f"{run} does not end: {self.portrait()}"))
                return


def go_on(being: Being) -> None:
    """Let a stopped process continue, if it is still the same."""
    with suppress(OSError):
        if identity(being.pid, being.who.host) == being.who:
            os.kill(being.pid, signal.SIGCONT)
            above = parent_of(being.pid)
            if words_of(above)[:1] == ["nsenter"]:
                os.kill(above, signal.SIGCONT)


def identity(pid: int, host: str) -> Process:
    """Who a process is in its own pid namespace; raises OSError when it is gone."""
    status = Path(f"/proc/{pid}/status").read_text()
    inner = int(re.search(r"^NSpid:.*?(\d+)$", status, re.M)[1])  # type: ignore[index]
    stat = Path(f"/proc/{pid}/stat").read_text()
    return Process(host, inner, int(stat[stat.rindex(")") :].split()[20]))


def words_of(pid: int) -> list[str]:
    """The command line of a process."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]


def kind_of(pid: int) -> str:
    """What a process of the storm does; empty for one that is not to be hit."""
    words = words_of(pid)
    if not words or os.path.basename(words[0]) in ("nsenter", "setpriv", "env") or state_of(pid) == "Z":
        return ""
    if any(w.endswith("actors.py") for w in words[1:2]):
        return words[2]
    if drives(words):
        with suppress(OSError):
            return "worker" if drives(words_of(parent_of(pid))) else "controller"
        return "controller"
    if len(words) > 1 and words[1] == str(BIN / "mt"):
        return "value" if words[2] == "value" else "ask"
    return "step"


def drives(words: Sequence[str]) -> bool:
    """Whether this is a command that drives a run, or a worker that was forked from it."""
    return words[1:3] in ([str(BIN / "mt"), "run"], [str(BIN / "megatest"), "-run"])


def below(pid: int) -> set[int]:
    """A process and all of its descendants."""
    found = {pid}
    todo = [pid]
    while todo:
        with suppress(OSError):
            at = todo[-1]
            for word in Path(f"/proc/{todo.pop()}/task/{at}/children").read_text().split():
                found.add(int(word))
                todo.append(int(word))
    return found


def main(words: list[str]) -> int:
    """Storm in an area that is prepared, and print what was odd as JSON."""
    area, evidence, seed, seconds, cases = words
    (Path(evidence) / "marks").mkdir(parents=True, exist_ok=True)
    weather = Weather(int(seed), float(seconds), int(cases), lines=1, writers=1, pace=1.0, patience=240)
    env = clean_env(Path(evidence) / "home") | {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    storm = Storm(env, Path(evidence), weather, [Place(os.uname().nodename, (), Path(area))])
    storm.blow()
    print(json.dumps(storm.odd))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
