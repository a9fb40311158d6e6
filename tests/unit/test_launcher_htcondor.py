"""The engine `htcondor`; answers are modelled on the HTCondor manual."""

from __future__ import annotations

import json
import re

import pytest

from mt.launchers.base import Ask, Job, Unreadable
from mt.launchers.calling import Answer, explain, trouble_of
from mt.launchers.htcondor import ENGINE

JOB = Job("mt.7", ("/py", "-m", "x", "a 'b' \"c\" $d", ""), "/o $t", "/area", tasks=12, at_once=3, notice=60)


def ad(proc: int, status: int, cluster: int = 5, **more: object) -> dict[str, object]:
    """A ClassAd of condor_q."""
    return {"ClusterId": cluster, "ProcId": proc, "JobStatus": status, **more}


def described(job: Job) -> dict[str, str]:
    """A description as its keys and values."""
    return dict(line.split(" = ", 1) for line in ENGINE.text(job).splitlines() if " = " in line)


def test_a_description_asks_for_all_that_is_asked() -> None:
    ask = Ask(4, 3 * 2**30, 5400.5, "", "p7", "matlab:1", ("request_gpus=1", "requirements = Memory > 4"))
    said = described(JOB._replace(ask=ask))
    assert said["request_cpus"] == "4"
    assert said["request_memory"] == "3072M"
    assert said["accounting_group"] == "p7"
    assert said["concurrency_limits"] == "matlab:1"
    assert said["max_materialize"] == "3"
    assert said["request_gpus"] == "1"
    assert said["requirements"] == "Memory > 4"
    assert "> 5401)" in said["periodic_remove"]
    assert said["output"] == "/o $(DOLLAR)t/$(Cluster).$(Process).out"
    assert said["batch_name"] == "mt.7"
    assert ENGINE.text(JOB).endswith("\nqueue 12\n")


def test_words_of_the_command_stay_as_they_are() -> None:
    said = described(JOB)
    assert said["executable"] == "/usr/bin/env"
    assert said["arguments"] == '''"/py -m x 'a ''b'' ""c"" $(DOLLAR)d' ''"'''


def test_a_job_that_is_no_array_has_no_number() -> None:
    said = described(JOB._replace(tasks=0))
    assert "$(Process)" not in ENGINE.text(JOB._replace(tasks=0))
    assert "max_materialize" not in said
    assert ENGINE.text(JOB._replace(tasks=0)).endswith("\nqueue\n")
    assert "time()" not in said["periodic_remove"]


def test_states_are_fates_with_the_words_of_htcondor() -> None:
    ads = [
        ad(0, 1), ad(1, 2, RemoteHost="slot1_1@n1"), ad(2, 5, HoldReason="via condor_hold (by user u)"),
        ad(3, 5, HoldReason="memory usage exceeded request_memory", HoldReasonCode=34), ad(4, 7), ad(5, 6),
        ad(6, 4, ExitCode=0, LastRemoteHost="slot1@n2"), ad(7, 4, ExitCode=3), ad(8, 99),
        ad(9, 4, ExitBySignal=True, ExitSignal=9),
        ad(10, 3, RemoveReason="via condor_rm (by user u)"),
        ad(11, 3, RemoveReason="The job attribute PeriodicRemove expression '...' evaluated to TRUE"),
        ad(12, 3, RemoveReason="The job attribute PeriodicRemove expression", LastHoldReasonCode=34),
    ]  # fmt: skip
    found = ENGINE.read(json.dumps(ads))
    assert found["5.0"] == found["5"] == ("queued", "Idle", "")
    assert found["5.1"] == ("running", "Running", "n1")
    assert found["5.2"] == ("held", "Held (via condor_hold (by user u))", "")
    assert found["5.3"].fate == "out-of-memory"
    assert found["5.4"].fate == "suspended"
    assert found["5.5"].fate == found["5.8"].fate == "running"
    assert found["5.6"] == ("done", "Completed", "n2")
    assert found["5.7"] == ("failed", "Completed (exit code 3)", "")
    assert found["5.9"] == ("failed", "Completed (signal 9)", "")
    assert found["5.10"] == ("cancelled", "Removed (via condor_rm (by user u))", "")
    assert found["5.11"].fate == "time-limit"
    assert found["5.12"].fate == "out-of-memory"


