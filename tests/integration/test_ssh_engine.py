"""The engine `ssh` with a real sshd on this machine: hosts a, b and c (tests/sshlab.py)."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
import sshlab
from sshlab import SshLab, wait_until

from mt.launchers.base import Argv, Job, Unreadable, Word
from mt.launchers.ssh import ENGINE
from mt.launchers.ssh_scripts import GRACE

#: a job that says when it is there, and then waits for ever
WAITS = "echo ready; exec sleep 600"
#: a job with a child in its group and one in a session of its own; none of the three cares for TERM
STUBBORN = """
trap '' TERM
sleep 600 & echo $! >child
setsid sh -c 'echo $$ >far; exec sleep 600' &
echo $$ >first
while :; do sleep 600; done
"""


class Done(NamedTuple):
    """How a command of the engine ended."""

    status: int
    out: str
    err: str

    def trouble(self) -> tuple[str, bool]:
        """The hint and whether it passes, as a caller finds it; ("", False) for an unknown one."""
        said = self.err + self.out
        return next(((t.hint, t.passing) for t in ENGINE.troubles if re.search(t.pattern, said)), ("", False))


class Desk:
    """Submits, asks and ends jobs of one directory."""

    def __init__(self, lab: SshLab, home: Path) -> None:
        self.lab = lab
        self.home = home
        self.out = home / "out"
        self.out.mkdir(parents=True)
        self.env = {**os.environ, **lab.env}

    def run(self, argv: Argv) -> Done:
        done = subprocess.run(argv, env=self.env, capture_output=True, text=True, timeout=30, check=False)
        return Done(done.returncode, done.stdout, done.stderr)

    def job(self, *command: str, host: str = "a") -> Job:
        return Job("mt-test-1", command, str(self.out), str(self.home), host=host)

    def try_submit(self, *command: str, host: str = "a") -> Done:
        return self.run(ENGINE.submit(self.job(*command, host=host), str(self.home / "job.sh")))

    def submit(self, *command: str, host: str = "a") -> str:
        done = self.try_submit(*command, host=host)
        found = re.search(ENGINE.job_id, done.out, re.MULTILINE)
        assert found, done
        assert done.status == 0
        return found[1]

    def sh(self, script: str, host: str = "a") -> str:
        return self.submit("/bin/sh", "-c", script, host=host)

    def poll(self, *ids: str) -> Mapping[str, Word]:
        words: dict[str, Word] = {}
        for argv in ENGINE.poll("mt-test-1", ids):
            done = self.run(argv)
            assert done.status == 0, done
            words.update(ENGINE.read(done.out))
        return words

    def cancel(self, *ids: str) -> None:
        for argv in ENGINE.cancel(ids):
            done = self.run(argv)
            assert done.status == 0, done

    def printed(self, job: str) -> str:
        host, pid, *_ = job.split(":")
        return (self.out / f"mt-test-1-{host}-{pid}.out").read_text()

    def wait_for(self, name: str) -> int:
        """The pid that a job writes into a file."""
        path = self.home / name
        wait_until(lambda: path.exists() and path.read_text().endswith("\n"), str(path))
        return int(path.read_text())


def pid_of(job: str) -> int:
    return int(job.split(":")[1])


def lives(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


def ends(pids: Sequence[int], seconds: float) -> bool:
    """Whether processes end within some seconds, or have ended."""
    for pid in pids:
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            if lives(pid) and not select.select([fd], [], [], seconds)[0]:
                return False
        finally:
            os.close(fd)
    return True


@pytest.fixture
def desk(sshd: SshLab, tmp_path: Path) -> Desk:
    return Desk(sshd, tmp_path / "a disk")


def test_a_job_runs_apart_from_the_connection_that_started_it(desk: Desk) -> None:
    job = desk.sh('echo "$MT_SSH_JOB"; pwd; echo to stderr >&2; cat; ps -o pid=,pgid=,sid= -p $$; touch there')
    wait_until((desk.home / "there").exists, "the end of a job")
    told, where, error, ids = desk.printed(job).splitlines()
    assert told == job
    assert Path(where) == desk.home
    assert error == "to stderr"
    assert ids.split() == [str(pid_of(job))] * 3


def test_the_words_of_a_job_arrive_as_they_are(desk: Desk) -> None:
    words = ["a b", "it's", '"$HOME"', "back\\slash", "new\nline", "!x", "", "-n", "ä", "%s"]
    say = "import sys; print(sys.argv[1:]); open('there', 'w').close()"
    job = desk.submit(sys.executable, "-c", say, *words)
    wait_until((desk.home / "there").exists, "the end of a job")
    wait_until(lambda: not lives(pid_of(job)), "the end of its process")
    assert desk.printed(job) == f"{words}\n"


def test_signals_that_a_shell_takes_from_its_background_reach_a_job(desk: Desk) -> None:
    say = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler, flush=True)"
    job = desk.submit(sys.executable, "-c", say)
    assert ends([pid_of(job)], 10)
    assert desk.printed(job) == "True\n"


def test_living_jobs_are_listed_and_others_are_not(desk: Desk) -> None:
    first, second, other = desk.sh(WAITS), desk.sh(WAITS), desk.sh(WAITS, host="b")
    running = Word("running", "running", "a")
    assert desk.poll(first, second, other) == {first: running, second: running, other: running._replace(host="b")}
    os.kill(pid_of(first), signal.SIGKILL)
    assert ends([pid_of(first)], 10)
    os.kill(pid_of(second), signal.SIGSTOP)
    wait_until(lambda: desk.poll(first, second) == {second: Word("suspended", "stopped", "a")}, "the stopped job")
    desk.cancel(second, other)
    os.kill(pid_of(second), signal.SIGCONT)
    assert ends([pid_of(second), pid_of(other)], 10)
    assert desk.poll(first, second, other) == {}


def test_the_end_of_the_local_ssh_does_not_end_a_job(desk: Desk) -> None:
    argv = ENGINE.submit(desk.job("/bin/sh", "-c", f"echo $$ >first; {WAITS}"), "")
    with subprocess.Popen(argv, env=desk.env, stdout=subprocess.PIPE, start_new_session=True, text=True) as ssh:
        pid = desk.wait_for("first")
        os.killpg(ssh.pid, signal.SIGKILL)
    desk.lab.cut("a")
    assert lives(pid)
    desk.lab.heal("a")
    job = Path(f"/proc/{pid}/environ").read_text().partition("MT_SSH_JOB=")[2].partition("\0")[0]
    assert job in desk.poll(job)
    desk.cancel(job)
    assert ends([pid], 10)


def test_a_process_that_has_the_number_of_a_job_is_not_the_job(desk: Desk) -> None:
    job = desk.sh(WAITS)
    host, pid, start, boot = job.split(":")
    later = f"{host}:{pid}:{int(start) + 1}:{boot}"
    booted = f"{host}:{pid}:{start}:{int(boot, 16) ^ 1:08x}"
    assert desk.poll(later, booted) == {}
    desk.cancel(later, booted)
    assert not ends([int(pid)], 1)
    assert "not there any more" in desk.run(ENGINE.why(later)).out
    assert "was booted" in desk.run(ENGINE.why(booted)).out
    assert list(desk.poll(job)) == [job]
    desk.cancel(job)
    assert ends([int(pid)], 10)


def test_a_cancelled_job_ends_by_term_when_it_can(desk: Desk) -> None:
    job = desk.sh("trap 'echo told; touch told; exit' TERM; echo $$ >first; sleep 600 & wait")
    desk.wait_for("first")
    desk.cancel(job)
    assert ends([pid_of(job)], GRACE - 0.5)
    assert desk.printed(job) == "told\n"


def test_a_cancelled_job_leaves_nothing_even_if_nobody_cares_for_term(desk: Desk) -> None:
    job = desk.sh(STUBBORN)
    pids = [desk.wait_for(name) for name in ("first", "child", "far")]
    bystander = desk.sh(WAITS)
    desk.cancel(job)
    assert all(map(lives, pids)), "they do not care for TERM"
    assert ends(pids, GRACE + 10)
    assert list(desk.poll(job, bystander)) == [bystander]
    desk.cancel(bystander)


def test_what_a_job_has_left_is_ended_after_its_first_process(desk: Desk) -> None:
    job = desk.sh("trap '' TERM; sleep 600 & echo $! >child; (trap - TERM; exec setsid sleep 600) & echo $! >far")
    pids = [desk.wait_for(name) for name in ("child", "far")]
    assert ends([pid_of(job)], 10)
    assert desk.poll(job) == {}
    desk.cancel(job)
    assert ends(pids[1:], GRACE - 0.5)
    assert ends(pids, GRACE + 10)


def test_a_job_that_has_no_mark_any_more_is_ended_with_its_group(desk: Desk) -> None:
    job = desk.sh("(trap '' TERM; exec env -i /bin/sleep 600) & echo $! >child; trap exit TERM; echo $$ >first; wait")
    pids = [desk.wait_for(name) for name in ("first", "child")]
    wait_until(lambda: Path(f"/proc/{pids[1]}/comm").read_text() == "sleep\n", "the child")
    desk.cancel(job)
    assert ends(pids[:1], 2)
    assert lives(pids[1])
    assert ends(pids, GRACE + 10)


def test_why_shows_the_processes_of_a_job_and_the_end_of_what_it_printed(desk: Desk) -> None:
    job = desk.sh("seq 30; echo $$ >first; sleep 600 & echo $! >child; wait")
    pids = [desk.wait_for(name) for name in ("first", "child")]
    shown = desk.run(ENGINE.why(job)).out
    assert [pid for pid in pids if re.search(rf"^ *{pid} ", shown, re.MULTILINE)] == pids
    assert shown.endswith("\n29\n30\n")
    desk.cancel(job)
    assert ends(pids, 10)
    assert f"process {pids[0]} of a is not there any more" in desk.run(ENGINE.why(job)).out


def test_a_host_that_is_away_tells_nothing_and_is_asked_again_later(desk: Desk) -> None:
    job, other = desk.sh(WAITS), desk.sh(WAITS, host="b")
    desk.lab.cut("a")
    answers = {ENGINE.apart(one): desk.run(ENGINE.poll("", [one])[0]) for one in (job, other)}
    assert answers["a"].status == 255
    assert answers["a"].trouble()[1]
    assert list(ENGINE.read(answers["b"].out)) == [other]
    with pytest.raises(Unreadable):
        ENGINE.read(answers["a"].out)
    refused = desk.try_submit("true")
    assert (refused.status, refused.trouble()[1]) == (255, True)
    desk.lab.heal("a")
    assert list(desk.poll(job)) == [job]
    desk.cancel(job, other)


def test_a_connection_that_is_cut_is_no_answer(desk: Desk) -> None:
    there = desk.lab.home / "there"
    desk.lab.start(forced={"slow": f"echo mt-ssh-host slow 0; touch {there}; exec sleep 600"})
    (argv,) = ENGINE.poll("", ["slow:1:1:0"])
    with subprocess.Popen(argv, env=desk.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as ssh:
        wait_until(there.exists, "the connection")
        desk.lab.cut("slow")
        out, err = ssh.communicate(timeout=30)
    done = Done(ssh.returncode, out, err)
    assert (done.status, done.trouble()[1]) == (255, True)
    with pytest.raises(Unreadable, match="cut off"):
        ENGINE.read(done.out)


def test_a_key_that_is_not_known_is_one_clear_line(desk: Desk) -> None:
    desk.lab.change_key()
    refused = desk.try_submit("true")
    assert refused.status == 255
    assert len(refused.err.splitlines()) == 1
    hint, passing = refused.trouble()
    assert "ssh-add" in hint
    assert not passing


def test_a_host_that_shows_another_key_is_not_trusted(desk: Desk) -> None:
    desk.cancel(desk.sh(WAITS))
    known = desk.lab.home / "known_hosts"
    sshlab.make_key(desk.lab.home / "other")
    known.write_text("a " + (desk.lab.home / "other.pub").read_text())
    refused = desk.try_submit("true")
    assert refused.status == 255
    hint, passing = refused.trouble()
    assert "whether its key is the right one" in hint
    assert not passing


def test_a_name_that_nobody_knows_does_not_pass(desk: Desk) -> None:
    refused = desk.try_submit("true", host="nowhere.invalid")
    assert refused.status == 255
    assert "name" in refused.trouble()[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"out": "/nowhere/out"}, "mt: a: cannot see '/nowhere/out': is the disk shared?"),
        ({"home": "/nowhere"}, "mt: a: cannot enter '/nowhere': is the disk shared?"),
        ({"command": ("/no/python", "-m")}, "mt: a: cannot run '/no/python': command not found"),
    ],
)
def test_a_host_that_cannot_run_a_job_says_why_in_one_line(desk: Desk, change: Mapping[str, object], said: str) -> None:
    refused = desk.run(ENGINE.submit(desk.job("true")._replace(**change), ""))  # type: ignore[arg-type] # by field
    assert (refused.status, refused.err, refused.out.strip()) == (70, f"{said}\n", "")
    assert refused.trouble() == (refused.trouble()[0], False)
    assert refused.trouble()[0]


@pytest.mark.parametrize("shell", ["loud", "csh", "tcsh"])
def test_login_shells_of_all_kinds_will_do(desk: Desk, shell: str) -> None:
    program = shutil.which(shell)
    if shell != "loud" and not program:
        pytest.skip(f"'{shell}' is not installed")
    desk.lab.start(forced={shell: sshlab.as_login(program) if program else sshlab.LOUD})
    job = desk.sh(f"echo it\\'s 'ready!'; {WAITS}", host=shell)
    assert list(desk.poll(job)) == [job]
    wait_until(lambda: desk.printed(job) == "it's ready!\nready\n", "what it prints")
    assert "it's ready!" in desk.run(ENGINE.why(job)).out
    desk.cancel(job)
    assert ends([pid_of(job)], 10)


def test_hundreds_of_jobs_of_a_host_are_asked_for_at_once(desk: Desk) -> None:
    job = desk.sh(WAITS)
    host, pid, start, boot = job.split(":")
    others = [f"{host}:{int(pid) + 1}:{int(start) + n}:{boot}" for n in range(300)]
    assert len(ENGINE.poll("", [*others, job])) == 1
    assert list(desk.poll(*others, job)) == [job]
    desk.cancel(*others, job)
    assert ends([int(pid)], 10)
