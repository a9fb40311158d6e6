"""The engines `pbs` and `torque`; answers are modelled on the guides of PBS Professional, OpenPBS and Torque 6."""

from __future__ import annotations

import json
import re

import pytest

from mt.launchers.base import Ask, Engine, Job, Unreadable
from mt.launchers.calling import Answer, explain, fits, trouble_of
from mt.launchers.pbs import ENGINE as PBS
from mt.launchers.sge import ENGINE as SGE
from mt.launchers.torque import ENGINE as TORQUE

JOB = Job("mt.7.of.a.very.long.name", ("/py", "-m", "x", "a b"), "/area/o t", "/ar ea", tasks=12, at_once=3, notice=60)
ALL = Ask(4, 3 * 2**30, 5400, "short", "p7", "matlab=1", ("-l", "place=excl"))

QSTAT = """\
Job Id: 1001[].pbs1
    Job_Name = mt.7
    job_state = B
    array = True

Job Id: 1001[0].pbs1
    Job_Name = mt.7
    job_state = R
    exec_host = n1/0*4+n1/1
    Variable_List = PBS_O_HOME=/home/u,PBS_O_PATH=/usr/bin:/bin,LONG=xxxxxxxxxxxx
\txxxxxxxxxxxxxxxxx,
    job_state = Q
    comment = Job run at Tue Nov 24 at 10:00 on (n1:ncpus=4)

Job Id: 1001[1].pbs1
    job_state = Q
    comment = Not Running: Insufficient amount of resource: ncpus (R: 4 A: 0 T:
\t 8)

Job Id: 1001[2].pbs1
    job_state = X
    Exit_status = 0
    substate = 92

Job Id: 1002.pbs1
    job_state = H

Job Id: 1003.pbs1
    job_state = F
    substate = 93
    Exit_status = -29
    exec_host = n2/0

Job Id: 1004.pbs1
    job_state = F
    substate = 91
    Exit_status = 271

Job Id: 1005.pbs1
    job_state = F
    substate = 91

Job Id: 1006.pbs1
    job_state = F
    substate = 92
    Exit_status = 3
    comment = Job run at ... and failed
"""


def test_openpbs_is_asked_for_a_chunk_and_torque_for_a_node() -> None:
    assert PBS.text(JOB._replace(ask=ALL)) == (
        "#!/bin/sh\n"
        "#PBS -N mt.7.of.a.very.\n"
        "#PBS -S /bin/sh\n"
        "#PBS -j oe\n"
        "#PBS -m n\n"
        '#PBS -o "/area/o t/"\n'
        "#PBS -l walltime=1:30:00\n"
        "#PBS -l matlab=1\n"
        "#PBS -q short\n"
        "#PBS -A p7\n"
        "#PBS -l select=1:ncpus=4:mem=3072mb\n"
        "#PBS -J 0-11%3\n"
        "cd '/ar ea' || exit 1\n"
        "trap '' USR1 USR2 XCPU\n"
        "exec /py -m x 'a b'\n"
    )
    text = TORQUE.text(JOB._replace(ask=ALL))
    assert "#PBS -l nodes=1:ppn=4\n#PBS -l mem=3072mb\n#PBS -W x=GRES:matlab=1\n#PBS -t 0-11%3\n" in text
    assert "select" not in text
    assert "-l matlab" not in text
    assert '#PBS -d "/ar ea"\n' in text
    assert PBS.submit(JOB._replace(ask=ALL), "/s") == ("qsub", "-l", "place=excl", "/s")


def test_an_array_of_one_task_is_a_range_with_a_step() -> None:
    assert "#PBS -J 0-1:2\n" in PBS.text(JOB._replace(tasks=1, at_once=0))
    assert "#PBS -t 0-0\n" in TORQUE.text(JOB._replace(tasks=1, at_once=0))


@pytest.mark.parametrize("engine", [PBS, TORQUE])
def test_what_is_not_asked_is_left_to_the_site(engine: Engine) -> None:
    text = engine.text(JOB._replace(tasks=0))
    assert "-l" not in text
    assert "-q" not in text
    assert "-J" not in text and "-t" not in text


def test_states_are_fates_with_the_words_of_pbs() -> None:
    found = PBS.read(QSTAT)
    assert found["1001[].pbs1"].fate == "running"
    assert found["1001[0].pbs1"] == found["1001[0]"] == ("running", "R", "n1")
    assert found["1001[1].pbs1"].fate == "queued"
    assert found["1001[1].pbs1"].said == "Q (Not Running: Insufficient amount of resource: ncpus (R: 4 A: 0 T: 8))"
    assert found["1001[2].pbs1"].fate == "done"
    assert found["1002"].fate == "held"
    assert found["1003"] == ("time-limit", "F (Exit_status -29)", "n2")
    assert found["1004"].fate == found["1005"].fate == "cancelled"
    assert found["1006"] == ("failed", "F (Exit_status 3)", "")


def test_json_says_the_same() -> None:
    jobs = {
        "1003.pbs1": {"job_state": "F", "substate": 93, "Exit_status": -29, "exec_host": "n2/0"},
        "1001[1].pbs1": {"job_state": "Q", "comment": "Not Running: x", "Variable_List": {"A": "b"}},
    }
    found = PBS.read(json.dumps({"timestamp": 1, "pbs_version": "20.0.1", "Jobs": jobs}))
    assert found["1003"] == ("time-limit", "F (Exit_status -29)", "n2")
    assert found["1001[1].pbs1"] == ("queued", "Q (Not Running: x)", "")
    assert PBS.read('{"timestamp":1}') == {}


