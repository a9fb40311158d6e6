"""The command `mtutil` as its user meets it (spec/runs.md 1.8); starting commands is in test_mtutil_dispatch.py."""

from __future__ import annotations

import hashlib
import re
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest
from testarea import BIN, CONFIG, Area, Result

MORE = """
[areas]
quick path=.
other path=/p/other; targtrans=myfunction

[contours]
fast areas=quick; selector=short/QUICKPATT
both selector=short
strange areafn=myfilter
"""


@pytest.fixture
def control(area: Area) -> Area:
    """An area that controls itself and another one."""
    return area({"megatest.config": CONFIG.replace("[disks]", "pktsdirs pkts more\n[disks]") + MORE})


def mtutil(area: Area, *words: str, env: dict[str, str] | None = None) -> Result:
    result = area.mt(*words, prog="mtutil", env=env)
    assert "Traceback" not in result.err
    return result


def cards(area: Area) -> list[dict[str, str]]:
    """The packets of the first directory, cards as they are written."""
    paths = sorted((area.home / "pkts").glob("*.pkt"))
    return [{line[0]: line[2:] for line in path.read_text().splitlines()} for path in paths]


def test_help_ends_with_1(control: Area) -> None:
    """spec/runs.md 1.8: -h prints the help and ends with exit 1"""
    for word in ("-h", "-help", "--help"):
        shown = mtutil(control, word)
        assert shown.status == 1
        assert "Usage: mtutil ACTION" in shown.out and shown.err == ""
    nothing = mtutil(control)
    assert nothing.status == 1 and "Usage" in nothing.err and nothing.out == ""


@pytest.mark.parametrize("word", ["-manual", "-version", "-immediate"])
def test_three_options_are_understood_and_do_nothing(word: str, control: Area) -> None:
    """spec/runs.md 1.8 [C]"""
    assert mtutil(control, word) == Result(0, "", "")


def test_a_command_is_written_as_a_packet_and_not_executed(control: Area) -> None:
    """spec/runs.md 1.8: run remove rerun set-ss archive kill list"""
    words = ["-target", "ubuntu/nfs", "-run-name", "r1", "-test-patt", "a%,b/1", "-msg", "two words", "-preclean"]
    done = mtutil(control, "run", "-area", "quick", *words)
    assert done.status == 0 and done.err == ""
    assert done.lines()[0].startswith("Access granted for ")
    path = control.home / "pkts" / f"{done.lines()[1]}.pkt"
    lines = path.read_text().splitlines()
    assert lines[:-1] == sorted(lines[:-1])
    assert lines[-1] == f"Z {hashlib.sha1(chr(10).join(lines[:-1]).encode()).hexdigest()}" == f"Z {path.stem}"
    (found,) = cards(control)
    user = control.sh("id -un").out.strip()
    assert {k: v for k, v in found.items() if k not in "DZ"} == {
        "A": "run", "G": "quick", "M": "two\\swords", "S": str(control.home), "T": "cmd", "U": user, "n": "r1",
        "p": "a%,b/1", "r": "yes", "t": "ubuntu/nfs",
    }  # fmt: skip
    assert abs(int(found["D"]) - time.time()) < 100
    assert not (control.home / "logs").exists() and not (control.home / "pkts.db").exists()


@pytest.mark.parametrize("action", ["run", "remove", "rerun", "archive", "kill", "list"])
def test_each_action_makes_its_packet(action: str, control: Area) -> None:
    assert mtutil(control, action, "-area", "quick", "-target", "a/b", "-run-name", "r").status == 0
    assert [c["A"] for c in cards(control)] == [action]


def test_set_ss_needs_what_to_set(control: Area) -> None:
    refused = mtutil(control, "set-ss", "-area", "quick", "-target", "a/b", "-run-name", "r")
    assert refused == Result(1, "", "ERROR: set-ss needs -new STATE/STATUS\n")
    assert mtutil(control, "set-ss", "-area", "quick", "-new", "COMPLETED/PASS").status == 0


