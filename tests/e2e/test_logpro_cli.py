"""`mt logpro` and its old name: a log on stdin, the verdict as exit status (spec/config.md 6.1, 6.2, 6.7)."""

from __future__ import annotations

import html
from pathlib import Path

import pytest
from testarea import Area

RULES = """\
(expect:ignore   in "LogFileBody" >= 0 "known" #/known error/)
(expect:error    in "LogFileBody" = 0 "no errors" #/error/i hook: "tell")
(expect:value    in "LogFileBody" 5 1 "speed" #/speed=([0-9.]+)/)
(hook:add "tell" "printf '%s\\n' \\"#{msg} on line #{number}: #{line}\\" >>told")
"""
BAD = "a known error\nspeed=9\nan ERROR <b> $(touch pwned) `touch pwned`\n"


@pytest.fixture
def here(area: Area) -> Area:
    """A directory with rules."""
    return area({"r.logpro": RULES})


@pytest.mark.parametrize(
    ("kind", "code"),
    [("error", 1), ("required", 1), ("warning", 2), ("required-warn", 2), ("check", 3), ("waive", 4), ("abort", 5),
     ("skip", 6), ("ignore", 0), ("note", 0)],
)  # fmt: skip
@pytest.mark.parametrize("words", [("mt", "logpro"), ("logpro",)])
def test_the_exit_status_is_the_verdict(area: Area, words: tuple[str, ...], kind: str, code: int) -> None:
    area({"r.logpro": f'(expect:{kind} in "LogFileBody" = 0 "d" #/x/)\n'})
    assert area.mt(*words[1:], "r.logpro", prog=words[0], stdin="x\n").status == code
    assert area.mt(*words[1:], "r.logpro", prog=words[0], stdin="y\n").status == 0


def test_everything_is_written(here: Area) -> None:
    done = here.mt("logpro", "r.logpro", "out.html", stdin=BAD)
    assert (done.status, done.err) == (1, "")
    assert "LOGPRO Error: no errors in section LogFileBody on line 2\nan ERROR <b>" in done.out
    assert done.out.rstrip().endswith("EXIT CODE: 1 (FAIL) ERROR: no errors")
    page = (here.home / "out.html").read_text()
    assert html.escape("an ERROR <b>") in page
    assert "EXIT CODE: 1 (FAIL)" in page
    assert (here.home / "logpro_style.css").exists()
    dat = (here.home / "out.dat").read_text()
    assert "[rule-3]" in dat
    assert "measured 9\n" in dat
    assert "exit-status FAIL\n" in dat


def test_a_hook_gets_the_line_and_a_log_cannot_run_commands(here: Area) -> None:
    here.mt("logpro", "r.logpro", stdin=BAD)
    assert (here.home / "told").read_text() == "no errors on line 2: an ERROR <b> $(touch pwned) `touch pwned`\n"
    assert not (here.home / "pwned").exists()


def test_values_without_a_page_go_to_summary_dat(here: Area) -> None:
    assert here.mt("logpro", "r.logpro", stdin="speed=5\n").status == 0
    assert "exit-status PASS" in (here.home / "summary.dat").read_text()


def test_the_dat_can_be_read_as_an_area_file(here: Area) -> None:
    here.mt("logpro", "r.logpro", "out.html", stdin=BAD)
    from mt.config import Reading, read

    config = read(str(here.home / "out.dat"), Reading(str(here.home)))
    assert not list(config.problems)


def test_rules_that_cannot_be_read_fail_and_say_where(area: Area) -> None:
    area({"r.logpro": '(print "x")\n(expect:nonsense in "A")\n'})
    done = area.mt("logpro", "r.logpro", "out.html", stdin="x\n")
    assert done.status == 1
    first, second = done.lines()
    assert first == "Syntax error in your command file!"
    assert second.startswith('r.logpro:2: unknown procedure "expect:nonsense"')
    assert "Syntax error in your command file!" in (area.home / "out.html").read_text()
    assert "exit-code 1" in (area.home / "out.dat").read_text()


def test_missing_rules_fail(area: Area) -> None:
    done = area.mt("none.logpro", stdin="x\n", prog="logpro")
    assert done.status == 1
    assert "cannot read rules 'none.logpro': no such file or directory" in done.out


def test_rules_may_load_others_from_the_directory_of_the_call(area: Area) -> None:
    area(
        {
            "main.logpro": '(load "rules/other.logpro")\n',
            "rules/other.logpro": '(expect:error in logfile = 0 "o" #/x/)\n',
        }
    )
    assert area.mt("logpro", "main.logpro", stdin="x\n").status == 1


