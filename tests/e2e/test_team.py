"""A team owns an area: members with other umasks take turns, as real users (spec/features.md B24)."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator

import pytest
from members import ANN, TEAM, Member, Office, cannot, office

from mt.teamcheck import closed

pytestmark = pytest.mark.skipif(bool(cannot()), reason=cannot() or "-")

RUN = ("-t", "local", "-r", "r1")
CASE = "local//r1//first"
SHARED = stat.S_ISGID | 0o070
STEPS = """\
[ezsteps]
greet echo hello; mkdir -p sub/deep; touch sub/deep/x
tell umask 077; mt value speed=3
"""


@pytest.fixture(params=[(0o077, 0o022), (0o022, 0o077)], ids=["ann-077-bob-022", "ann-022-bob-077"])
def team(request: pytest.FixtureRequest) -> Iterator[Office]:
    """An area in a setgid directory that its group may write."""
    with office(*request.param) as made:
        made.area.mkdir()
        os.chown(made.area, ANN, TEAM)
        made.area.chmod(0o2775)
        made.ann.ok("init", "-q")
        made.write("tests/first/testconfig", STEPS)
        yield made


@pytest.fixture
def private() -> Iterator[Office]:
    """An area of ann's alone, which everybody may read, with one run in it."""
    with office(0o022, 0o022) as made:
        made.area.mkdir()
        os.chown(made.area, ANN, ANN)
        made.ann.ok("init", "-q")
        made.write("tests/first/testconfig", STEPS)
        made.ann.ok("run", *RUN)
        yield made


def status_of(member: Member) -> str:
    """State and status of the one case, as a member sees it."""
    (row,) = map(json.loads, member.ok("tests", *RUN, "-f", "ndjson").splitlines())
    return f"{row['state']}/{row['status']}"


def shut(team: Office) -> list[str]:
    """What members cannot write: any file of the store, any directory of runs and links."""
    found = list(closed(str(team.area / ".mtdb"), TEAM, 9999))
    for name in ("runs", "lt", "logs"):
        if (team.area / name).exists():
            found += closed(str(team.area / name), TEAM, 9999, folders=True)
    return found


def test_members_with_closed_and_open_umasks_take_turns(team: Office) -> None:
    ann, bob = team.ann, team.bob
    ann.ok("run", *RUN)
    assert shut(team) == []
    assert "speed" in bob.ok("values", *RUN), "what a step with a closed umask told is folded by another member"
    bob.ok("rerun", f"{CASE}")
    ann.ok("set", "FAIL", CASE)
    assert status_of(bob) == "COMPLETED/FAIL"
    bob.ok("rerun", *RUN)
    assert status_of(ann) == "COMPLETED/PASS"
    bob.ok("waive", "first", "-m", "known")
    ann.ok("waive", "remove", "first")
    for member in (ann, bob, ann):
        member.ok("sem", "licence", "--", "true")
    bob.ok("freeze", "local//r1")
    ann.ok("thaw", "local//r1")
    assert "hello" in bob.ok("log", CASE, "--all")
    assert shut(team) == []
    ann.ok("run", "-t", "local", "-r", "r2")
    bob.ok("rm", CASE)
    ann.ok("rm", "local//r2//first")
    assert not (team.area / "runs/local/r1/first").exists()
    assert not (team.area / "runs/local/r2/first").exists()
    for member in (bob, ann):
        member.ok("db", "vacuum")
        member.ok("db", "rebuild", "--all")
    bob.ok("run", *RUN)
    assert shut(team) == []


def test_the_old_command_leaves_a_team_what_it_makes(team: Office) -> None:
    words = ("-target", "local", "-runname", "r1", "-testpatt", "%")
    team.ann.ok("-run", *words, prog="megatest")
    team.bob.ok("-run", *words, "-rerun-all", prog="megatest")
    team.ann.ok("-set-state-status", "COMPLETED,FAIL", *words, prog="megatest")
    assert shut(team) == []
    found = team.things()
    assert all(mode & 0o060 == 0o060 for name, (mode, _, _) in found.items() if name.startswith("megatest.db"))
    team.bob.ok("-remove-runs", *words, prog="megatest")
    assert not (team.area / "runs/local/r1/first").exists()


def test_a_member_stops_what_another_one_runs(team: Office) -> None:
    gate = team.area / "gate"
    os.mkfifo(gate)
    gate.chmod(0o666)
    team.write("tests/first/testconfig", f"[ezsteps]\nhang echo up > {gate}; exec sleep 100\n")
    with team.ann.start("run", *RUN) as running:
        assert gate.read_text() == "up\n"
        team.bob.ok("stop", CASE)
        running.communicate(timeout=60)
    assert running.returncode not in (0, 9)
    assert status_of(team.bob) in ("KILLED/KILLED", "COMPLETED/KILLED", "INCOMPLETE/KILLED", "KILLED/n/a")


def test_a_request_for_a_run_that_another_member_drives_is_joined(team: Office) -> None:
    gate, go = team.area / "gate", team.area / "go"
    for path in (gate, go):
        os.mkfifo(path)
        path.chmod(0o666)
    team.write("tests/first/testconfig", f"[ezsteps]\nwait echo up > {gate}; read word < {go}\n")
    team.write("tests/second/testconfig", "[ezsteps]\nsay echo second\n")
    with team.ann.start("run", *RUN, "first") as running:
        assert gate.read_text() == "up\n"
        with team.bob.start("run", *RUN, "second") as joined:
            assert joined.stderr is not None
            assert any("joining" in line for line in joined.stderr)
            go.write_text("go\n")
            joined.communicate(timeout=60)
        running.communicate(timeout=60)
    assert (running.returncode, joined.returncode) == (0, 0)
    assert shut(team) == []


