"""The fake engines do what their documentation says, seen through the tables of mt.launchers.

What a task does is decided by files in its directory: it runs until `gate` is
there, so nothing here depends on how fast the machine is.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from fakebatch import FakeEngine, Row
from slurmcluster import until

from mt.launchers import engine
from mt.launchers.base import Ask, Engine, Job, Unreadable, Word
from mt.launchers.calling import Answer, call, fits, trouble_of

#: fake engine -> the engine of mt
ENGINES = {"lsf": "lsf", "openpbs": "pbs", "torque": "torque", "sge": "sge", "htcondor": "htcondor"}
#: where an engine takes names for jobs, and where it knows queues and credentials
QUEUED = [name for name in ENGINES if name != "htcondor"]

WAIT = "until test -e gate; do sleep 0.01; done"
#: what a job says of itself: its own id and its task, as the engine sets them
SAY = 'echo "$$ ${%s} ${%s:-}" >>"said.${%s:-x}"; '

NOTHING = Ask()

Make = Callable[[str, Path], FakeEngine]


class Desk:
    """Someone with an engine, who submits jobs of one name and asks for them."""

    def __init__(self, fake: FakeEngine, home: Path) -> None:
        self.fake = fake
        self.engine: Engine = engine(ENGINES[fake.name])
        self.home = home
        self.out = home / "out"
        self.out.mkdir(parents=True)

    def try_submit(
        self, does: str = WAIT, tasks: int = 0, at_once: int = 0, notice: int = 0, ask: Ask = NOTHING
    ) -> Answer:
        task = self.engine.task_number[0]
        say = SAY % (self.engine.own_id[0], task, task)
        command = ("/bin/sh", "-c", f"PATH=/usr/bin:/bin; {say}{does}")
        job = Job("name", command, str(self.out), str(self.home), ask, tasks, at_once, notice)
        script = self.home / "job"
        script.write_text(self.engine.text(job))
        return self.call(self.engine.submit(job, str(script)))

    def submit(self, does: str = WAIT, tasks: int = 0, at_once: int = 0) -> str:
        answer = self.try_submit(does, tasks, at_once)
        found = re.search(self.engine.job_id, answer.out, re.MULTILINE)
        assert answer.status == 0, answer
        assert found, answer
        return found[1]

    def call(self, argv: Sequence[str]) -> Answer:
        return call(argv, seconds=20, env=self.fake.env, cwd=str(self.home))

    def poll(self, *jobs: str) -> list[Answer]:
        return [self.call(argv) for argv in self.engine.poll("name", jobs)]

    def words(self, *jobs: str) -> dict[str, Word]:
        """What the queue says; as mt reads it, a status that means `none of these` is no failure."""
        found: dict[str, Word] = {}
        for answer in self.poll(*jobs):
            assert answer.status == 0 or fits(self.engine.missing or "(?!)", answer), answer
            found |= self.engine.read(answer.out)
        return found

    def end(self, job: str) -> Word | None:
        """What the engine says in the end: its queue, or what it has for the past."""
        word = self.words(job).get(job)
        if word is None and self.engine.past and self.engine.read_past:
            answer = self.call(self.engine.past([job]))
            word = self.engine.read_past(answer.out).get(job)
        return word

    def cancel(self, *jobs: str) -> list[Answer]:
        return [self.call(argv) for argv in self.engine.cancel(jobs)]

    def task(self, array: str, number: int) -> str:
        return self.engine.task(array, number)

    def open_gate(self) -> None:
        (self.home / "gate").touch()

    def running(self, count: int) -> list[Row]:
        """So many tasks run, and have said so."""
        rows = self.fake.until(lambda rows: sum(row.state == "running" for row in rows) == count)
        self.fake.until(lambda _: all(pid in self.pids() for row in rows if row.state == "running" for pid in row.pids))
        return rows

    def over(self) -> list[Row]:
        return self.fake.until(lambda rows: rows and not any(row.state in ("pending", "running") for row in rows))

    def said(self) -> list[tuple[str, str]]:
        """What tasks were told: id and number of the task."""
        lines = [line.split(" ", 2) for path in self.home.glob("said.*") for line in path.read_text().splitlines()]
        return sorted((own, task) for _, own, task in lines)

    def pids(self) -> set[int]:
        return {int(line.split()[0]) for path in self.home.glob("said.*") for line in path.read_text().splitlines()}


@pytest.fixture
def desk_of(fake_engine: Make, tmp_path: Path) -> Callable[[str], Desk]:
    return lambda name: Desk(fake_engine(name, tmp_path), tmp_path / "a desk's place")


@pytest.fixture(params=list(ENGINES))
def desk(request: pytest.FixtureRequest, desk_of: Callable[[str], Desk]) -> Desk:
    return desk_of(request.param)


def lives(pid: int) -> bool:
    """Whether there is such a process, that is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