def test_a_run_without_a_name_is_named_by_the_time(control: Area) -> None:
    """spec/runs.md 1.8: run name default %Yw%V.%w-%H%M"""
    mtutil(control, "run", "-area", "quick", "-target", "a/b")
    assert re.fullmatch(r"\d{4}w\d\d\.\d-\d{4}", cards(control)[0]["n"])


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["run"], "no area specified"),
        (["run", "-area", "nowhere"], "area was not found"),
        (["run", "-area"], "option -area needs a value"),
        (["areas"], "no action is called 'areas': mtutil show areas"),
        (["jump"], "no action is called 'jump'"),
        (["show"], "show needs a section"),
        (["db"], "db needs one of"),
        (["db", "oracle"], "db needs one of"),
        (["tsend"], "tsend needs a message"),
        (["tsend", "x"], "nobody listens"),
        (["tlisten"], "tlisten needs a port"),
        (["tlisten", "0"], "no script in [listener]"),
        (["archive", "all", "-area", "quick"], "archive 'all' is none of"),
        (["show", "areas", "-start-dir", "/no/such"], "cannot use -start-dir '/no/such': no such file or directory"),
        (["run", "-area", "quick", "-msg", "x" * 65536], "the packet would have"),
    ],
)
def test_bad_input_is_one_clear_line_and_1(words: list[str], text: str, control: Area) -> None:
    """spec/runs.md 1.8"""
    refused = mtutil(control, *words)
    assert (refused.status, refused.out) == (1, "")
    assert len(refused.err.splitlines()) == 1 and text in refused.err


def test_outside_of_an_area_there_is_one_line(tmp_path: Path, control: Area) -> None:
    for words in (["process"], ["run", "-area", "x"]):
        done = control.mt(*words, prog="mtutil", cwd=tmp_path)
        assert done.status == 1 and "no megatest.config" in done.err and len(done.err.splitlines()) == 1


def test_without_a_directory_of_packets_there_is_one_line(area: Area) -> None:
    area({"megatest.config": CONFIG + MORE})
    for words in (["import"], ["process"], ["dispatch"], ["run", "-area", "quick"]):
        done = mtutil(area, *words)
        assert done.status == 1 and "pktsdirs" in done.err and len(done.err.splitlines()) == 1


def test_words_that_are_no_options_are_told_and_work_goes_on(control: Area) -> None:
    done = mtutil(control, "run", "-area", "quick", "-keepgoing", "odd")
    assert done.status == 0 and "Unrecognised arguments: -keepgoing odd" in done.err
    assert len(cards(control)) == 1


def test_access_is_denied_to_who_is_not_listed(control: Area) -> None:
    """spec/runs.md 1.8 [access]: listed but neither user nor * is denied [D]"""
    user = control.sh("id -un").out.strip()
    text = control.read("megatest.config")
    control(
        {"megatest.config": f"{text}\n[access]\nquick {user}:all\nother someone:all\n[accesstypes]\nall run list\n"}
    )
    assert mtutil(control, "run", "-area", "quick").status == 0
    for words in (["kill", "-area", "quick"], ["run", "-area", "other"]):
        denied = mtutil(control, *words)
        assert denied.status == 1 and denied.err.startswith(f"ERROR: Access denied for {user}")
    assert len(cards(control)) == 1


def test_a_translation_of_targets_is_told_and_the_target_used_as_it_is(control: Area) -> None:
    """spec/runs.md 1.8 [areas]: targtrans names Scheme of the user"""
    done = mtutil(control, "run", "-area", "other", "-target", "a/b")
    assert done.status == 0 and len(done.err.splitlines()) == 1 and "targtrans=myfunction" in done.err
    assert [c["t"] for c in cards(control)] == ["a/b"]


def test_show_prints_a_section(control: Area) -> None:
    """spec/runs.md 1.8 show SECTION"""
    shown = mtutil(control, "show", "areas")
    assert shown == Result(0, "quick   path=.\nother   path=/p/other; targtrans=myfunction\n", "")
    assert mtutil(control, "show", "nothing") == Result(0, 'No section "nothing" found\n', "")