def test_torque_has_numbers_of_its_own() -> None:
    answer = "Job Id: 7[3].srv\n    job_state = C\n    exit_status = {}\n    exec_host = n1/0+n1/1\n"
    fates = {n: TORQUE.read(answer.format(n))["7[3].srv"].fate for n in (0, 1, -10, -11, -12, 271, 265)}
    assert fates == {
        0: "done", 1: "failed", -10: "out-of-memory", -11: "time-limit", -12: "time-limit", 271: "cancelled",
        265: "cancelled",
    }  # fmt: skip
    assert PBS.read(answer.replace("C", "F").format(-11))["7[3]"].fate == "preempted"


@pytest.mark.parametrize(
    "answer",
    ["hello", "{", '{"Jobs": 3}', '{"Jobs": {"1.a": 3}}', "Job Id: 1.a\n", "Job Id: x.a\n    job_state = R\n",
     "Job Id: 1.a\n    job_state = running\n", "[" * 100_000],
)  # fmt: skip
def test_rubbish_says_nothing(answer: str) -> None:
    with pytest.raises(Unreadable):
        PBS.read(answer)


def test_arrays_are_asked_for_once() -> None:
    jobs = ["5[0].s", "5[1].s", "6.s", "5[].s"]
    assert PBS.poll("mt.7", jobs) == [("qstat", "-t", "-f", "5[].s", "6.s")]
    assert PBS.past is not None and PBS.past(jobs) == ("qstat", "-x", "-t", "-f", "5[].s", "6.s")
    assert TORQUE.past is None


@pytest.mark.parametrize("own", ["123[].srv", "123[7].srv"])
def test_a_task_is_known_from_its_array_and_from_itself(own: str) -> None:
    assert PBS.task(own, 4) == "123[4].srv"
    assert PBS.task("123[]", 4) == "123[4]"


@pytest.mark.parametrize("printed", ["123.srv", "123[].srv", "123", "123.pbs-1.example.org"])
def test_the_id_is_what_qsub_prints(printed: str) -> None:
    found = re.search(PBS.job_id, f"qsub: waiting\n{printed}\n", re.MULTILINE)
    assert found and found[1] == printed


def test_a_query_for_jobs_that_are_not_known_is_no_failure() -> None:
    assert fits(PBS.missing, Answer(153, "", "qstat: Unknown Job Id 1.srv\n"))
    assert fits(TORQUE.missing, Answer(153, "", "qstat: Unknown Job Id Error 1.srv\n"))
    assert fits(PBS.missing, Answer(35, "", "qstat: 1.srv Job has finished, use -x or -H to obtain it\n"))
    assert not fits(PBS.missing, Answer(255, "", "qstat: cannot connect to server srv (errno=15010)\n"))


@pytest.mark.parametrize(
    ("printed", "said", "passing", "hint"),
    [
        ("qsub: Unknown queue\n", "unknown queue", False, "qstat -Q"),
        ("qsub: submit error (Unknown queue MSG=cannot locate queue)\n", None, False, "qstat -Q"),
        ("qsub: Invalid account\n", "invalid account", False, "accounts"),
        ("qsub: Job violates queue and/or server resource limits\n",
         "job violates queue and/or server resource limits", False, "qstat -Qf"),
        ("qsub: Invalid credential\n", "invalid credential", False, "pbs_iff"),
        ("pbs_iff: cannot connect to srv:15001 - fatal error\nNo Permission.\nqsub: cannot connect to server srv"
         " (errno=15007)\n", None, True, "away"),
        ("No Permission.\nqsub: cannot connect to server srv (errno=15007)\n", None, False, "credential"),
        ("qsub: cannot connect to server srv (errno=15022) Expired credential\n", None, False, "credential"),
        ("qsub: cannot connect to server srv (errno=15010)\n", None, True, "away"),
        ("Connection refused\nqsub: cannot connect to server srv (errno=15010)\n", "connection refused", True, "away"),
        ("qsub: would exceed queue generic's per-user limit of jobs in 'Q' state\n", None, True, "jobs=N"),
        ("qsub: illegal -J value\nusage: qsub [-a date_time]\n", "illegal -J value", False, "arrays"),
        ("qsub: Array job exceeds server or queue size limit\n", None, False, "arrays"),
        ("qsub: invalid option -- 'J'\nusage: qsub [-a date_time]\n", "invalid option -- 'J'", False, "-L torque"),
        ("qsub: Unauthorized Request\n", "unauthorized Request", False, "not submit there"),
    ],
)  # fmt: skip
def test_a_failure_is_one_line_and_a_hint(printed: str, said: str | None, passing: bool, hint: str) -> None:
    answer = Answer(1, "", printed, "qsub")
    trouble = trouble_of(PBS, answer)
    assert trouble is not None and trouble.passing is passing
    assert hint in trouble.hint
    assert said is None or explain(PBS, answer) == said


@pytest.mark.parametrize(
    ("printed", "name"),
    [("pbs_version = 20.0.1", "pbs"), ("pbs_version = 2022.1.1.20220926110806", "pbs"), ("SGE 8.1.9", "sge"),
     ("Version: 6.1.2\nCommit: 661e092552de43a785c15d39a3634a541d86898e", "torque"), ("GE 6.2u5", "sge"),
     ("UGE 8.6.4", "sge"), ("Version: 4.2.10", "torque")],
)  # fmt: skip
def test_a_version_tells_engines_with_the_same_commands_apart(printed: str, name: str) -> None:
    for made in (PBS, TORQUE, SGE):
        assert fits(made.maker, Answer(0, "", printed)) is (made.name == name)