# -- what works


def test_a_job_runs_in_its_directory_and_its_output_is_where_it_was_asked_for(desk: Desk) -> None:
    job = desk.submit("pwd")
    (row,) = desk.over()
    assert (row.state, row.status) == ("ended", 0)
    (out,) = (path for path in desk.out.iterdir() if path.suffix not in (".err", ".ER"))
    assert str(desk.home) in out.read_text().splitlines()
    assert desk.said() == [(job, desk.said()[0][1])]


def test_a_job_is_queued_then_running_then_done(desk: Desk) -> None:
    desk.fake.set(slots=0)
    job = desk.submit()
    assert desk.words(job)[job].fate == "queued"
    desk.fake.set(slots=1)
    desk.running(1)
    assert desk.words(job)[job][::2] == ("running", os.uname().nodename)
    desk.open_gate()
    desk.over()
    end = desk.end(job)
    assert end and end.fate == "done"


def test_an_exit_status_is_reported_as_a_failure(desk: Desk) -> None:
    job = desk.submit("exit 3")
    (row,) = desk.over()
    assert row.status >> 8 == 3
    end = desk.end(job)
    assert end and end.fate == "failed"


def test_each_task_of_an_array_gets_its_number_once(desk: Desk) -> None:
    array = desk.submit("true", tasks=5)
    desk.over()
    first = desk.engine.task_number[1]
    assert sorted(int(task) for _, task in desk.said()) == [first + n for n in range(5)]
    ends = [desk.end(desk.task(array, n)) for n in range(5)]
    assert [end and end.fate for end in ends] == ["done"] * 5


def test_no_more_tasks_run_at_once_than_were_asked_for(desk: Desk) -> None:
    array = desk.submit(tasks=5, at_once=2)
    desk.running(2)
    words = desk.words(array)
    fates = [words[desk.task(array, n)].fate for n in range(5)]
    assert fates == ["running"] * 2 + ["queued"] * 3
    assert sum(row.state == "running" for row in desk.fake.jobs()) == 2
    desk.open_gate()
    assert {row.status for row in desk.over()} == {0}


def test_jobs_start_in_the_order_of_their_submission(desk: Desk) -> None:
    desk.fake.set(slots=1)
    jobs = [desk.submit() for _ in range(3)]
    desk.running(1)
    words = desk.words(*jobs)
    assert [words[job].fate for job in jobs] == ["running", "queued", "queued"]
    desk.open_gate()
    assert [row.state for row in desk.over()] == ["ended"] * 3


def test_cancelled_jobs_end_and_waiting_ones_never_start(desk: Desk) -> None:
    desk.fake.set(slots=2)
    array = desk.submit(tasks=4)
    desk.running(2)
    assert all(answer.status == 0 for answer in desk.cancel(array))
    rows = desk.over()
    assert [bool(row.pids) for row in rows] == [True, True, False, False]
    assert not any(lives(pid) for row in rows for pid in row.pids)
    end = desk.end(desk.task(array, 0))
    assert end and end.fate == "cancelled"


def test_one_task_of_an_array_is_cancelled_alone(desk: Desk) -> None:
    array = desk.submit(tasks=3)
    desk.running(3)
    desk.cancel(desk.task(array, 1))
    desk.fake.until(lambda rows: [row.state for row in rows] == ["running", "ended", "running"])
    desk.open_gate()
    assert [bool(row.status) for row in desk.over()] == [False, True, False]


def test_a_job_that_does_not_heed_signals_is_killed_with_all_that_it_started(desk: Desk) -> None:
    desk.fake.set(grace=0.05)
    job = desk.submit("trap '' INT TERM USR2; sleep 100 & echo $! >child; wait; while :; do sleep 100; done")
    desk.running(1)
    desk.fake.until(lambda _: (desk.home / "child").exists() and (desk.home / "child").read_text())
    desk.cancel(job)
    (row,) = desk.over()
    assert row.status & 0x7F == signal.SIGKILL
    desk.fake.until(lambda _: not lives(int((desk.home / "child").read_text())))


