"""`mt shell`: the directory and the variables of a recorded case."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from testarea import TARGET, Area

SSH = """\
#!/bin/sh
printf '%s\\n' "$@" > "$HOME/ssh.words"
test "$1" = down.example && exit 255
cd / && shift && exec env -i PATH=/usr/bin:/bin SHELL=/bin/sh sh -c "$*"
"""


@pytest.fixture
def ran(area: Area) -> Area:
    """An area with a run: a case with an item, and variables of every kind."""
    area({"runconfigs.config": f'[default]\nQUOTE it\'s \\"$HOME\\"\n[{TARGET}]\n'})
    area({"megatest.config": area.read("megatest.config") + "\n[env-override]\nOVER two words\n"})
    area.test("one", "true").test(
        "many", "env > seen", items={"DISK": "sda sdb"}, more="[pre-launch-env-vars]\nPRE p\n"
    )
    area.ok("run", "-r", "r1", env={"OUTSIDE": "x  y", "TERM": "dumb"})
    return area


def _env(text: str) -> dict[str, str]:
    return {name: value for name, _, value in (pair.partition("=") for pair in text.split("\0") if pair)}


def test_the_command_runs_in_the_run_directory(ran: Area) -> None:
    result = ran.ok("shell", "many/sda", "--", "pwd")
    assert result.out.rstrip("\n") == str(ran.home / "runs" / TARGET / "r1" / "many" / "sda")
    assert f"{TARGET}//r1//many/sda: COMPLETED/PASS" in result.err
    assert "on " in result.err.splitlines()[-1]


def test_its_environment_is_that_of_the_case(ran: Area) -> None:
    """All that the step saw, but what belongs to the session or would let us speak for the case."""
    (row,) = ran.rows("tests", "many/sda")
    saw = dict(line.partition("=")[::2] for line in Path(row["dir"], "seen").read_text(encoding="utf-8").splitlines())
    got = _env(ran.ok("shell", "many/sda", "--", "env", "-0", env={"TERM": "xterm", "NEW": "1"}).out)
    for name in ("MT_CMDINFO", "_", "SHLVL"):
        saw.pop(name, None)
        got.pop(name, None)
    assert got.pop("TERM") == "xterm"
    assert saw.pop("TERM") == "dumb"
    assert got == saw
    assert (got["DISK"], got["PRE"], got["OUTSIDE"]) == ("sda", "p", "x  y")


def test_nothing_is_told_to_the_run(ran: Area) -> None:
    """mt result refuses, for MT_CMDINFO is not there."""
    result = ran.mt("shell", "one", "--", "mt", "result", "FAIL")
    assert result.status == 2
    assert ran.rows("tests", "one")[0]["status"] == "PASS"


def test_the_status_is_that_of_the_command(ran: Area) -> None:
    assert ran.mt("shell", "-q", "one", "--", "exit 7; true").status == 7
    assert ran.mt("shell", "-q", "one", "--", "no-such-command").status == 6


def test_without_a_command_it_is_the_users_shell(ran: Area) -> None:
    result = ran.ok("shell", "-q", "one", stdin="echo $MT_TEST_NAME; exit 0\n", env={"SHELL": "/bin/sh"})
    assert (result.out, result.err) == ("one\n", "")


def test_a_lost_environment_is_made_anew(ran: Area) -> None:
    (row,) = ran.rows("tests", "many/sdb")
    Path(row["dir"], "megatest.sh").unlink()
    result = ran.ok("shell", "many/sdb", "--", "env", "-0")
    got = _env(result.out)
    assert (got["DISK"], got["MT_ITEMPATH"], got["OVER"], got["PRE"]) == ("sdb", "sdb", "two words", "p")
    assert "MT_CMDINFO" not in got
    assert "its environment was not kept" in result.err


def test_a_lost_directory_is_an_error_with_a_way_out(ran: Area) -> None:
    (row,) = ran.rows("tests", "one")
    shutil.rmtree(Path(row["dir"]).resolve())
    result = ran.mt("shell", "one")
    assert result.status == 1
    assert "mt: hint: mt rerun" in result.err


def test_several_cases_are_refused(ran: Area) -> None:
    assert ran.mt("shell", "many/%").status == 2
    assert ran.mt("shell", "none").status == 7


def test_there_goes_to_the_host_by_ssh(ran: Area) -> None:
    """With --there only, and only when the host is another one."""
    ran({"bin/ssh": SSH})
    env = {"PATH": f"{ran.home}/bin:{ran.env['PATH']}"}
    ran.ok("shell", "one", "--there", "--", "true", env=env)
    assert not Path(ran.env["HOME"], "ssh.words").exists()
    _elsewhere(ran, "far.example")
    ran.ok("shell", "one", "--", "true", env=env)
    assert not Path(ran.env["HOME"], "ssh.words").exists()
    result = ran.mt("shell", "one", "--there", "--", 'echo "$PWD|$MT_TEST_NAME|$OVER|$OUTSIDE!"; exit 3', env=env)
    assert result.status == 3
    assert result.out == f"{ran.home}/lt/{TARGET}/r1/one|one|two words|x  y!\n"
    assert "on far.example" in result.err
    assert ran.mt("shell", "-q", "one", "--there", env=env, stdin="exit 5\n").status == 5
    _elsewhere(ran, "down.example")
    assert ran.mt("shell", "one", "--there", env=env).status == 255


def _elsewhere(ran: Area, host: str) -> None:
    """Let the record say that the case ran on another host."""
    from mt.db import Store
    from mt.fold import refresh
    from mt.journal import drop, row_fields
    from mt.queries import cases

    store = Store(str(ran.home))
    (row,) = cases(store, 1, tests=["one"])
    drop(store.journal_dir(1), [("case", row_fields(row._replace(gen=row.gen + 1, host=host)))])
    refresh(store, 1)
