"""The same run on a real Slurm as here: the same cases with the same results, whichever way they are handed over."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from onslurm import OnSlurm
from slurmcluster import until
from slurmlab import Slurm
from testarea import TARGET, Area

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
IN = ("-t", TARGET, "-r")
#: asks soon, so that what only the engine can tell is known soon
QUICK = "poll=0.5s..1s"
WAYS = ("auto", "job", "array", "pilot")


@pytest.fixture
def on(area: Area, slurm: Slurm) -> OnSlurm:
    """An area whose commands find the cluster."""
    return OnSlurm(area, slurm)


def test_the_example_runs_on_slurm_as_it_does_here(tmp_path: Path, slurm: Slurm) -> None:
    """All cases of examples/compressors with its quick target, as scripts/demo runs it.

    The corpora are a tenth in size, and no speed is too slow: a busy machine
    packs at any speed.
    """
    home = tmp_path / "compressors"
    keep_out = shutil.ignore_patterns(".mtdb", "links", "lt", "logs")
    shutil.copytree(EXAMPLES / "compressors", home, ignore=keep_out, symlinks=True)
    area = Area(tmp_path / "unused")
    area.home = home
    area.env["SLURM_CONF"] = str(slurm.conf)
    press = home / "bin" / "press"
    press.write_text(press.read_text().replace("speed,%.2f,0.2,>", "speed,%.2f,0,>"))
    configs = home / "runconfigs.config"
    configs.write_text(configs.read_text().replace("CORPUS_BYTES 2000000", "CORPUS_BYTES 200000"))
    here = area.ok("run", "-t", "local/quick", "-r", "here")
    there = area.ok("run", "-t", "local/quick", "-r", "there", "-L", "slurm")
    assert "PASS" in here.err and "PASS" in there.err

    def cases(run: str) -> dict[str, tuple[str, str]]:
        rows = area.rows("tests", "-t", "local/quick", "-r", run)
        return {row["id"].split("//", 2)[2]: (row["state"], row["status"]) for row in rows}

    def steps(run: str) -> set[tuple[str, str, str]]:
        rows = area.rows("steps", "-t", "local/quick", "-r", run)
        return {(row["id"].split("//", 2)[2], row["step"], str(row["exits"])) for row in rows}

    assert cases("here") == cases("there") and len(cases("there")) > 40
    assert steps("here") == steps("there")
    assert all(row["job"].startswith("slurm:") for row in area.rows("tests", "-t", "local/quick", "-r", "there"))
    area.ok("db", "check")


def rich(on: OnSlurm) -> OnSlurm:
    """Tests that wait over layers, with items, item by item, that fail, are skipped, and ask for something."""
    on.cases("base")
    on.cases("spread", "a b c", waiton="base")
    on.cases("follow", "a b c", waiton="spread", more="[requirements]\nmode itemwait\n")
    on.cases("bad", "x y", waiton="base", do='[ "$N" = x ]')
    on.cases("never", waiton="bad")
    on.cases("left", more="[skip]\nfileexists /\n")
    on.cases("asks", waiton="follow", more="[requirements]\ncores 2\nmemory 100M\ntime 5m\nqueue short\n")
    on.cases("top", waiton="bad follow", more="[requirements]\nmode toplevel\n")
    return on


def test_every_way_comes_to_what_a_run_here_comes_to(on: OnSlurm) -> None:
    rich(on)
    assert on.run(launcher="local", run="here").status == 1
    want = on.outcome("here")
    assert {status for _, status in want.values()} >= {"PASS", "FAIL", "SKIP"}, want
    noted = on.noted()
    for way in WAYS:
        on.notes.write_text("")
        done = on.run(launcher=f"slurm submit={way} {QUICK}", run=way)
        assert (done.status, on.outcome(way)) == (1, want), (way, done)
        assert on.noted() == noted, way
        ran = [row for row in on.rows(way) if row["test"] not in ("left", "never")]
        assert all(_placed(row) for row in ran), (way, ran)
        tokens = [token for case, token in on.tokens(way).items() if case not in ("left", "never")]
        assert all(tokens) and len(set(tokens)) == len(tokens), (way, tokens)
        single = {row["job"] for row in ran}
        assert len(single) == len(ran) if way == "job" else len(single) <= len(ran), (way, single)
    on.area.ok("db", "check")
    on.at_rest()


def _placed(row: dict[str, Any]) -> bool:
    """Is it recorded which job on which host had the case, and how long it waited for it?"""
    waited = row["queued"] is not None and 0 <= row["queued"] < 600
    return bool(row["host"]) and waited and str(row["job"]).startswith("slurm:")


def test_a_job_asks_for_what_its_test_asks_for(on: OnSlurm) -> None:
    on.cases("asks", more="[requirements]\ncores 3\nmemory 100M\ntime 7m\nqueue short\n")
    on.run(launcher="slurm submit=job")
    (row,) = on.rows()
    job = row["job"].partition(":")[2]
    shown = on.cluster.run("scontrol", "show", "job", job)
    for word in ("Partition=short", "CPUs/Task=3", "TimeLimit=00:07:00", "MinMemoryNode=100M"):
        assert word in shown, shown
    (listed,) = on.area.rows("jobs", *IN, "r1")
    assert listed["id"] == row["job"]


def config(on: OnSlurm, text: str) -> None:
    """Add to megatest.config."""
    on.area({"megatest.config": on.area.read("megatest.config") + text})


def test_an_area_may_say_that_its_cases_run_on_slurm(on: OnSlurm) -> None:
    on.cases("one", "a b")
    config(on, f"\n[jobtools]\nlauncher slurm {QUICK}\n")
    on.area.ok("run", *IN, "r1")
    assert all(_placed(row) for row in on.rows())
    on.notes.write_text("")
    on.area.ok("run", *IN, "r2", "-L", "local")
    assert not any(row["job"] for row in on.rows("r2"))
    on.proper(run="r2")


def test_some_cases_may_run_here_and_some_on_slurm(on: OnSlurm) -> None:
    on.cases("far", "a b").cases("near", "a b").cases("mixed", "a b", waiton="far near")
    config(
        on,
        """
        [jobtools]
        flexi-launcher yes
        launcher local

        [launchers]
        far/% big
        mixed/b named

        [host-types]
        big slurm submit=array poll=0.5s..1s
        named cluster mem=50M

        [launcher cluster]
        engine slurm
        queue short
        submit pilot
        """.replace("\n        ", "\n"),
    )
    on.area.ok("run", *IN, "r1")
    on.proper()
    assert {(row["test"], row["item"]): bool(row["job"]) for row in on.rows()} == {
        ("far", "a"): True, ("far", "b"): True, ("near", "a"): False, ("near", "b"): False,
        ("mixed", "a"): False, ("mixed", "b"): True,
    }  # fmt: skip
    listed = on.area.rows("jobs", *IN, "r1")
    assert {row["launcher"].split()[0] for row in listed} == {"slurm", "cluster"}


def test_the_old_command_line_runs_on_slurm(on: OnSlurm) -> None:
    on.cases("one", "a b").cases("two", waiton="one")
    config(on, f"\n[jobtools]\nlauncher slurm {QUICK}\n")
    done = on.area.mt("-runtests", "%", "-target", TARGET, "-runname", "r1", prog="megatest")
    assert done.status == 0, done
    until(lambda: len(on.noted()) == 3, 30, "all have ended")
    on.area.ok("wait", *IN, "r1")
    on.proper()
    assert all(_placed(row) for row in on.rows())


def test_a_run_on_slurm_can_go_on_by_itself(on: OnSlurm) -> None:
    on.cases("one", "a b", do=on.hold).cases("two", waiton="one")
    on.area.ok(*on.command("--detach", launcher=f"slurm {QUICK}"))
    on.wait_noted("begin", 2)
    on.go()
    on.area.ok("wait", *IN, "r1")
    on.proper()


#: variables that a case on Slurm has or lacks, or has otherwise: the job's own, and those that name the attempt
_OWN = ("SLURM", "ENVIRONMENT", "TMPDIR", "HOSTNAME", "HOST", "CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
_MINE = ("GPU_DEVICE_ORDINAL", "MT_CMDINFO", "MT_RUNNAME", "MT_TEST_RUN_DIR", "PWD", "OLDPWD", "_", "SHLVL")


def test_a_case_on_slurm_has_the_environment_of_one_here(on: OnSlurm) -> None:
    print_env = 'python3 -c \'import json, os; json.dump(dict(os.environ), open("env.json", "w"))\''
    on.area.test("one", print_env, items={"ITEM": "a b"}, more="[pre-launch-env-vars]\nEARLY soon\n")
    on.area.env.update(HELLO="a b\n'c\"", EMPTY="", UTF8="größe", LC_ALL="C.UTF-8", TMPDIR=str(on.home.parent))
    on.run(launcher="local", run="here")
    on.run(run="there", launcher="slurm submit=pilot jobs=1")
    found = {}
    for run in ("here", "there"):
        (row,) = [row for row in on.rows(run) if row["item"] == "a"]
        env = json.loads((Path(row["dir"]) / "env.json").read_text())
        assert any(name.startswith("SLURM_JOB") for name in env) == (run == "there")
        texts = {k: v.replace(f"/{run}/", "/RUN/") for k, v in env.items()}
        found[run] = {k: v for k, v in texts.items() if not k.startswith(_OWN) and k not in _MINE}
    assert found["there"] == found["here"]
    assert found["here"]["HELLO"] == "a b\n'c\"" and found["here"]["UTF8"] == "größe"


def test_names_with_blanks_and_letters_of_any_language_run_on_slurm(tmp_path: Path, slurm: Slurm) -> None:
    on = OnSlurm(Area(tmp_path / "mein täglicher Bereich" / "%j größe"), slurm)
    on.area.env["NOTES"] = str(on.notes)
    quoted = str(on.home).replace(" ", "\\ ")
    for way in ("job", "array", "pilot"):
        on.area.test(f"prüfung-{way}", f"{quoted}/note end", items={"N": "ä ß-ö"})
        done = on.run(f"prüfung-{way}/%", launcher=f"slurm submit={way} {QUICK}", run=f"läuft-{way}")
        assert done.status == 0, done
        assert all(_placed(row) for row in on.rows(f"läuft-{way}")), on.rows(f"läuft-{way}")
    assert len(on.noted()) == 6 and set(on.noted().values()) == {1}
    on.area.ok("db", "check")
    on.at_rest()
