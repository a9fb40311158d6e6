"""The engine `slurm`; answers and messages are those of a real Slurm 22.05.8."""

from __future__ import annotations

import re

import pytest

from mt.launchers.base import Ask, Job, Unreadable
from mt.launchers.calling import Answer, explain, trouble_of
from mt.launchers.slurm import ENGINE, FATES

SQUEUE = """\
1_[3-9%3]|PENDING||JobArrayTaskLimit
23|COMPLETED|n1|None
24|FAILED|n1|NonZeroExitCode
25|FAILED|n1|JobLaunchFailure
27|PENDING||PartitionConfig
28|FAILED||BadConstraints
33_[0-2,4,6-10:2]|PENDING||JobHeldUser
38|NODE_FAIL|n1|NodeDown
39|PENDING||BeginTime
40|CANCELLED|n1|None
41|SUSPENDED|n1|None
42|COMPLETING|n1|None
26_0|RUNNING|n1|None
26_1|RUNNING|n2|None
43_7|PENDING||launch failed requeued held
"""
JOB = Job("mt.7", ("/usr/bin/python3", "-m", "x", "a b"), "/area/o%u t", "/area", tasks=12, at_once=3, notice=60)
ALL = Ask(4, 3 * 2**30 + 1, 5400.5, "short", "p7", "matlab:2", ("--exclusive", "--comment=a b"))


def test_a_script_asks_for_all_that_is_asked() -> None:
    assert ENGINE.text(JOB._replace(ask=ALL)) == (
        "#!/bin/sh\n"
        "#SBATCH --job-name=mt.7\n"
        '#SBATCH --output="/area/o%%u t/%A_%a.out"\n'
        "#SBATCH --open-mode=append\n"
        "#SBATCH --chdir=/area\n"
        "#SBATCH --nodes=1\n"
        "#SBATCH --ntasks=1\n"
        "#SBATCH --cpus-per-task=4\n"
        "#SBATCH --mem=3073M\n"
        "#SBATCH --time=1:30:01\n"
        "#SBATCH --partition=short\n"
        "#SBATCH --account=p7\n"
        "#SBATCH --licenses=matlab:2\n"
        "#SBATCH --signal=B:USR2@60\n"
        "#SBATCH --array=0-11%3\n"
        "trap '' USR1 USR2 XCPU\n"
        "exec /usr/bin/python3 -m x 'a b'\n"
    )
    assert ENGINE.submit(JOB._replace(ask=ALL), "/s") == ("sbatch", "--parsable", "--exclusive", "--comment=a b", "/s")


def test_what_is_not_asked_is_left_to_the_site() -> None:
    text = ENGINE.text(JOB._replace(tasks=0, notice=0, out="/o"))
    words = re.findall(r"^#SBATCH --(\S+?)=", text, re.MULTILINE)
    assert words == ["job-name", "output", "open-mode", "chdir", "nodes", "ntasks"]
    assert "--output=/o/%j.out" in text


def test_lists_of_waiting_tasks_are_taken_apart() -> None:
    found = ENGINE.read(SQUEUE)
    assert {job for job in found if job.startswith("1_")} == {f"1_{n}" for n in range(3, 10)}
    assert {job for job in found if job.startswith("33_")} == {f"33_{n}" for n in (0, 1, 2, 4, 6, 8, 10)}
    assert found["1_5"] == ("queued", "PENDING (JobArrayTaskLimit)", "")
    assert found["33_8"].fate == "held"


def test_states_are_fates_with_the_words_of_slurm() -> None:
    found = ENGINE.read(SQUEUE)
    assert found["26_1"] == ("running", "RUNNING", "n2")
    assert found["38"] == ("node-failed", "NODE_FAIL", "n1")
    assert found["24"] == ("failed", "FAILED (NonZeroExitCode)", "n1")
    assert found["23"] == ("done", "COMPLETED", "n1")
    assert found["40"] == ("cancelled", "CANCELLED", "n1")
    assert found["41"] == ("suspended", "SUSPENDED", "n1")
    assert found["42"] == ("running", "COMPLETING", "n1")
    assert found["27"].fate == found["39"].fate == "queued"