def test_waivers_shield_what_they_match(here: Area) -> None:
    here(
        {
            "r.logpro": '(expect:error in logfile = 0 "e" #/error/)\n',
            "w.logpro": '(expect:waive in logfile = 0 "w" #/error 5/)\n',
        }
    )
    assert here.mt("r.logpro", "o.html", "w.logpro", stdin="error 5\n", prog="logpro").status == 4
    assert here.mt("r.logpro", "o.html", "w.logpro", stdin="error 6\n", prog="logpro").status == 1


def test_rules_come_as_rows(here: Area) -> None:
    done = here.mt("logpro", "r.logpro", "-f", "ndjson", stdin=BAD)
    rows = done.rows()
    assert done.status == 1
    assert [(r["type"], r["status"], r["count"]) for r in rows] == [
        ("ignore", "OK", 1), ("error", "FAIL", 1), ("value", "FAIL", 1), ("final", "FAIL", None)
    ]  # fmt: skip
    assert rows[1]["where"] == "r.logpro:2"
    assert rows[2]["measured"] == "9"
    tsv = here.mt("logpro", "r.logpro", "-f", "tsv", stdin="fine\n")
    assert tsv.lines()[1].split("\t")[:4] == ["1", "ignore", "OK", "0"]


def test_only_the_summary_or_another_file(here: Area) -> None:
    summary = here.mt("logpro", "r.logpro", "--summary", stdin=BAD)
    assert summary.out.startswith("=====")
    assert "LOGPRO Error" not in summary.out
    assert here.mt("logpro", "r.logpro", "-o", "a.txt", stdin=BAD).out == ""
    assert "LOGPRO Error" in (here.home / "a.txt").read_text()


def test_a_file_that_cannot_be_written_is_no_verdict_but_a_failure(here: Area) -> None:
    done = here.mt("logpro", "r.logpro", "nowhere/x.html", stdin="speed=5\n")
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("mt: cannot write 'nowhere/")


def test_a_wrong_call_of_the_old_name_is_a_failure(area: Area) -> None:
    done = area.mt(prog="logpro")
    assert done.status == 1
    assert done.err == "logpro: RULES is missing\n"


def test_logs_of_any_bytes_come_through(area: Area, tmp_path: Path) -> None:
    area({"r.logpro": '(expect:error in logfile = 0 "e" #/never/)\n'})
    log = bytes(range(256)) * 40 + b"\r\n" + b"y" * 2_000_000 + b"\nlast"
    (tmp_path / "log").write_bytes(log)
    assert area.sh(f"mt logpro r.logpro page.html <{tmp_path}/log >out").status == 0
    out = (area.home / "out").read_bytes()
    assert log in out.replace(b"LOGPRO: hit trigger LogFileBodyStart on line 0\n", b"", 1)
    assert b"y" * 2_000_000 in (area.home / "page.html").read_bytes()


def test_a_log_is_judged_while_it_grows(area: Area) -> None:
    area({"r.logpro": '(expect:error in logfile = 0 "e" #/error/)\n'})
    script = (
        "mkfifo pipe; mt logpro r.logpro page.html <pipe >out & "
        "exec 3>pipe; echo error >&3; echo fine >&3; exec 3>&-; wait $!"
    )
    assert area.sh(script).status == 1
    assert "fine" in (area.home / "out").read_text()


def test_a_reader_that_leaves_is_no_traceback(area: Area) -> None:
    area({"r.logpro": ";; none\n"})
    done = area.sh("yes | head -c 3000000 | mt logpro r.logpro | head -1")
    assert done.out == "LOGPRO: hit trigger LogFileBodyStart on line 0\n"
    assert "Traceback" not in done.err


def test_steps_are_judged_by_their_rules(area: Area) -> None:
    area.test(
        "t",
        "echo speed=9",
        more='[logpro]\ns1 ;; rules\n  (expect:value in "LogFileBody" 5 1 "speed" #/speed=(\\d+)/)\n',
    )
    assert area.mt("run", "-t", "ubuntu/nfs", "-r", "r1").status == 1
    (row,) = area.rows("tests", "-r", "r1")
    assert row["status"] == "FAIL"
    values = area.rows("values", "-r", "r1")
    assert [(v["variable"], v["value"], v["expected"]) for v in values] == [("rule-1", "9", "5")]