def test_the_command_that_says_why_and_the_version_work(desk: Desk) -> None:
    desk.fake.set(slots=0)
    job = desk.submit()
    assert "name" in (said := desk.call(desk.engine.why(job))).out or said.out.strip()
    assert desk.call(desk.engine.version).status == 0


def test_what_is_asked_reaches_the_engine(desk: Desk) -> None:
    desk.fake.set(slots=0)
    ask = Ask(cores=2, memory=512 << 20, time=5400.0, queue="short" if desk.fake.name in QUEUED else "", account="proj")
    assert desk.try_submit(ask=ask, notice=60).status == 0
    (row,) = desk.fake.jobs()
    said = {
        "lsf": {"-n": "2", "-M": "512MB", "-W": "1:30", "-q": "short", "-P": "proj"},
        "openpbs": {"-l": "walltime=1:30:00,select=1:ncpus=2:mem=512mb", "-q": "short", "-A": "proj"},
        "torque": {"-l": "walltime=1:30:00,nodes=1:ppn=2,mem=512mb", "-q": "short", "-A": "proj"},
        "sge": {"-pe": "smp 2", "-q": "short", "-P": "proj", "-notify": ""},
        "htcondor": {"request_cpus": "2", "request_memory": "512M", "accounting_group": "proj"},
    }[desk.fake.name]
    assert {key: row.spec["options"].get(key, "").replace("=01:", "=1:") for key in said} == said


# -- what goes wrong


def test_an_engine_that_is_away_is_a_passing_trouble_for_every_command(desk: Desk) -> None:
    job = desk.submit()
    desk.running(1)
    desk.fake.set(away=True)
    for answer in (desk.try_submit(), *desk.poll(job), *desk.cancel(job)):
        assert answer.status != 0
        trouble = trouble_of(desk.engine, answer)
        assert trouble and trouble.passing, answer
    desk.fake.set(away=None)
    assert desk.words(job)[job].fate == "running"


def test_an_expired_credential_is_told_from_an_engine_that_is_away(desk: Desk) -> None:
    desk.fake.set(expired=True)
    for answer in (desk.try_submit(), *desk.poll("101")):
        assert answer.status != 0
        trouble = trouble_of(desk.engine, answer)
        assert trouble and "credential" in trouble.hint, answer
    assert not desk.fake.jobs()


@pytest.mark.parametrize("name", QUEUED)
def test_an_unknown_queue_is_refused_with_a_hint(name: str, desk_of: Callable[[str], Desk]) -> None:
    desk = desk_of(name)
    answer = desk.try_submit(ask=Ask(queue="nowhere"))
    trouble = trouble_of(desk.engine, answer)
    assert answer.status != 0
    assert trouble and not trouble.passing and "queue" in trouble.hint, answer


def test_a_refused_submission_says_why(desk: Desk) -> None:
    desk.fake.set(refuse="the moon is full")
    answer = desk.try_submit()
    assert answer.status != 0 and "the moon is full" in answer.err
    assert not desk.fake.jobs()


def test_a_swallowed_job_has_an_id_and_is_nowhere(desk: Desk) -> None:
    desk.fake.set(swallow=True)
    job = desk.submit()
    assert desk.end(job) is None
    assert not desk.fake.jobs()


def test_garbage_is_unreadable_or_tells_of_no_job(desk: Desk) -> None:
    job = desk.submit()
    desk.running(1)
    desk.fake.set(garbage="\x1b]0;x<<<{{[ 1|2\n|||")
    for answer in desk.poll(job):
        with pytest.raises(Unreadable):
            desk.engine.read(answer.out)


def test_the_reason_why_a_job_waits_is_told(desk: Desk) -> None:
    desk.fake.set(pend="the licence is out")
    job = desk.submit()
    assert desk.words(job)[job].fate == "queued"
    assert "the licence is out" in desk.call(desk.engine.why(job)).out + desk.words(job)[job].said


def test_a_held_job_waits_in_the_words_for_that(desk: Desk) -> None:
    desk.fake.set(hold="somebody holds it")
    job = desk.submit()
    assert desk.words(job)[job].fate == "held"
    desk.fake.set(hold=None)
    desk.running(1)


def test_a_suspended_job_is_stopped_until_it_may_go_on(desk: Desk) -> None:
    os.mkfifo(desk.home / "pipe")  # a shell that starts commands may be caught in vfork, which is another state
    job = desk.submit("read line <pipe")
    (row,) = desk.running(1)
    stat = Path(f"/proc/{row.pids[0]}/stat")
    desk.fake.set(suspend=True)
    assert desk.words(job)[job].fate == "suspended"
    desk.fake.until(lambda _: stat.read_text().rpartition(") ")[2][0] == "T")
    desk.fake.set(suspend=None)
    (desk.home / "pipe").write_text("go on\n")
    assert [row.status for row in desk.over()] == [0]


