"""The engine `lsf`; answers are modelled on IBM's documentation of LSF 10.1."""

from __future__ import annotations

import re

import pytest

from mt.launchers.base import Ask, Job, Unreadable
from mt.launchers.calling import Answer, explain, fits, trouble_of
from mt.launchers.lsf import ENDS, ENGINE

BJOBS = """\
201|0|DONE|hostA|-|-
202|0|EXIT|hostA|-|-
203|0|EXIT|4*hostB|TERM_MEMLIMIT: job killed after reaching LSF memory usage limit|-
204|0|EXIT|hostB|TERM_RUNLIMIT: job killed after reaching LSF run time limit|-
205|0|EXIT|-|TERM_OWNER: job killed by owner|-
206|0|PEND|-|-|Job's requirements for resource reservation not satisfied: 4 hosts; Load | limit
207|1|RUN|4*hostC:4*hostD|-|-
207|2|PEND|-|-|New job is waiting for scheduling;
207[3]|3|PSUSP|-|-|The job was suspended by its owner while pending;
208|0|UNKWN|hostE|-|-
209|0|SSUSP|hostE|-|-
210|0|ZOMBI|hostE|-|-
"""
JOB = Job("mt.7", ("/usr/bin/python3", "-m", "x"), "/area/o t", "/area", tasks=12, at_once=3, notice=61)


def test_a_script_asks_for_all_that_is_asked() -> None:
    text = ENGINE.text(JOB._replace(ask=Ask(4, 3 * 2**30, 5430, "short", "p7", "matlab=1", ("-x",))))
    assert text == (
        "#!/bin/sh\n"
        '#BSUB -J "mt.7[1-12]%3"\n'
        '#BSUB -o "/area/o t/%J_%I.out"\n'
        "#BSUB -cwd /area\n"
        "#BSUB -n 4\n"
        '#BSUB -R "span[hosts=1]"\n'
        "#BSUB -M 3072MB\n"
        '#BSUB -R "rusage[mem=3072MB/host]"\n'
        '#BSUB -R "rusage[matlab=1]"\n'
        "#BSUB -q short\n"
        "#BSUB -P p7\n"
        "#BSUB -W 1:31\n"
        "#BSUB -wa USR2 -wt 2\n"
        "trap '' USR1 USR2 XCPU\n"
        "exec /usr/bin/python3 -m x\n"
    )


def test_a_signal_comes_only_before_a_limit_that_is_further_away() -> None:
    assert "-wa" not in ENGINE.text(JOB)
    assert "-wa" not in ENGINE.text(JOB._replace(ask=Ask(time=120)))
    assert "-wa" not in ENGINE.text(JOB._replace(ask=Ask(time=7200), notice=0))


def test_a_job_that_is_no_array_has_a_file_of_its_own() -> None:
    text = ENGINE.text(JOB._replace(tasks=0))
    assert '-J "mt.7"' in text
    assert "%J.out" in text


def test_bsub_reads_the_script_as_its_input() -> None:
    argv = ENGINE.submit(JOB._replace(ask=Ask(flags=("-R", "select[x]"))), "/b/job 1.sh")
    assert argv[:2] == ("/bin/sh", "-c")
    assert argv[3:] == ("bsub", "/b/job 1.sh", "-R", "select[x]")


def test_states_are_fates_with_the_words_of_lsf() -> None:
    found = ENGINE.read(BJOBS)
    assert found["201"] == ("done", "DONE", "hostA")
    assert found["202"] == ("failed", "EXIT", "hostA")
    assert found["203"] == ("out-of-memory", "EXIT (TERM_MEMLIMIT)", "hostB")
    assert found["204"].fate == "time-limit"
    assert found["205"].fate == "cancelled"
    assert found["206"].fate == "queued"
    assert found["206"].said.endswith("4 hosts; Load | limit)")
    assert found["207[1]"] == ("running", "RUN", "hostC")
    assert found["207[2]"] == ("queued", "PEND (New job is waiting for scheduling)", "")
    assert found["207[3]"].fate == "held"
    assert [found[job].fate for job in ("208", "209", "210")] == ["running", "suspended", "node-failed"]
    assert len(found) == 12


@pytest.mark.parametrize("answer", ["hello", "201|0", "201|x|RUN|a|-|-", "a|0|RUN|a|-|-", "201|0|run|a|-|-"])
def test_rubbish_says_nothing(answer: str) -> None:
    with pytest.raises(Unreadable):
        ENGINE.read(f"{answer}\n")


