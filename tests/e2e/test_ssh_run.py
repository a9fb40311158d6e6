"""`mt run` on hosts by ssh: as here, whatever becomes of the hosts and of the way to them."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from onfakes import OnHosts, ended, heard
from onslurm import clear
from slurmcluster import until
from sshlab import SshLab
from testarea import Area

#: the exit status of a run whose machines alone are to blame
ONLY_INFRA = 8


@pytest.fixture
def on(area: Area, sshd: SshLab) -> OnHosts:
    """An area that reaches hosts a, b and c."""
    return OnHosts(area, sshd)


def hosts_of(on: OnHosts) -> set[str]:
    """The hosts that had cases."""
    return {str(row["job"]).split(":")[1] for row in on.rows() if row["job"]}


# -- the same as here


def test_every_way_comes_to_what_a_run_here_comes_to(on: OnHosts) -> None:
    on.cases("base").cases("spread", "a b c", waiton="base")
    on.cases("bad", "x y", waiton="base", do='[ "$N" = x ]')
    on.cases("asks", waiton="spread", more="[requirements]\ncores 2\nmemory 100M\ntime 5m\n")
    assert on.run(launcher="local", run="here").status == 1
    want, noted = on.outcome("here"), on.noted()
    assert {status for _, status in want.values()} == {"PASS", "FAIL"}, want
    for way in ("job", "array", "pilot", "auto"):
        on.notes.write_text("")
        done = on.run(launcher=f"{on.launcher} submit={way}", run=way)
        assert (done.status, on.outcome(way)) == (1, want), (way, done)
        assert on.noted() == noted, way
        assert all(str(r["job"]).startswith("ssh:") and r["host"] and r["queued"] >= 0 for r in on.rows(way)), way
    on.area.ok("db", "check")
    on.at_rest()


@pytest.mark.parametrize("way", ["job", pytest.param("pilot", marks=pytest.mark.slow)])
def test_no_host_has_more_jobs_than_slots(on: OnHosts, way: str) -> None:
    on.cases("one", "a b c d e f", do=on.hold)
    with on.started(*on.command(launcher=f"{on.launcher} submit={way}")) as run:
        on.wait_noted("begin", 4)
        on.wait_states(4, "RUNNING")
        jobs = {row["job"] for row in on.rows() if row["state"] == "RUNNING"}
        assert sorted(job.split(":")[1] for job in jobs) == ["a", "a", "b", "b"]
        on.go()
        status, err = ended(run)
    assert status == 0, err
    on.proper()


@pytest.mark.parametrize("way", [pytest.param("job", marks=pytest.mark.slow), "pilot"])
def test_slots_are_shared_by_all_kinds_of_cases_and_soon_free(on: OnHosts, way: str) -> None:
    alone = f"mkdir {on.home}/alone && sleep 0.2 && rmdir {on.home}/alone"
    on.cases("one", "a b c", do=alone).cases("two", "a b", do=alone, more="[requirements]\ncores 2\n")
    done = on.run(launcher=f"ssh hosts=a:1 idle=1h submit={way}", timeout=50)
    assert done.status == 0, done
    on.proper()


# -- hosts that are away


@pytest.mark.parametrize("way", [pytest.param("job", marks=pytest.mark.slow), "pilot"])
def test_other_hosts_do_the_work_of_one_that_is_away(on: OnHosts, way: str) -> None:
    on.lab.cut("a")
    on.cases("one", "a b c d e").cases("two", waiton="one")
    done = on.run(launcher=f"{on.launcher} submit={way}")
    assert done.status == 0, done
    (line,) = [line for line in clear(done).splitlines() if "again" in line]
    assert "ssh on a" in line and "refused" in line
    assert hosts_of(on) == {"b"}
    on.proper()


def test_cases_wait_until_a_host_is_there(on: OnHosts) -> None:
    on.lab.cut("a")
    on.cases("one", "a b")
    with on.started(*on.command(launcher="ssh hosts=a:2 lost=0 poll=0.2s..0.5s")) as run:
        heard(run, "again")
        on.wait_states(2, "LAUNCHED")
        on.lab.heal("a")
        status, err = ended(run)
    assert status == 0, err
    on.proper()


def test_cases_on_a_host_that_is_cut_off_end_all_the_same(on: OnHosts) -> None:
    on.cases("one", "a b c d", do=on.hold).cases("two", "a b", waiton="one")
    with on.started(*on.command()) as run:
        on.wait_noted("begin", 4)
        on.wait_states(4, "RUNNING")
        on.lab.cut("a")
        on.go()
        until(lambda: sum(on.noted().values()) == 6, 60, "all end")
        on.lab.heal("a")
        status, err = ended(run)
    assert status == 0, err
    on.proper()
    assert set(on.noted("begin").values()) == {1}


def test_a_host_that_does_not_exist_is_told_once_and_left_out(on: OnHosts) -> None:
    on.cases("one", "a b c")
    done = on.run(launcher="ssh hosts=nosuch.invalid:4,b:2 poll=0.2s..0.5s")
    assert done.status == 0, done
    (line,) = [line for line in clear(done).splitlines() if "nosuch.invalid" in line]
    assert "ssh on nosuch.invalid" in line and "resolve" in line
    assert hosts_of(on) == {"b"}
    on.proper()


# -- what is refused


@pytest.mark.parametrize("way", ["job", pytest.param("pilot", marks=pytest.mark.slow)])
def test_a_key_that_is_not_accepted_is_told_in_one_line(on: OnHosts, way: str) -> None:
    on.cases("one", "a b")
    on.lab.change_key()
    done = on.run(launcher=f"{on.launcher} submit={way}")
    assert done.status == ONLY_INFRA, done
    (line,) = [line for line in clear(done).splitlines() if "did not take a job" in line]
    assert "Permission denied" in line or "permission denied" in line, line
    assert {row["status"] for row in on.rows()} == {"INFRA"}
    on.lab.start()
    assert on.run(launcher=f"{on.launcher} submit={way}").status == 0
    on.proper()


def test_a_python_that_is_not_there_is_told_in_one_line(on: OnHosts) -> None:
    on.cases("one", "a b")
    done = on.run(launcher=f"{on.launcher} python=/no/python")
    assert done.status == ONLY_INFRA, done
    (line,) = [line for line in clear(done).splitlines() if "did not take a job" in line]
    assert "cannot run '/no/python'" in line
    assert {row["status"] for row in on.rows()} == {"INFRA"}
    assert on.run().status == 0
    on.proper()


# -- the end


@pytest.mark.parametrize("way", [pytest.param("job", marks=pytest.mark.slow), "pilot"])
def test_cancelling_ends_all_that_cases_have_started_on_hosts(on: OnHosts, way: str) -> None:
    far = "setsid sleep 600 & sleep 600 & wait"
    on.cases("one", "a b c d", do=far)
    with on.started(*on.command(launcher=f"{on.launcher} submit={way}")) as run:
        on.wait_noted("begin", 4)
        on.wait_states(4, "RUNNING")
        run.send_signal(signal.SIGTERM)
        assert ended(run)[0] == 130
    assert {(row["state"], row["status"]) for row in on.rows()} == {("INCOMPLETE", "KILLED")}
    on.at_rest()
    until(lambda: not sleepers(on), 20, f"no sleeper: {sleepers(on)}")


def sleepers(on: OnHosts) -> list[int]:
    """Processes `sleep` of cases."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            ours = f"NOTES={on.notes}".encode() in (path / "environ").read_bytes().split(b"\0")
            if ours and (path / "comm").read_text() == "sleep\n":
                found.append(int(path.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("way", [pytest.param("job", marks=pytest.mark.slow), "pilot"])
def test_the_next_command_takes_over_what_a_killed_one_has_handed_over(on: OnHosts, way: str) -> None:
    on.cases("one", "a b c d e f", do=on.hold).cases("two", waiton="one")
    words = on.command(launcher=f"{on.launcher} submit={way}")
    with on.started(*words) as first:
        on.wait_noted("begin", 4)
        first.kill()
        ended(first)
    with on.started(*words) as second:
        on.go()
        status, err = ended(second)
        assert status == 0, err
    on.proper()
    assert set(on.noted("begin").values()) == {1}
