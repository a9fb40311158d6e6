"""Hostile places: full and closed outputs, signals, limits, clocks, names, links, secrets; nothing is lost."""

from __future__ import annotations

import os
import random
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults.around import HERE
from testarea import BIN, TARGET, Area

RUN = ("run", "-t", TARGET, "-r", "r1")
IN_RUN = ("-t", TARGET, "-r", "r1")
QUERIES = (
    "tests",
    "runs",
    "steps",
    "values",
    "status",
    "paths",
    "times",
    "targets",
    "keys",
    "disks",
    "graph",
)
OLD_QUERIES = ("-list-runs %", "-list-targets", "-show-config", "-show-runconfig", "-list-db-targets", "-h")


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Area:
    """An area with a run that has ended; it is only asked."""
    area = Area(tmp_path_factory.mktemp("ended") / "area")
    area.test("good", "mt value a=1", "true").test("bad", "false", items={"N": "a b"}).test(
        "late", "true", waiton="bad"
    )
    area.mt(*RUN)
    return area


# -- where output goes


@pytest.mark.parametrize("verb", QUERIES)
def test_a_query_knows_what_became_of_its_output(ended: Area, verb: str) -> None:
    full = ended.sh(f"mt {verb} > /dev/full")
    assert (full.status, full.err.count("no space left")) == (5, 1), full
    assert "mt: cannot write to standard output: no space left on device\n" in full.err
    gone = ended.sh(f"{{ mt {verb}; echo $? > ../status; }} | true; exit $(cat ../status)")
    assert gone.status == 141 and "Error" not in gone.err, gone
    assert ended.sh(f"mt {verb} <&- > /dev/null").status in (0, 1)
    assert ended.sh(f"mt {verb} >&- 2>&-").status in (0, 1)
    file = ended.mt(verb, "-o", "/dev/full")
    assert file.status == 5 and "mt: cannot write '/dev/full': no space left on device\n" in file.err, file


@pytest.mark.parametrize("words", OLD_QUERIES)
def test_an_old_query_knows_what_became_of_its_output(ended: Area, words: str) -> None:
    full = ended.sh(f"megatest {words} > /dev/full")
    assert full.status == 1 and full.err.rstrip().endswith("o space left on device"), full
    gone = ended.sh(f"{{ megatest {words}; echo $? > ../status; }} | true; exit $(cat ../status)")
    assert gone.status == 141 and not gone.err, gone


# -- signals