def test_start_dir_leads_to_the_area_whatever_the_environment_says(control: Area, tmp_path: Path) -> None:
    env = {"MT_RUN_AREA_HOME": str(tmp_path)}
    shown = control.mt("show", "areas", "-start-dir", str(control.home), prog="mtutil", cwd=tmp_path, env=env)
    assert shown.status == 0 and "quick" in shown.out


def test_log_takes_all_output(control: Area) -> None:
    assert mtutil(control, "run", "-area", "quick", "-log", "out.log") == Result(0, "", "")
    assert mtutil(control, "run", "-log", "out.log") == Result(1, "", "")
    assert "Access granted" in control.read("out.log") and "no area specified" in control.read("out.log")


def test_schemas_are_printed_with_the_keys_of_the_area(control: Area, tmp_path: Path) -> None:
    """spec/runs.md 1.8 db pgschema / sqlite3schema"""
    shown = mtutil(control, "db", "sqlite3schema")
    db = sqlite3.connect(":memory:")
    db.executescript(shown.out)
    assert {"SYSTEM", "FS"} <= {row[1] for row in db.execute("PRAGMA table_info(runs)")}
    db.close()
    assert "SERIAL" in mtutil(control, "db", "pgschema").out
    assert control.mt("db", "sqlite3schema", prog="mtutil", cwd=tmp_path).status == 0


def test_gendot_writes_a_graph_here(control: Area) -> None:
    """spec/runs.md 1.8 gendot"""
    mtutil(control, "run", "-area", "quick")
    assert mtutil(control, "gendot").status == 0
    assert f'"{cards(control)[0]["Z"]}"' in control.read("out.dot")


def test_import_of_thousands_of_packets_is_one_pass(control: Area) -> None:
    """spec/runs.md 1.8 import"""
    (control.home / "more").mkdir()
    for n in range(4000):
        body = f"A run\nD {n}\nT runstart\nn r{n}"
        name = hashlib.sha1(body.encode()).hexdigest()
        (control.home / "more" / f"{name}.pkt").write_text(f"{body}\nZ {name}\n")
    assert mtutil(control, "import").err == "INFO: 4000 new packets\n"
    assert mtutil(control, "import").err == "INFO: 0 new packets\n"
    assert (control.home / "pkts.db").exists()


# -- rules

RULES = """\
[ubuntu/nfs]
VAR value
fast:scheduled:run cron=* * * * *
both:file:remove:old glob=trigger*; run-name=mine; test-patt=x%; target=a/b

[suse/xfs]
fast:script:sync ./ask.sh = one two; dbdest=central
"""


def test_rules_that_are_due_make_a_packet_for_each_area_of_their_contour(control: Area) -> None:
    """spec/runs.md 1.8 rungen, contours"""
    control({"runconfigs.config": RULES, "trigger1": "", "ask.sh": "#!/bin/sh\necho 5 x/y named\necho because\n"})
    done = mtutil(control, "rungen")
    assert done.status == 0
    made = {(c["A"], c["G"]): {k: v for k, v in c.items() if k in "acnopxtkM"} for c in cards(control)}
    assert re.fullmatch(r"sched\d{6}", made["run", "quick"].pop("n"))
    assert made == {
        ("run", "quick"): {"M": "fast:scheduled:run\\sX-X-X-X-X", "a": "ubuntu/nfs", "c": "fast", "o": "QUICKPATT",
                           "t": "ubuntu/nfs", "x": "short"},
        **{
            ("remove", area): {"M": f"both:file:remove:old\\sfile:{control.home}/trigger1", "a": "ubuntu/nfs",
                               "c": "both", "n": "mine", "p": "x%", "t": "a/b"}
            for area in ("quick", "other")
        },
        ("sync", "quick"): {"M": "fast:script:sync\\sbecause", "a": "suse/xfs", "c": "fast", "k": "central",
                            "n": "named", "o": "QUICKPATT", "t": "x/y", "x": "short"},
    }  # fmt: skip


