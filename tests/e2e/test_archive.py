"""`mt archive save`, `restore`, `list`, and `megatest -archive` (spec/runs.md 5.7, spec/config.md 2.1)."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from testarea import BIN, TARGET, Area, Result

T = ("-target", TARGET, "-runname", "r1")


@pytest.fixture
def ran(area: Area) -> Area:
    """A run r1 with files of many kinds, and one archive disk."""
    (area.home / "store").mkdir()
    area(
        {"megatest.config": area.read("megatest.config") + "\n[archive-disks]\nbig #{getenv MT_RUN_AREA_HOME}/store\n"}
    )
    area.test(
        "one", "mkdir -p sub/deep; echo fine >sub/deep/out.txt; ln -s sub/deep/out.txt near; ln -s /etc/hostname far"
    )
    area.test("bad", "echo trouble; false").test("many", "echo $N >n.txt", items={"N": "1 a/b"})
    area({"tests/one/run.sh": "#!/bin/sh\ntrue\n"})
    assert area.mt("run", "-t", TARGET, "-r", "r1", "-q").status == 1
    return area


def needs(form: str) -> None:
    """Skip where the program of a form is not installed."""
    program = {"zst": "zstd", "bup": "bup"}.get(form)
    if program and not shutil.which(program):
        pytest.skip(f"no {program} here")


def megatest(area: Area, *words: str) -> Result:
    return area.mt(*words, prog="megatest")


def verdicts(area: Area) -> dict[str, str]:
    rows = area.rows("tests", "-r", "r1", "--allow-empty")
    return {r["id"].split("//")[2]: f"{r['state']}/{r['status']}" for r in rows}


def tree(path: Path) -> dict[str, tuple[str, int, int]]:
    """Everything below a directory: what it says, its mode, its time in milliseconds."""
    found = {}
    for folder, folders, names in os.walk(path):
        for name in folders + names:
            full = Path(folder) / name
            seen = full.lstat()
            if full.is_symlink():
                found[str(full.relative_to(path))] = (os.readlink(full), 0, 0)
            else:
                text = hashlib.sha256(full.read_bytes()).hexdigest() if full.is_file() else "dir"
                found[str(full.relative_to(path))] = (text, seen.st_mode, seen.st_mtime_ns // 1_000_000)
    return found


def link(area: Area, case: str) -> Path:
    return area.home / "lt" / TARGET / "r1" / case


def trees(area: Area) -> dict[str, dict[str, tuple[str, int, int]]]:
    return {case: tree(link(area, case).resolve()) for case in verdicts(area)}


def archives(area: Area) -> list[Path]:
    return sorted((area.home / "store").rglob("*.tar.*"))


# -- save and restore


@pytest.mark.parametrize("form", ["zst", "gz", "bup"])
def test_what_was_saved_and_removed_comes_back_as_it_was(ran: Area, form: str) -> None:
    """spec/runs.md 5.7: removed after archiving, the status untouched; restored, the link renewed, COMPLETED."""
    needs(form)
    before, files = verdicts(ran), trees(ran)
    ran.ok("archive", "save", "-r", "r1", "--remove", "--format", form)
    assert verdicts(ran) == {case: f"ARCHIVED/{how.split('/')[1]}" for case, how in before.items()}
    assert not any(link(ran, case).exists() for case in before)
    assert list((ran.home / "runs" / TARGET / "r1").rglob("*.txt")) == []
    ran.ok("archive", "restore", "-r", "r1")
    assert verdicts(ran) == before
    assert trees(ran) == files
    ran.ok("db", "check")


def test_an_archive_stands_in_the_block_of_its_area_and_quarter(ran: Area) -> None:
    """spec/config.md 2.1: `<disk>/<YYYY>_q<N>/<area>_<5 hex of md5(area path)>/`."""
    ran.ok("archive", "save", "-r", "r1")
    (file,) = archives(ran)
    now = time.localtime()
    five = hashlib.md5(str(ran.home).encode(), usedforsecurity=False).hexdigest()[:5]
    assert file.parent.relative_to(ran.home / "store").parts == (
        f"{now.tm_year}_q{(now.tm_mon + 2) // 3}", f"{ran.home.name}_{five}",
    )  # fmt: skip
    assert file.name.startswith(f"{ran.home.name}-1-")


def test_the_index_says_which_case_is_in_which_file(ran: Area) -> None:
    ran.ok("archive", "save", "-r", "r1", "--each")
    assert len(archives(ran)) == 3
    rows = {r["id"].split("//")[2]: r for r in ran.rows("archive", "list", "--cases")}
    assert sorted(rows) == ["bad", "many/1", "many/a/b", "one"]
    assert rows["many/1"]["file"] == rows["many/a/b"]["file"] != rows["one"]["file"]
    index = Path(rows["one"]["file"].partition(".tar.")[0] + ".ndjson")
    lines = [json.loads(line) for line in index.read_text().splitlines()]
    members = {m["name"]: m for m in lines if m["k"] == "member"}
    out = link(ran, "one").resolve() / "sub" / "deep" / "out.txt"
    assert members["sub/deep/out.txt"]["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert members["far"]["target"] == "/etc/hostname"
    head = ran.rows("archive", "list")[-1]
    assert head["sha256"] == hashlib.sha256(Path(head["file"]).read_bytes()).hexdigest()


def test_the_disk_with_most_space_wins_and_unusable_ones_are_passed_over(ran: Area) -> None:
    """spec/config.md 2.1, 2.3."""
    config = ran.read("megatest.config").replace("[archive-disks]\n", "[archive-disks]\nbad relative\ngone /nonexist\n")
    ran({"megatest.config": config})
    ran.ok("archive", "save", "-r", "r1")
    assert len(archives(ran)) == 1


def test_what_is_saved_already_is_not_saved_again_until_it_changes(ran: Area) -> None:
    ran.ok("archive", "save", "-r", "r1")
    ran.ok("archive", "save", "-r", "r1")
    assert len(archives(ran)) == 1
    (link(ran, "one") / "more.txt").write_text("new")
    assert "one" in ran.ok("archive", "save", "-r", "r1", "--remove").err
    assert len(archives(ran)) == 2
    ran.ok("archive", "restore", "one", "-r", "r1")
    assert (link(ran, "one") / "more.txt").read_text() == "new"


def test_a_dry_run_changes_nothing(ran: Area) -> None:
    before = verdicts(ran)
    said = ran.ok("archive", "save", "-r", "r1", "--remove", "-n").err
    assert "bytes" in said and archives(ran) == [] and verdicts(ran) == before


def test_an_archived_case_is_good_to_a_run_and_runs_again_when_asked_to(ran: Area) -> None:
    ran.ok("archive", "save", "one", "-r", "r1", "--remove")
    ran.ok("run", "one", "-t", TARGET, "-r", "r1", "-q")
    assert verdicts(ran)["one"] == "ARCHIVED/PASS"
    ran.ok("rerun", "one", "-r", "r1", "-q")
    assert verdicts(ran)["one"] == "COMPLETED/PASS" and link(ran, "one").exists()


def test_a_frozen_run_is_saved_but_not_removed(ran: Area) -> None:
    ran.ok("freeze", "r1", "-m", "keep")
    before = verdicts(ran)
    assert ran.mt("archive", "save", "-r", "r1", "--remove").status == 9
    assert verdicts(ran) == before and archives(ran) == []
    ran.ok("archive", "save", "-r", "r1")
    assert len(archives(ran)) == 1


def test_without_archive_disks_there_is_no_archive(area: Area) -> None:
    area.test("one", "true").ok("run", "-t", TARGET, "-r", "r1", "-q")
    result = area.mt("archive", "save", "-r", "r1")
    assert result.status == 3 and "no archive disks found" in result.err


# -- archives that are not what they should be


def forged(ran: Area, *infos: tarfile.TarInfo) -> None:
    """Save and remove case one, then put members into its archive, as somebody else might."""
    ran.ok("archive", "save", "one", "-r", "r1", "--remove", "--format", "gz")
    (file,) = archives(ran)
    with tarfile.open(file) as old:
        members = [(m, old.extractfile(m).read() if m.isreg() else b"") for m in old.getmembers()]
    with tarfile.open(file, "w:gz") as new:
        for info, body in [*members, *((i, b"x" * i.size) for i in infos)]:
            new.addfile(info, io.BytesIO(body))


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", size: int = 1) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, size if kind == tarfile.REGTYPE else 0
    return info


@pytest.mark.parametrize(
    "planted",
    [
        member("/tmp/planted-by-a-test"),
        member("one/@/../../../planted"),
        member("one/@/device", tarfile.CHRTYPE),
        member("one/@/pipe", tarfile.FIFOTYPE),
        member("one/@/away", tarfile.SYMTYPE, "/etc"),
        member("one/@/hard", tarfile.LNKTYPE, "/etc/passwd"),
        member("one/@/near/planted"),
        member("one/@/unlisted"),
    ],
    ids=lambda m: m.name.rpartition("/")[2],
)
def test_a_forged_archive_is_refused_and_nothing_of_it_restored(ran: Area, planted: tarfile.TarInfo) -> None:
    """Absolute names, `..`, devices, links and whatever the index does not know."""
    forged(ran, planted)
    refused = ran.mt("archive", "restore", "one", "-r", "r1")
    assert refused.status == 5 and "refused archive" in refused.err
    assert not os.path.lexists(link(ran, "one"))
    assert not list((ran.home / "runs").rglob("*restoring*")) and not list(ran.home.rglob("planted*"))
    assert not os.path.exists("/tmp/planted-by-a-test")
    assert verdicts(ran)["one"] == "ARCHIVED/PASS"


def test_an_index_that_was_changed_is_refused(ran: Area) -> None:
    ran.ok("archive", "save", "one", "-r", "r1", "--remove")
    (index,) = (ran.home / "store").rglob("*.ndjson")
    index.write_text(index.read_text().replace("/etc/hostname", "/etc/shadow"))
    refused = ran.mt("archive", "restore", "one", "-r", "r1")
    assert refused.status == 5 and not os.path.lexists(link(ran, "one"))
    assert "changed since it was written" in ran.mt("archive", "list", "-f", "ndjson").out


@pytest.mark.parametrize("form", ["zst", "gz"])
def test_a_damaged_archive_frees_nothing_and_restores_nothing(ran: Area, form: str) -> None:
    needs(form)
    ran.ok("archive", "save", "-r", "r1", "--format", form)
    (file,) = archives(ran)
    body = bytearray(file.read_bytes())
    body[len(body) // 2] ^= 0xFF
    file.write_bytes(body)
    files = trees(ran)
    assert ran.mt("archive", "save", "-r", "r1", "--remove").status == 1
    assert trees(ran) == files


# -- death at any moment


def killed(area: Area, *words: str, delay: float) -> int:
    """Run mt and kill it, with all it started, after a while; gives its status."""
    with subprocess.Popen(
        [str(BIN / "mt"), *words], cwd=area.home, env=area.env, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    ) as started:  # fmt: skip
        try:
            return started.wait(delay)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
            return started.wait()


def moments(area: Area, *words: str) -> Iterator[float]:
    """Moments over the time that a command takes here, from early to late."""
    begun = time.monotonic()
    area.ok(*words)
    took = time.monotonic() - begun
    yield from (took * n / 8 for n in (3, 5, 6, 7))


def test_a_kill_at_any_moment_of_saving_and_restoring_loses_nothing(ran: Area) -> None:
    """Whoever dies: a directory is there, or its archive is; the same command goes on."""
    ran.test("bulk", "for n in $(seq 60); do head -c 40000 /dev/urandom >f$n; done")
    ran.ok("run", "bulk", "-t", TARGET, "-r", "r1", "-q")
    before, files = verdicts(ran), trees(ran)
    kills = 0
    for delay in list(moments(ran, "archive", "save", "-r", "r1")):
        shutil.rmtree(ran.home / "store")
        (ran.home / "store").mkdir()
        kills += killed(ran, "archive", "save", "-r", "r1", "--remove", delay=delay) < 0
        ran.ok("archive", "save", "-r", "r1", "--remove")
        assert set(verdicts(ran).values()) == {"ARCHIVED/PASS", "ARCHIVED/FAIL"}
        kills += killed(ran, "archive", "restore", "-r", "r1", delay=delay) < 0
        ran.ok("archive", "restore", "-r", "r1", "--allow-empty")
        assert verdicts(ran) == before
        assert trees(ran) == files
    assert kills >= 2
    ran.ok("archive", "save", "-r", "r1")
    assert not list((ran.home / "store").rglob(".making-*"))
    assert not list((ran.home / "runs").rglob("*restoring*"))
    ran.ok("db", "check")


# -- the old command


def test_the_old_command_saves_removes_and_restores(ran: Area) -> None:
    """spec/runs.md 5.7, D16: save into a new block works at once; keep-html is the same as save (C5)."""
    before, files = verdicts(ran), trees(ran)
    assert megatest(ran, "-archive", "keep-html", *T, "-testpatt", "%").status == 0
    assert verdicts(ran) == before and len(archives(ran)) == 1
    assert megatest(ran, "-archive", "save-remove", *T, "-testpatt", "%").status == 0
    assert {how.split("/")[0] for how in verdicts(ran).values()} == {"ARCHIVED"}
    assert megatest(ran, "-archive", "restore", *T, "-testpatt", "%").status == 0
    assert (verdicts(ran), trees(ran)) == (before, files)


def test_the_old_command_uses_the_bup_that_the_area_names(ran: Area) -> None:
    """spec/runs.md 5.7: [archive] bup; saving the same twice takes hardly more room."""
    needs("bup")
    ran({"megatest.config": ran.read("megatest.config") + "\n[archive]\nbup bup\n"})
    before, files = verdicts(ran), trees(ran)
    assert megatest(ran, "-archive", "save-remove", *T, "-testpatt", "%").status == 0
    (file,) = archives(ran)
    assert file.name.endswith(".tar.bup") and (file.parent / "bup" / "objects").is_dir()
    assert megatest(ran, "-archive", "restore", *T, "-testpatt", "%").status == 0
    assert (verdicts(ran), trees(ran)) == (before, files)


def test_a_program_that_is_not_there_is_said(ran: Area) -> None:
    ran({"megatest.config": ran.read("megatest.config") + "\n[archive]\nbup no-such-bup\n"})
    result = ran.mt("archive", "save", "-r", "r1", "--format", "bup")
    assert result.status == 3 and "no-such-bup" in result.err and archives(ran) == []


def test_the_old_command_warns_of_a_directory_that_is_gone(ran: Area) -> None:
    """spec/runs.md 5.7."""
    shutil.rmtree(link(ran, "one").resolve())
    result = megatest(ran, "-archive", "save", *T, "-testpatt", "one,bad")
    assert result.status == 0 and "WARNING: one has no directory" in result.err
    assert [r["id"].split("//")[2] for r in ran.rows("archive", "list", "--cases")] == ["bad"]


def test_the_old_command_ends_with_1_without_disks(area: Area) -> None:
    """spec/runs.md 5.7, spec/config.md 2.1."""
    area.test("one", "true").ok("run", "-t", TARGET, "-r", "r1", "-q")
    result = megatest(area, "-archive", "save", *T, "-testpatt", "%")
    assert result.status == 1 and "FATAL: No archive disks found" in result.err


def test_all_but_the_newest_runs_may_be_archived(ran: Area) -> None:
    """spec/runs.md 5.6: -remove-keep -actions archive."""
    ran.mt("run", "-t", TARGET, "-r", "r2", "-q")
    megatest(ran, "-remove-keep", "1", "-target", TARGET, "-actions", "archive")
    states = {r["state"] for r in ran.rows("tests", "-r", "r1")}
    assert states == {"ARCHIVED"} and {r["state"] for r in ran.rows("tests", "-r", "r2")} == {"COMPLETED"}