def test_a_job_that_its_host_could_not_start_is_over_and_stuck() -> None:
    found = ENGINE.read(SQUEUE)
    assert found["43_7"].fate == "node-failed" and found["33_8"].fate == "held"
    assert [job for job, word in found.items() if re.search(ENGINE.stuck, word.said)] == ["43_7"]


@pytest.mark.parametrize(
    ("state", "fate"),
    [("TIMEOUT", "time-limit"), ("DEADLINE", "time-limit"), ("OUT_OF_MEMORY", "out-of-memory"),
     ("PREEMPTED", "preempted"), ("BOOT_FAIL", "node-failed"), ("REVOKED", "cancelled"), ("CONFIGURING", "queued"),
     ("REQUEUED", "queued"), ("REQUEUE_HOLD", "held"), ("SPECIAL_EXIT", "held"), ("STOPPED", "suspended"),
     ("RESV_DEL_HOLD", "held"), ("SIGNALING", "running"), ("A_STATE_OF_2030", "running")],
)  # fmt: skip
def test_every_documented_state_has_a_fate(state: str, fate: str) -> None:
    assert ENGINE.read(f"7|{state}|n1|None\n")["7"].fate == fate


def test_all_states_of_the_manual_are_known() -> None:
    manual = (
        "BOOT_FAIL CANCELLED COMPLETED CONFIGURING COMPLETING DEADLINE FAILED NODE_FAIL OUT_OF_MEMORY PENDING"
        " PREEMPTED RUNNING RESV_DEL_HOLD REQUEUE_FED REQUEUE_HOLD REQUEUED RESIZING REVOKED SIGNALING SPECIAL_EXIT"
        " STAGE_OUT STOPPED SUSPENDED TIMEOUT"
    )
    assert set(manual.split()) <= set(FATES)


@pytest.mark.parametrize(
    "answer",
    ["4_[0,2,4,6,8,10,12,14,16,18,20,|PENDING||JobHeldUser", "4_[0-9...]|PENDING||None", "hello", "7|running|n1|None",
     "7||n1|None", "4_[9-1]|PENDING||None", "4_[0-999999999]|PENDING||None", "slurm_load_jobs error: Unexpected"],
)  # fmt: skip
def test_what_was_cut_short_or_is_rubbish_says_nothing(answer: str) -> None:
    with pytest.raises(Unreadable):
        ENGINE.read(f"23|COMPLETED|n1|None\n{answer}\n")


def test_nothing_at_all_is_no_jobs() -> None:
    assert ENGINE.read("") == ENGINE.read("\n \n") == {}


def test_one_query_asks_for_all_jobs_and_for_every_task() -> None:
    (argv,) = ENGINE.poll("mt.7", ["1", "2_3"])
    assert argv[0] == "squeue"
    assert {"--me", "--array", "--states=all", "--name=mt.7", "--noheader"} <= set(argv)


def test_a_thousand_jobs_are_cancelled_by_one_call() -> None:
    calls = ENGINE.cancel([f"1_{n}" for n in range(2001)])
    assert [len(argv) for argv in calls] == [1002, 1002, 3]
    assert ENGINE.cancel([]) == []


def test_accounting_is_asked_by_array_and_understood() -> None:
    assert ENGINE.past is not None and ENGINE.read_past is not None
    assert ENGINE.past(["12_3", "12_4", "13"])[-1] == "--jobs=12,13"
    found = ENGINE.read_past("12_3|CANCELLED by 1000|n1\n12_[4-5%2]|PENDING|None assigned\n13|OUT_OF_MEMORY|n2\n")
    assert found["12_3"] == ("cancelled", "CANCELLED", "n1")
    assert found["12_5"] == ("queued", "PENDING", "")
    assert found["13"] == ("out-of-memory", "OUT_OF_MEMORY", "n2")