def test_a_rule_that_has_had_its_packet_waits_for_the_next_time(control: Area) -> None:
    control({"runconfigs.config": "[ubuntu/nfs]\nfast:scheduled:run cron=0 0 1 1 *\nfast:file:run glob=trigger\n"})
    (control.home / "trigger").write_text("")
    assert len(mtutil(control, "rungen").lines()) == 2
    assert mtutil(control, "rungen").lines() == []
    (control.home / "pkts.db").unlink()
    assert mtutil(control, "rungen").lines() == []
    (control.home / "trigger").write_text("again")
    assert len(mtutil(control, "rungen").lines()) == 1


def test_a_rule_that_cannot_be_asked_stops_no_other(control: Area) -> None:
    control({"runconfigs.config": """\
        [ubuntu/nfs]
        fast:scheduled:run cron=* * * *
        nowhere:scheduled:run cron=* * * * *
        fast:often:run cron=* * * * *
        strange:scheduled:run cron=* * * * *
        fast:script:run ./nothing
        fast:file:run glob=megatest.config; areas=quick,lost
        """})  # fmt: skip
    done = mtutil(control, "rungen")
    assert done.status == 1
    assert [c["G"] for c in cards(control)] == ["quick"]
    found = ["five fields", "no contour is called 'nowhere'", "'often' is no type", "areafn=myfilter", "cannot run",
             "area was not found in [areas]: lost"]  # fmt: skip
    assert sorted(len([line for line in done.err.splitlines() if text in line]) for text in found) == [1] * 6
    assert len(done.err.splitlines()) == 6


def test_commands_of_run_variables_are_not_run_for_rules(control: Area) -> None:
    control({"runconfigs.config": "[ubuntu/nfs]\nVAR [system touch ran]\nfast:file:run [system echo glob=*.config]\n"})
    assert len(mtutil(control, "rungen").lines()) == 1
    assert not (control.home / "ran").exists()


def test_a_controlling_area_needs_no_keys(area: Area) -> None:
    area({"megatest.config": "[setup]\npktsdirs pkts\n[areas]\nquick path=.\n"})
    assert mtutil(area, "run", "-area", "quick").status == 0
    assert mtutil(area, "import").err == "INFO: 1 new packets\n"


def test_two_processes_at_once_make_a_packet_once(control: Area) -> None:
    control({"runconfigs.config": "[ubuntu/nfs]\nfast:scheduled:run cron=0 0 1 1 *\n"})
    started = [control.start("rungen", prog="mtutil") for _ in range(4)]
    assert sum(len(process.communicate()[0].splitlines()) for process in started) == 1
    assert len(cards(control)) == 1


# -- messages


def listener(area: Area, port: str) -> tuple[subprocess.Popen[str], str]:
    """A listener that listens, and the port that it says."""
    process = area.start("tlisten", port, prog="mtutil")
    assert process.stderr
    line = process.stderr.readline()
    found = re.fullmatch(r"INFO: listening on port (\d+)\n", line)
    assert found, line
    return process, found[1]


def test_messages_reach_the_script_of_a_listener_one_word_each(control: Area) -> None:
    """spec/runs.md 1.8 tsend, tlisten"""
    text = control.read("megatest.config")
    control(
        {
            "megatest.config": text + "[listener]\nscript ./heard.sh first\n",
            "heard.sh": '#!/bin/sh\nprintf "%s|" "$@"\necho\n',
        }
    )
    process, port = listener(control, "localhost:0")
    with process:
        try:
            control({"megatest.config": control.read("megatest.config") + f"[listeners]\nlocalhost:{port} ann\n"})
            for message in ("a=b; $(touch x) 'q'", "two words"):
                assert mtutil(control, "tsend", message) == Result(0, f"localhost:{port} ok\n", "")
            assert process.stdout
            assert process.stdout.readline() == "first|a=b; $(touch x) 'q'|\n"
            assert process.stdout.readline() == "first|two words|\n"
            busy = mtutil(control, "tlisten", f"localhost:{port}")
            assert busy.status == 1 and "address already in use" in busy.err
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait() == 130
    gone = mtutil(control, "tsend", "hello")
    assert gone.status == 1 and "connection refused" in gone.err and len(gone.err.splitlines()) == 1


def test_the_command_is_installed() -> None:
    assert (BIN / "mtutil").exists()