def test_what_a_step_has_closed_is_named_and_stays_recorded(team: Office) -> None:
    team.write("tests/first/testconfig", "[ezsteps]\nshut mkdir box; touch box/x; chmod 755 box\n")
    team.ann.ok("run", *RUN)
    done = team.bob.mt("rm", CASE)
    assert done.status == 9
    box = team.area / "runs/local/r1/first/box"
    assert f"'{box}' belongs to {ANN}:{TEAM}, mode 2755" in done.err
    assert f"chmod g+rwxs '{box}'" in done.err
    assert status_of(team.bob) == "COMPLETED/PASS"
    team.ann.ok("rm", CASE)


def test_in_an_area_of_one_user_others_only_look(private: Office) -> None:
    before = private.things()
    for words in (
        ("run", *RUN),
        ("run", "-t", "local", "-r", "r2"),
        ("rerun", CASE),
        ("set", "FAIL", CASE),
        ("rm", CASE),
        ("freeze", "local//r1"),
        ("waive", "first", "-m", "no"),
        ("clean", "--keep", "0"),
        ("sem", "licence", "--", "true"),
    ):
        done = private.bob.mt(*words)
        assert done.status == 9, f"{words}: status {done.status}\n{done.err}"
        assert f"belongs to {ANN}:{ANN}, mode 0755" in done.err, words
        assert len(done.err.splitlines()) <= 2, done.err
    assert private.things() == before
    assert status_of(private.bob) == "COMPLETED/PASS"
    for words in (("status",), ("runs",), ("why", CASE), ("steps", *RUN), ("values", *RUN), ("log", CASE)):
        private.bob.ok(*words)
    assert private.things() == before


def test_in_an_area_of_one_user_nothing_is_open_to_his_group(private: Office) -> None:
    private.ann.ok("waive", "first", "-m", "mine")
    assert [name for name, (mode, _, _) in private.things().items() if mode & 0o022] == []


def test_a_file_that_a_member_names_keeps_his_own_umask(team: Office) -> None:
    team.ann.ok("run", *RUN)
    for member in (team.ann, team.bob):
        path = team.base / member.name / "rows"
        member.ok("tests", *RUN, "-o", str(path))
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~member.umask


def test_a_named_group_owns_what_is_made_in_a_directory_that_is_not_shared(private: Office) -> None:
    with office(0o077, 0o022) as made:
        made.area.mkdir()
        os.chown(made.area, ANN, ANN)
        made.area.chmod(0o755)
        made.ann.ok("init", "-q")
        config = made.area / "megatest.config"
        made.write("megatest.config", f"{config.read_text()}\n[db]\ngroup {TEAM}\n")
        for path in (config, made.area / "runconfigs.config"):
            path.chmod(0o644)
        for path in ("tests", "tests/first"):
            (made.area / path).chmod(0o755)
        made.write("tests/first/testconfig", STEPS)
        (made.area / "tests/first/testconfig").chmod(0o644)
        made.ann.ok("run", *RUN)
        assert shut(made) == []
        made.bob.ok("rerun", CASE)
        made.bob.ok("rm", CASE)
        made.bob.ok("run", "-t", "local", "-r", "r2")
        assert shut(made) == []


def test_init_makes_an_area_for_a_group(private: Office) -> None:
    with office(0o077, 0o077) as made:
        (made.base / "ann").chmod(0o755)
        where = made.base / "ann" / "shared"
        done = made.ann.run([str(made.base / "bin/mt"), "init", "-q", "--group", str(TEAM), str(where)], made.base)
        assert done.status == 0, done.err
        assert stat.S_IMODE(where.stat().st_mode) & SHARED == SHARED
        made.ann.ok("run", *RUN, cwd=where)
        made.bob.ok("rerun", CASE, cwd=where)
        strange = made.ann.run(
            [str(made.base / "bin/mt"), "init", "-q", "--group", "4711", str(made.base / "ann" / "other")], made.base
        )
        assert strange.status == 9
        assert "cannot give" in strange.err
        assert not (made.base / "ann/other/megatest.config").exists()


def doctor(member: Member) -> dict[str, tuple[str, str]]:
    """{check: (result, detail)} of the rows about the team."""
    rows = map(json.loads, member.mt("doctor", "-f", "ndjson").out.splitlines())
    return {row["check"]: (row["result"], row["detail"]) for row in rows if row["check"].startswith("team")}


def test_doctor_says_what_is_closed_and_its_line_mends_it(team: Office) -> None:
    team.ann.ok("run", *RUN)
    assert doctor(team.bob)["team files"][0] == "ok"
    assert str(TEAM) in doctor(team.bob)["team"][1]
    for name in (".mtdb/main.db", ".mtdb/locks", "runs/local"):
        path = team.area / name
        path.chmod(path.stat().st_mode & ~0o020)
    result, text = doctor(team.bob)["team files"]
    assert result == "warn"
    assert f"'{team.area}/.mtdb/main.db'" in text
    assert f"for {ANN} to type: " in text
    done = team.ann.run(["sh", "-c", text.partition(" to type: ")[2]])
    assert done.status == 0, done.err
    assert doctor(team.bob)["team files"][0] == "ok"
    team.bob.ok("rerun", CASE)


def test_doctor_tells_somebody_who_is_no_member(team: Office) -> None:
    stranger = team.bob._replace(groups=())
    for path in team.area.glob("*.config"):
        path.chmod(0o664)
    result, text = doctor(stranger)["team"]
    assert result == "warn"
    assert "no member" in text


def test_doctor_finds_no_team_where_there_is_none(private: Office) -> None:
    assert doctor(private.bob) == {"team": ("ok", "none: files are made with your umask 0022")}