def test_a_lost_job_is_killed_and_the_engine_has_never_heard_of_it(desk: Desk) -> None:
    job = desk.submit()
    (row,) = desk.running(1)
    desk.fake.set(lose=row.id)
    desk.fake.until(lambda _: not lives(row.pids[0]))
    assert desk.end(job) is None
    assert [row.state for row in desk.fake.jobs()] == ["gone"]


def test_a_task_may_run_twice_at_once_under_one_id(desk: Desk) -> None:
    desk.fake.set(twice=True)
    job = desk.submit()
    (row,) = desk.running(1)
    assert len(row.pids) == 2 and all(map(lives, row.pids))
    assert [own for own, _ in desk.said()] == [job, job]
    desk.open_gate()
    desk.over()


def test_a_requeued_job_runs_again_under_the_same_id(desk: Desk) -> None:
    job = desk.submit()
    (before,) = desk.running(1)
    desk.fake.set(requeue="all")
    (after,) = desk.fake.until(lambda rows: len(rows[0].pids) == 2 and rows[0].state == "running")
    assert after.pids[0] == before.pids[0] and not lives(before.pids[0])
    desk.fake.until(lambda _: after.pids[1] in desk.pids())
    assert [own for own, _ in desk.said()] == [job, job]
    assert desk.words(job)[job].fate == "running"


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(
    ("word", "fates"),
    [
        ("memory", {"out-of-memory"}),
        ("time", {"time-limit"}),
        ("node", {"node-failed", "failed", "queued"}),
        ("preempted", {"preempted", "queued"}),
    ],
)
def test_the_engines_word_for_an_end(name: str, word: str, fates: set[str], desk_of: Callable[[str], Desk]) -> None:
    """Engines that run a job again by themselves have it in the queue."""
    desk = desk_of(name)
    job = desk.submit()
    desk.running(1)
    desk.fake.set(end_word=word, pend="full", end="all")
    desk.fake.until(lambda rows: rows[0].state in ("ended", "pending"))
    end = desk.end(job)
    # Grid Engine says the same of a job over its memory and of one that was deleted
    assert end and end.fate in (fates | {"cancelled"} if (name, word) == ("sge", "memory") else fates)


def test_slow_commands_are_given_up(desk: Desk) -> None:
    desk.fake.set(slow=30)
    (argv, *_) = desk.engine.poll("name", ["101"])
    answer = call(argv, seconds=0.2, env=desk.fake.env)
    assert answer.status != 0
    trouble = trouble_of(desk.engine, answer)
    assert trouble and trouble.passing


def test_nothing_is_left_when_a_test_has_ended(fake_engine: Make, tmp_path: Path) -> None:
    desk = Desk(FakeEngine("lsf", tmp_path / "own"), tmp_path / "desk")
    desk.submit("setsid sleep 100 & echo $! >child; sleep 100", tasks=3)
    rows = desk.running(3)
    child = desk.home / "child"
    desk.fake.until(lambda _: child.exists() and child.read_text())
    desk.fake.close()
    assert not any(lives(pid) for pid in [*(pid for row in rows for pid in row.pids), int(child.read_text())])


# -- what one engine has and others have not


def run(desk: Desk, text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        shlex.split(text), env=desk.fake.env, cwd=desk.home, capture_output=True, text=True, timeout=20
    )


def ended_job(desk: Desk) -> str:
    job = desk.submit("true")
    desk.over()
    return job


def test_lsf_keeps_ended_jobs_in_bjobs_but_does_not_count_them_as_unfinished(desk_of: Callable[[str], Desk]) -> None:
    desk = desk_of("lsf")
    job = ended_job(desk)
    assert (answer := run(desk, "bjobs")).returncode == 255 and answer.stderr == "No unfinished job found\n"
    assert " DONE " in run(desk, "bjobs -a").stdout and " DONE " in run(desk, f"bjobs {job}").stdout
    assert run(desk, f"bkill {job}").stderr == f"Job <{job}>: Job has already finished\n"
    assert (answer := run(desk, "bjobs 999")).returncode == 255 and answer.stderr == "Job <999> is not found\n"
    assert "Done successfully" in run(desk, f"bhist -l {job}").stdout
    assert desk.engine.read_past and desk.engine.past
    assert desk.engine.read_past(desk.call(desk.engine.past([job])).out)[job].fate == "done"