def test_a_query_for_jobs_that_are_not_known_is_no_failure() -> None:
    assert fits(ENGINE.missing, Answer(255, "", "Job <mt.7> is not found\n"))
    assert fits(ENGINE.missing, Answer(255, "", "No matching job found\n"))
    assert not fits(ENGINE.missing, Answer(255, "", "LSF is down. Please wait ...\n"))


def test_ids_and_tasks() -> None:
    printed = "Some greeting of the site\nJob <123> is submitted to default queue <normal>.\n"
    found = re.search(ENGINE.job_id, printed, re.MULTILINE)
    assert found and found[1] == "123"
    assert ENGINE.task("123", 0) == "123[1]"
    assert ENGINE.cancel(["123[1]", "4"]) == [("bkill", "123[1]", "4")]


BHIST = """\

Job <101>, User <user1>, Project <default>, Command <x>
Tue Oct  3 12:11:01: Submitted from host <hostA>, to Queue <normal>, CWD </a>;
Tue Oct  3 12:11:02: Dispatched 1 Task(s) on Host(s) <hostB>, Allocated 1 Slot(s) on Host(s) <hostB>;
Tue Oct  3 12:11:02: Starting (Pid 9);
Tue Oct  3 12:13:02: Done successfully. The CPU time used is 0.1 seconds;
Tue Oct  3 12:13:02: Post job process done successfully;

Summary of time in seconds spent in various states by  Tue Oct  3 12:13:02
------------------------------------------------------------------------------

Job <102[3]>, Job Name <mt.7[1-5]>, User <user1>, Project <default>, Command <x>
Tue Oct  3 12:11:02: [3] started on <4*hostC>;
Tue Oct  3 12:13:02: Exited; job has been forced to exit with exit code 130. The CPU time used is 0.1 seconds;
Tue Oct  3 12:13:02: Completed <exit>; TERM_RUNLIMIT: job killed after reaching LSF run time limit;
------------------------------------------------------------------------------

Job <103>, User <user1>, Project <default>, Command <x>
Tue Oct  3 12:13:02: Exited with exit code 3. The CPU time used is 0.1 seconds;
------------------------------------------------------------------------------

Job <104>, User <user1>, Project <default>, Command <x>
Tue Oct  3 12:11:02: Starting (Pid 9);
"""


def test_the_history_tells_how_jobs_ended() -> None:
    assert ENGINE.read_past is not None
    found = ENGINE.read_past(BHIST)
    assert found["101"] == ("done", "DONE", "hostB")
    assert found["102[3]"] == ("time-limit", "EXIT (TERM_RUNLIMIT)", "hostC")
    assert found["103"] == ("failed", "EXIT (exited with exit code 3)", "")
    assert "104" not in found


def test_every_end_is_a_fate_of_mt() -> None:
    from mt.launchers.base import OVER

    assert set(ENDS.values()) <= set(OVER)


@pytest.mark.parametrize(
    ("printed", "passing", "hint"),
    [
        ("foo: No such queue. Job not submitted.\n", False, "bqueues"),
        ("LSF is down. Please wait ...\n", True, "away"),
        ("Failed in an LSF library call: LIM is down; try later. Job not submitted.\n", True, "away"),
        ("batch system daemon not responding ... still trying\n", True, "away"),
        ("Cannot exceed queue's hard limit(s). Job not submitted.\n", False, "bqueues -l"),
        ("Bad resource requirement syntax. Job not submitted.\n", False, "bhosts"),
        ("Pending job threshold reached. Retrying in 60 seconds...\n", True, "jobs=N"),
        ("User permission denied. Job not submitted.\n", False, "credential"),
        ("Failed in an LSF library call: External authentication failed. Job not submitted.\n", False, "credential"),
        ("Job array index too large. Job not submitted.\n", False, "arrays"),
        ("Request aborted by esub. Job not submitted.\n", False, "esub"),
    ],
)
def test_a_failure_has_a_hint(printed: str, passing: bool, hint: str) -> None:
    answer = Answer(255, "", printed, "/bin/sh")
    trouble = trouble_of(ENGINE, answer)
    assert trouble is not None and trouble.passing is passing
    assert hint in trouble.hint
    assert "\n" not in explain(ENGINE, answer)