@pytest.mark.parametrize("printed", ["123\n", "123;cluster\n", "sbatch: hello\n123\n"])
def test_the_id_is_found_in_what_sbatch_prints(printed: str) -> None:
    found = re.search(ENGINE.job_id, printed, re.MULTILINE)
    assert found and found[1] == "123"


@pytest.mark.parametrize("printed", ["", "Submitted\n", "123 jobs\n", "job 123\n"])
def test_other_answers_have_no_id(printed: str) -> None:
    assert re.search(ENGINE.job_id, printed, re.MULTILINE) is None


AWAY = "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)\n"
NO_CONF = """\
squeue: error: resolve_ctls_from_dns_srv: res_nsearch error: Unknown host
squeue: error: fetch_config: DNS SRV lookup failed
squeue: error: _establish_config_source: failed to fetch config
squeue: fatal: Could not establish a configuration source
"""
NO_MUNGE = """\
squeue: error: If munged is up, restart with --num-threads=10
squeue: error: Munge encode failed: Failed to access "/m.sock": No such file or directory (Did you start munged?)
squeue: error: slurm_send_node_msg: auth_g_create: REQUEST_JOB_INFO has authentication error
slurm_load_jobs error: Protocol authentication error
"""


@pytest.mark.parametrize(
    ("printed", "said", "passing", "hint"),
    [
        (AWAY, "batch job submission failed: unable to contact slurm controller (connect failure)", True, "away"),
        ("slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n",
         "unable to contact slurm controller (connect failure)", True, "away"),
        ("sbatch: error: invalid partition specified: nix\n"
         "sbatch: error: Batch job submission failed: Invalid partition name specified\n",
         "invalid partition specified: nix", False, "sinfo -s"),
        ("sbatch: error: Memory specification can not be satisfied\nsbatch: error: Batch job submission failed:"
         " Requested node configuration is not available\n",
         "memory specification can not be satisfied", False, "sinfo"),
        ("sbatch: error: Batch job submission failed: Invalid license specification\n",
         "batch job submission failed: invalid license specification", False, "licences"),
        ("sbatch: error: Batch job submission failed: Invalid job array specification\n",
         "batch job submission failed: invalid job array specification", False, "arrays"),
        ("sbatch: error: Batch job submission failed: Invalid feature specification\n",
         "batch job submission failed: invalid feature specification", False, "features"),
        ("sbatch: unrecognized option '--foo'\nTry \"sbatch --help\" for more information\n",
         "unrecognized option '--foo'", False, "flags"),
        ("sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified\n",
         "batch job submission failed: invalid account or account/partition combination specified", False, "accounts"),
        ("sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job submission failed: Job violates"
         " accounting/QOS policy (job submit limit, user's size and/or time limits)\n",
         "QOSMaxSubmitJobPerUserLimit", True, "jobs=N"),
        ("sbatch: error: Batch job submission failed: Expired credential\n",
         "batch job submission failed: expired credential", False, "credential"),
        (NO_CONF, "fetch_config: DNS SRV lookup failed", False, "SLURM_CONF"),
        (NO_MUNGE, 'munge encode failed: failed to access "/m.sock": no such file or directory (Did you'
         " start munged?)", True, "munged"),
    ],
)  # fmt: skip
def test_a_failure_is_one_line_and_a_hint(printed: str, said: str, passing: bool, hint: str) -> None:
    answer = Answer(1, "", printed, "sbatch")
    trouble = trouble_of(ENGINE, answer)
    assert explain(ENGINE, answer) == said
    assert trouble is not None and trouble.passing is passing
    assert hint in trouble.hint


def test_a_job_that_is_ending_tells_how_only_for_its_time() -> None:
    words = ENGINE.read("1|COMPLETING|n1|None\n2|COMPLETING|n1|TimeLimit\n3|RUNNING|n1|None\n")
    assert [(words[job].fate, bool(re.search(ENGINE.ending, words[job].said))) for job in "123"] == [
        ("running", True), ("time-limit", True), ("running", False)
    ]  # fmt: skip
