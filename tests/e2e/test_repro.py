"""`mt repro`: the script does what the case did, with nothing but bash."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from testarea import BIN, TARGET, Area, Result

PLAIN = "/usr/local/bin:/usr/bin:/bin"


def again(area: Area, script: str, *words: str, path: str = PLAIN, cwd: Path | None = None) -> Result:
    """Run a script in a bare environment, away from the area."""
    place = cwd or area.home.parent / "elsewhere"
    place.mkdir(exist_ok=True)
    done = subprocess.run(
        ["/bin/bash", "-s", "--", *words], input=script, cwd=place, env={"PATH": path, "HOME": "/nowhere"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return Result(done.returncode, done.stdout, done.stderr)


def run(area: Area) -> None:
    assert area.mt("run", "-t", TARGET, "-r", "r1").status in (0, 1)


STEPS = [
    ("PASS", ["true"]),
    ("FAIL", ["true", "exit 3", "echo never > never"]),
    ("FAIL", ["false | cat"]),
    ("PASS", ["yes | head -1"]),
    ("PASS", ["false | cat > x"]),
    ("FAIL", ["! test -e no; test -e no"]),
    ("PASS", ['{A=b c;D=it\'s} test "$A$D" = "b cit\'s"']),
    ("PASS", ['{subrun=true} test -z "$MT_TARGET"']),
    ("FAIL", ["kill -SEGV $$"]),
    ("FAIL", ["no-such-command x"]),
    ("PASS", ["echo 'export HANDED=on' > .ezsteps/s1.sh", "test $HANDED = on"]),
    ("PASS", ['echo "quotes \' and \\" and \\$HOME" | grep -q "\' and"']),
    ("PASS", ['test -n "$MT_ITEM_INFO" -a $MT_TARGET = ubuntu/nfs -a $SYSTEM = ubuntu']),
]


@pytest.mark.parametrize("number", range(len(STEPS)))
def test_the_script_ends_as_the_case_did(area: Area, number: int) -> None:
    status, steps = STEPS[number]
    area.test("one", *steps)
    run(area)
    assert area.rows("tests")[0]["status"] == status
    result = again(area, area.ok("repro", "one").out)
    assert result.status == {"PASS": 0, "FAIL": 1}[status], result.err
    assert result.err.splitlines()[-1] == f"repro: {status} in {area.home.parent}/elsewhere/repro-one"


def test_files_logs_and_variables_are_those_of_the_case(area: Area) -> None:
    """Whatever is in them: the new directory takes the place of the old one."""
    area(
        {"runconfigs.config": f"[default]\nODD 'a  b' \"\\$x\" it\\'s * !\n[{TARGET}]\nDEEP #{{getenv MT_RUNNAME}}/x\n"}
    )
    area({"tests/many/data/in put": "payload\n", "tests/many/tool": "#!/bin/sh\ncat 'data/in put'\n"})
    area.test("many", "./tool", 'env; echo "$MT_TEST_RUN_DIR" "$PWD"', items={"N": "a b"})
    run(area)
    (row,) = area.rows("tests", "many/b")
    result = again(area, area.ok("repro", "many/b").out, "new dir")
    assert result.status == 0, result.err
    place = area.home.parent / "elsewhere" / "new dir"
    assert (place / "s1.log").read_text(encoding="utf-8") == "payload\n"
    new = (place / "s2.log").read_text(encoding="utf-8").splitlines()
    old = Path(row["dir"], "s2.log").read_text(encoding="utf-8").splitlines()
    assert new[-1] == f"{place} {place}"
    moved = ("PATH=", "PWD=", "OLDPWD=", "HOME=", "USER=", "_=", "SHLVL=", "MT_CMDINFO=", "MT_TEST_RUN_DIR=", "TERM=")
    assert sorted(x for x in new[:-1] if not x.startswith(moved)) == sorted(
        x for x in old[:-1] if not x.startswith(moved)
    )


def test_embedded_files_need_no_area(area: Area) -> None:
    area({"tests/one/tool": "#!/bin/sh\nexit 4\n", "tests/one/tmp_run/big": "x"}).test("one", "./tool")
    run(area)
    plain, embedded = area.ok("repro", "one").out, area.ok("repro", "one", "--embed").out
    shutil.rmtree(area.home)
    result = again(area, plain)
    assert result.status == 2
    assert "mt repro --embed" in result.err
    result = again(area, embedded, "there")
    assert result.status == 1
    assert "step 's1': exit 4, FAIL" in result.err
    assert not (area.home.parent / "elsewhere/there/tmp_run").exists()


RULES = """
[logpro]
s1 ;; rules
  (expect:error in "LogFileBody" = 0 "no trouble" #/trouble/)
"""


def test_log_rules_judge_where_logpro_is(area: Area) -> None:
    area.test("rules", "echo trouble", more=RULES).test("good", "echo fine; exit 3", more=RULES)
    run(area)
    assert {row["test"]: row["status"] for row in area.rows("tests")} == {"rules": "FAIL", "good": "PASS"}
    with_logpro = f"{PLAIN}:{BIN}"
    assert again(area, area.ok("repro", "rules").out, "a", path=with_logpro).status == 1
    assert again(area, area.ok("repro", "good").out, "b", path=with_logpro).status == 0
    assert (area.home.parent / "elsewhere/b/s1.html").exists()
    script = area.ok("repro", "good").out
    bare = "\n".join(x for x in script.splitlines() if not x.startswith("export PATH="))
    result = again(area, bare, "c")
    assert result.status == 1
    assert "logpro is not installed" in result.err


def test_what_a_test_says_of_itself_counts_and_goes_no_further(area: Area) -> None:
    area.test("says", 'mt result FAIL -m \'it says "status":"PASS"\'; mt value x=1; true')
    run(area)
    before = area.rows("show", "says")
    result = again(area, area.ok("repro", "says").out)
    assert result.status == 1, result.err
    assert "FAIL in" in result.err
    assert area.rows("show", "says") == before


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("mt result PASS; false", "FAIL"),
        ("mt result WARN --state RUNNING; true", "PASS"),
        ("mt result AUTO; mt value x=1 --expect 2 --tol 0.1; true", "FAIL"),
        ("mt result ABORT; true", "ABORT"),
    ],
)
def test_it_weighs_what_was_said_as_mt_does(area: Area, said: str, status: str) -> None:
    area.test("says", said)
    run(area)
    assert area.rows("tests")[0]["status"] == status
    assert f"repro: {status} in" in again(area, area.ok("repro", "says").out).err


@pytest.mark.parametrize(("code", "status"), [(0, 0), (1, 1), (2, 0), (6, 0), (9, 1)])
def test_a_runscript_is_run_as_the_case_did(area: Area, code: int, status: int) -> None:
    area({"tests/s/testconfig": "[setup]\nrunscript go.sh a b\n", "tests/s/go.sh": f"echo $1-$2 > out\nexit {code}\n"})
    run(area)
    assert again(area, area.ok("repro", "s").out).status == status
    assert (area.home.parent / "elsewhere/repro-s/out").read_text(encoding="utf-8") == "a-b\n"


def test_a_directory_that_is_not_empty_is_left_alone(area: Area) -> None:
    area.test("one", "true")
    run(area)
    script = area.ok("repro", "one").out
    assert again(area, script).status == 0
    result = again(area, script)
    assert result.status == 2
    assert "is not empty" in result.err


def test_several_go_to_files_that_can_be_run(area: Area) -> None:
    area.test("bad", "exit 2").test("many", "false", items={"N": "a/b c"})
    run(area)
    ids = area.ok("tests", "-s", "FAIL", "-f", "ids").out
    names = area.ok("repro", "-", "-o", "scripts/", stdin=ids).out.splitlines()
    assert names == ["scripts/repro-bad.sh", "scripts/repro-many-a-b.sh", "scripts/repro-many-c.sh"]
    assert area.sh("cd scripts && ./repro-many-a-b.sh").status == 1
    assert area.mt("repro", "nothing").status == 7
    area.ok("repro", "bad", "-o", "bad.sh")
    assert area.read("bad.sh") == area.ok("repro", "bad").out