def test_lsf_counts_tasks_from_one_and_writes_a_report_above_the_output(desk_of: Callable[[str], Desk]) -> None:
    desk = desk_of("lsf")
    assert run(desk, 'bsub -J "n[0-3]" true').returncode == 255
    ended_job(desk)
    (out,) = desk.out.iterdir()
    assert out.read_text().startswith("Sender: LSF System")


def test_openpbs_shows_ended_jobs_only_with_x(desk_of: Callable[[str], Desk]) -> None:
    desk = desk_of("openpbs")
    job = ended_job(desk)
    answer = run(desk, f"qstat {job}")
    assert answer.returncode == 35 and "Job has finished, use -x" in answer.stderr
    assert run(desk, "qstat").stdout == ""
    assert "job_state = F" in run(desk, f"qstat -xf {job}").stdout
    assert (answer := run(desk, "qstat 999")).returncode == 153 and answer.stderr == "qstat: Unknown Job Id 999.pbs\n"


def test_openpbs_jobs_begin_at_home_without_the_submitters_environment(desk_of: Callable[[str], Desk]) -> None:
    desk = desk_of("openpbs")
    script = f"pwd >{shlex.quote(str(desk.home / 'where'))}; env >{shlex.quote(str(desk.home / 'env'))}\n"
    (desk.home / "s").write_text(script)
    desk.fake.own["ONLY_HERE"] = "1"
    assert run(desk, "qsub s").returncode == 0
    desk.over()
    assert (desk.home / "where").read_text().strip() == os.path.realpath(os.environ["HOME"])
    assert "ONLY_HERE" not in (desk.home / "env").read_text()


def test_torque_keeps_ended_jobs_as_c(desk_of: Callable[[str], Desk]) -> None:
    desk = desk_of("torque")
    job = ended_job(desk)
    assert f"{job}" in (shown := run(desk, "qstat").stdout) and " C batch" in shown
    assert "exit_status = 0" in run(desk, f"qstat -f {job}").stdout


def test_grid_engine_drops_ended_jobs_and_accounting_has_them(desk_of: Callable[[str], Desk]) -> None:
    desk = desk_of("sge")
    job = ended_job(desk)
    assert run(desk, "qstat").stdout == ""
    assert (answer := run(desk, f"qstat -j {job}")).returncode == 1 and "do not exist" in answer.stderr
    assert "exit_status  0" in run(desk, f"qacct -j {job}").stdout
    assert run(desk, "qacct -j 999").stderr == "error: job id 999 not found\n"
    assert run(desk, f"qdel {job}").returncode == 1


def test_grid_engine_gives_notice_before_it_kills_however_short_the_job(desk_of: Callable[[str], Desk]) -> None:
    desk = desk_of("sge")
    desk.fake.set(grace=20)
    (desk.home / "waits.py").write_text(  # what a shell ignores another one below it cannot trap; a pilot can
        "import pathlib, signal\n"
        "signal.signal(signal.SIGUSR2, lambda *_: pathlib.Path('noticed').touch())\n"
        "pathlib.Path('ready').touch()\n"
        "signal.pause()\n"
    )
    job = desk.submit(f"exec {sys.executable} waits.py")
    until(lambda: (desk.home / "ready").exists(), 20, "it is ready")
    desk.cancel(job)
    desk.over()
    assert (desk.home / "noticed").exists()


def test_htcondor_moves_ended_jobs_to_its_history(desk_of: Callable[[str], Desk]) -> None:
    desk = desk_of("htcondor")
    job = ended_job(desk)
    assert run(desk, "condor_q -json").stdout == "[\n]\n"
    assert run(desk, f"condor_history {job} -af JobStatus ExitCode RemoveReason").stdout == "4 0 undefined\n"
    assert run(desk, f"condor_rm {job}").stderr == f"Couldn't find/remove all jobs in cluster {job}\n"


def test_htcondor_does_not_know_processes_that_have_not_come_into_being(desk_of: Callable[[str], Desk]) -> None:
    desk = desk_of("htcondor")
    array = desk.submit(tasks=4, at_once=1)
    desk.running(1)
    assert run(desk, "condor_q -af ProcId").stdout == "0\n"
    assert run(desk, f"condor_rm {array}.3").returncode == 1
    assert run(desk, f"condor_rm {array}").returncode == 0
    desk.over()
    assert run(desk, "condor_history -af ProcId JobStatus").stdout == "0 3\n"