def mine(area: Area) -> list[str]:
    """What still runs of the cases of an area, by its environment."""
    mark = b"MT_RUN_AREA_HOME=" + os.fsencode(area.home) + b"\0"
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if mark in Path(f"/proc/{pid}/environ").read_bytes():
                found.append(Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def all_gone(area: Area, patience: float = 20) -> bool:
    """Wait until nothing of an area runs any more."""
    end = time.monotonic() + patience
    while mine(area) and time.monotonic() < end:
        signal.sigtimedwait([], 0.05)
    return not mine(area)


def interrupted(area: Area, seed: int) -> None:
    """Send a signal at a moment, to the command or to its whole group, once or several times."""
    draw = random.Random(seed)
    area.test("first", "echo 1; sleep 0.1", "sleep 0.2 | cat").test("last", "false", waiton="items")
    area.test("items", "sleep 0.2", items={"N": "a b c"}, waiton="first")
    sent = draw.choice((signal.SIGHUP, signal.SIGTERM, signal.SIGINT))
    send = draw.choice((os.kill, os.killpg))
    moment, times = draw.uniform(0.2, 1.5), draw.choice((1, 1, 2, 3))
    with subprocess.Popen(
        [str(BIN / "mt"), *RUN, "-j", "2"], cwd=area.home, env=area.env, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as started:  # fmt: skip
        try:
            started.wait(moment)
        except subprocess.TimeoutExpired:
            for _ in range(times):
                if started.poll() is None:
                    send(started.pid, sent)
        err = started.communicate(timeout=60)[1]
    about = (seed, sent, send, moment, times, err)
    assert "Traceback" not in err and "Exception" not in err, about
    assert started.returncode in (130, 1, -sent), about
    assert all_gone(area), (about, mine(area))
    again = area.mt(*RUN, "-j", "2")
    assert again.status == 1 and "Traceback" not in again.err, (about, again)
    status = {row["id"].rpartition("//")[2]: row["status"] for row in area.rows("tests", *IN_RUN)}
    good = dict.fromkeys(("first", "items/a", "items/b", "items/c"), "PASS")
    assert status == {**good, "last": "FAIL"}, about


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_interrupted_run_leaves_nothing_behind_and_goes_on(area: Area, seed: int) -> None:
    interrupted(area, seed)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(10, 30))
def test_an_interrupt_may_come_at_any_moment(area: Area, seed: int) -> None:
    interrupted(area, seed)


# -- limits


def test_few_descriptors_mean_fewer_workers(area: Area) -> None:
    area.test("t", "sleep 0.1", items={"N": " ".join(map(str, range(100)))})
    done = area.sh(f"ulimit -n 64; mt run -t {TARGET} -r r1 -j 90")
    assert done.status == 0 and "no room for more than" in done.err, done
    assert len(area.rows("tests", *IN_RUN)) == 100


def test_few_processes_are_no_failure_of_a_test() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs another user, whose processes can be counted")
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        few_processes(Area(Path(place) / "area"))


def few_processes(area: Area) -> None:
    """Run an area as another user, who may have only six processes."""
    area.test("t", "sleep 0.3", items={"N": " ".join(map(str, range(8)))})
    for path in (area.home.parent, *area.home.parent.rglob("*")):
        os.chown(path, 65_500, 65_500)

    other = ("setpriv", "--reuid=65500", "--regid=65500", "--clear-groups", "--inh-caps=+dac_override",
             "--ambient-caps=+dac_override", "prlimit", "--nproc=6")  # fmt: skip
    if not all(map(shutil.which, (other[0], "prlimit"))):
        pytest.skip("needs setpriv and prlimit")

    def run(*before: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*before, str(BIN / "mt"), *RUN, "-j", "10"], cwd=area.home, env=area.env, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    done = run(*other)
    assert "Traceback" not in done.stderr and "unavailable" in done.stderr, done
    statuses = {row["status"] for row in area.rows("tests", *IN_RUN)}
    assert "FAIL" not in statuses, (done, statuses)
    assert run().returncode == 0


@pytest.mark.parametrize("seed", [1, 2])
def test_a_clock_that_jumps_by_days_disturbs_nothing(area: Area, seed: int) -> None:
    area.test("first", "mt value a=1; sleep 0.1").test("items", "sleep 0.05", items={"N": "a b c d"}, waiton="first")
    area.test("last", "false", waiton="items")
    area({"megatest.config": area.read("megatest.config").replace("[setup]", "[setup]\nruntimelim 5m")})
    env = {"PYTHONPATH": str(HERE), "FAULTY_CLOCK": str(seed)}
    done = area.mt(*RUN, env=env)
    assert done.status == 1 and "4 ran" not in done.err and "6 ran" in done.err, done
    status = {row["id"].rpartition("//")[2]: row["status"] for row in area.rows("tests", *IN_RUN)}
    assert status.pop("last") == "FAIL" and set(status.values()) == {"PASS"}
    assert "0 ran" in area.mt(*RUN, env=env).err
    area.ok("db", "check")


def test_many_entries_slow_nothing_down(area: Area) -> None:
    area.test("good", "true")
    area.ok(*RUN)
    for top in (".mtdb/kill/1", ".mtdb/ctl/1", "tests"):
        (area.home / top).mkdir(parents=True, exist_ok=True)
        for n in range(20_000):
            path = area.home / top / f"many{n}"
            path.mkdir() if top == "tests" else path.touch()
    for words in (RUN, ("tests", *IN_RUN), ("runs",), ("set", "WAIVED", *IN_RUN, "good")):
        begun = time.process_time(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        assert area.mt(*words).status == 0
        assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - begun[1] < 5, words


# -- an area that cannot be written


@pytest.fixture
def read_only(area: Area) -> Iterator[Area]:
    """An area with a run that has ended, on a file system that is mounted read-only."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    area.test("good", "true").test("bad", "false")
    area.mt(*RUN)
    for words in (["--bind", area.home, area.home], ["-o", "remount,bind,ro", area.home]):
        if subprocess.run(["mount", *words], capture_output=True).returncode:
            pytest.skip("mounting is not allowed here")
    try:
        yield area
    finally:
        subprocess.run(["umount", area.home], check=True)


def test_an_area_that_cannot_be_written_can_be_asked(read_only: Area) -> None:
    for words in (
        ("tests",),
        ("runs",),
        ("steps",),
        ("status",),
        ("why", f"{TARGET}//r1//bad"),
        ("plan", "-t", TARGET),
    ):
        done = read_only.mt(*words)
        assert done.status in (0, 1) and "cannot" not in done.err, (words, done)
    assert read_only.mt("-list-runs", "%", prog="megatest").status == 0


@pytest.mark.parametrize(
    "words",
    [
        RUN, ("run", "-t", TARGET, "-r", "r2"), ("rerun", *IN_RUN), ("set", "WAIVED", *IN_RUN, "bad"),
        ("rm", *IN_RUN, "%"), ("rm", *IN_RUN, "%", "--data"), ("freeze", f"{TARGET}//r1"),
        ("db", "rebuild", "--all"), ("db", "vacuum"), ("waive", "add", "%//bad", "--ticket", "x", "-m", "y"),
        ("sem", "a", "-n", "1", "--", "true"), ("lock", "hold", "x", "--", "true"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_acts_in_an_area_that_cannot_be_written_is_not_permitted(read_only: Area, words: tuple[str, ...]) -> None:
    done = read_only.mt(*words)
    assert done.status == 9 and "read-only file system" in done.err and "->" not in done.err, done
    assert len(done.err.splitlines()) <= 2, done


# -- names

NAMES = (
    b"-dash", b"with space", b"quo'te", b'dq"x', b"dol$(touch pwned)", b"back`touch pwned`", b"semi;touch pwned",
    b"new\nline", "ümläut".encode(), b"a" * 255, b"star*", b"pct%", b"com,ma", b"tab\tx", b"&amp<b>", b"#hash", b"{br}",
)  # fmt: skip


def test_names_of_tests_never_reach_a_shell_bare(area: Area) -> None:
    area({"megatest.config": area.read("megatest.config") + "\n[jobtools]\nlauncher sh\nuseshell yes\n"})
    area({"megatest.config": area.read("megatest.config").replace("launcher sh", "launcher env")})
    for name in NAMES:
        home = os.path.join(os.fsencode(area.home), b"tests", name)
        os.makedirs(home)
        Path(os.fsdecode(home), "testconfig").write_text('[ezsteps]\ns1 test -n "$MT_TEST_NAME"\n')
    done = area.mt(*RUN)
    assert done.status == 0, done
    rows = area.rows("tests", *IN_RUN)
    assert {row["test"] for row in rows} == {os.fsdecode(name) for name in NAMES}
    script = area.home.parent / "again.sh"
    for row in rows:
        area.ok("why", *IN_RUN, "--", row["test"].replace(",", "%"))
        area.ok("repro", *IN_RUN, "-o", str(script), "--", row["test"].replace(",", "%"))
    assert not list(area.home.parent.rglob("pwned*"))


def test_names_that_no_directory_can_have_are_one_short_line(area: Area) -> None:
    area.test("t", "true", items={"N": f"{'x' * 300} ../../../out ok"})
    done = area.mt(*RUN)
    assert done.status == 8
    assert "longer than 255 bytes" in done.err and "cannot be part of a path" in done.err
    assert [row["status"] for row in area.rows("tests", *IN_RUN, "t/ok")] == ["PASS"]
    assert not list(area.home.parent.rglob("out"))


def test_a_host_that_looks_like_an_option_is_never_handed_to_ssh(area: Area) -> None:
    done = area.mt("true", prog="nbfake", env={"NBFAKE_HOST": "-oProxyCommand=touch${IFS}pwned"})
    assert done.status == 126 and "no name of a host" in done.err, done
    assert not list(area.home.parent.rglob("pwned*"))


# -- links and other things in the way


def test_nothing_outside_is_touched_by_what_run_directories_hold(area: Area, tmp_path: Path) -> None:
    out = tmp_path / "outside"
    (out / "deep").mkdir(parents=True)
    (out / "precious").write_text("precious")
    out.chmod(0o500)
    tangle = "ln -s ../../../../../../outside up; ln -s $OUT abs; ln -s loop loop; mkfifo fifo"
    sock = "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"sock\")'"
    area.test("t", tangle, sock, "mkdir shut; touch shut/f; chmod 0 shut")
    env = {"OUT": str(out)}
    area.ok(*RUN, env=env)
    area.mt("rerun", *IN_RUN, "t", env=env)
    area.ok("clean", "--keep", "0", "--passed", "logs")
    area.ok("rm", *IN_RUN, "%")
    assert not (area.home / "runs" / TARGET / "r1" / "t").exists()
    assert (out / "precious").read_text() == "precious" and (out / "deep").is_dir()
    out.chmod(0o700)


def test_a_run_directory_that_became_a_link_is_not_emptied_through_it(area: Area, tmp_path: Path) -> None:
    out = tmp_path / "outside"
    out.mkdir()
    (out / "precious").write_text("precious")
    area.test("t", "true")
    area.ok(*RUN)
    real = area.home / "runs" / TARGET / "r1" / "t"
    real.rename(real.with_name("moved"))
    real.symlink_to(out)
    for words in (("rm", *IN_RUN, "%", "--data"), ("clean", "--keep", "0")):
        area.mt(*words)
        assert (out / "precious").exists()
    area.mt("-remove-runs", "-target", TARGET, "-runname", "r1", "-testpatt", "%", prog="megatest")
    assert (out / "precious").exists()
    area.mt("rerun", *IN_RUN, "t")
    assert [p.name for p in out.iterdir()] == ["precious"]


def test_files_that_a_test_left_as_links_are_not_written_through(area: Area, tmp_path: Path) -> None:
    out = tmp_path / "outside"
    out.mkdir()
    for name in ("a", "b"):
        (out / name).write_text("mine")
    area({"tests/t/data": "of the test\n", "tests/t/sub/file": "of the test\n"})
    area.test("t", f"ln -sf {out}/a data; ln -sf {out}/b megatest.sh; rm -r sub; ln -s {out} sub")
    for _ in range(2):
        area.mt("-run", "-target", TARGET, "-runname", "r1", "-testpatt", "%", prog="megatest")
        area.mt("wait", *IN_RUN)
        area.mt("-set-state-status", "NOT_STARTED,n/a", "-target", TARGET, "-runname", "r1", "-testpatt", "%",
                prog="megatest")  # fmt: skip
    assert {p.name: p.read_text() for p in out.iterdir()} == {"a": "mine", "b": "mine"}


# -- secrets


def test_values_that_look_secret_are_written_nowhere(area: Area, tmp_path: Path) -> None:
    area({"runconfigs.config": area.read("runconfigs.config") + "LICENSE_KEY of-the-area\n"})
    area.test("t", "cp $MT_RUN_AREA_HOME/.mtdb/locks/run.1.lock.holder .", 'test "${CI_TOKEN#hush-}" = 1')
    env = {"CI_TOKEN": "hush-1", "MT_TRACE": str(tmp_path / "trace")}
    area.ok(*RUN, "--set", "DB_PASSWORD=hush-2,more", "--set", "PLAIN=shown", env=env)
    held = area.home / "runs" / TARGET / "r1" / "t"
    assert "DB_PASSWORD=***" in (held / "run.1.lock.holder").read_text()
    script = (held / "megatest.sh").read_text()
    assert "# export CI_TOKEN=\n" in script and "export LICENSE_KEY=of-the-area\n" in script
    assert "export PLAIN=shown\n" in script and "# export DB_PASSWORD=\n" in script
    area.ok("repro", *IN_RUN, "t", "-o", str(tmp_path / "again.sh"), env=env)
    found = [p for p in tmp_path.rglob("*") if p.is_file() and re.search(rb"hush-\d", p.read_bytes())]
    assert not found


def test_what_is_secret_can_be_said(area: Area) -> None:
    area({"megatest.config": area.read("megatest.config").replace("[setup]", "[setup]\nsecretvars MINE_*")})
    area.test("t", "true")
    area.ok(*RUN, env={"CI_TOKEN": "kept", "MINE_A": "hush"})
    script = (area.home / "runs" / TARGET / "r1" / "t" / "megatest.sh").read_text()
    assert "export CI_TOKEN=kept\n" in script and "# export MINE_A=\n" in script and "hush" not in script