def test_tasks_that_do_not_exist_yet_are_waiting() -> None:
    ads = [ad(n, 2, TotalSubmitProcs=6, JobMaterializeNextProcId=3) for n in (1, 2)]
    found = ENGINE.read(json.dumps(ads))
    assert {job for job, said in found.items() if said.fate == "queued"} == {"5.3", "5.4", "5.5"}


def test_several_lists_are_one_and_nothing_is_none() -> None:
    assert set(ENGINE.read(f"{json.dumps([ad(1, 1)])}\n{json.dumps([ad(2, 1)])}\n")) == {"5.1", "5.2"}
    assert ENGINE.read("") == ENGINE.read("[\n]\n") == {}


@pytest.mark.parametrize(
    "answer", ["hello", "[", "{}", "[1]", '[{"ClusterId": "5"}]', '[{"ClusterId": 5, "ProcId": 0}]', "[]x", "[" * 99999]
)
def test_rubbish_says_nothing(answer: str) -> None:
    with pytest.raises(Unreadable):
        ENGINE.read(answer)


@pytest.mark.parametrize(
    "printed",
    [
        "Submitting job(s)..\n2 job(s) submitted to cluster 123.\n",
        "1 job(s) submitted to cluster 123.\n",
        "123.0 - 123.9\n",
    ],
)
def test_the_id_is_found_in_what_condor_submit_prints(printed: str) -> None:
    found = re.search(ENGINE.job_id, printed, re.MULTILINE)
    assert found and found[1] == "123"


def test_ids_and_tasks() -> None:
    assert ENGINE.task("123", 4) == "123.4"
    assert ENGINE.past is not None and ENGINE.past(["123.4", "7"])[-2:] == ("123.4", "7")
    (argv,) = ENGINE.poll("mt.7", ["123"])
    assert argv[-1] == 'JobBatchName == "mt.7"'


@pytest.mark.parametrize(
    ("printed", "said", "passing", "hint"),
    [
        ("\nERROR: Can't find address of local schedd\n", "can't find address of local schedd", True, "away"),
        ("-- Failed to fetch ads from: <127.0.0.1:9618> : n1\n", None, True, "away"),
        (
            "\nERROR: Failed to connect to local queue manager\nCEDAR:6001:Failed to connect to <1>\n",
            None,
            True,
            "away",
        ),
        (
            "ERROR: Failed to connect to local queue manager\nAUTHENTICATE:1004:Failed to authenticate using IDTOKENS",
            "AUTHENTICATE:1004:Failed to authenticate using IDTOKENS",
            False,
            "credential",
        ),
        ("ERROR: AUTHENTICATE:1003:Failed to authenticate with any method\n", None, False, "credential"),
        ("ERROR: Number of submitted jobs would exceed MAX_JOBS_PER_OWNER\n", None, True, "jobs=N"),
        ("ERROR: on Line 3 of submit file: \n", None, False, "flags"),
        ("ERROR: Number of submitted jobs would exceed MAX_JOBS_PER_SUBMISSION\n", None, False, "arrays"),
    ],
)
def test_a_failure_is_one_line_and_a_hint(printed: str, said: str | None, passing: bool, hint: str) -> None:
    answer = Answer(1, "Submitting job(s)", printed, "condor_submit")
    trouble = trouble_of(ENGINE, answer)
    assert trouble is not None and trouble.passing is passing
    assert hint in trouble.hint
    assert said is None or explain(ENGINE, answer) == said
