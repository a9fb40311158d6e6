"""The engine `sge`; answers are in the formats of Son of Grid Engine 8.1.9."""

from __future__ import annotations

import re

import pytest

from mt.launchers.base import Ask, Job, Unreadable
from mt.launchers.calling import Answer, explain, trouble_of
from mt.launchers.sge import ENGINE

JOB = Job("7th run", ("/py", "-m", "x"), "/area/o t", "/area", tasks=12, at_once=3, notice=60)


def listed(number: int, state: str, tasks: str = "", queue: str = "") -> str:
    """A job in the XML of qstat."""
    extra = f"<tasks>{tasks}</tasks>" if tasks else ""
    return (
        f'<job_list state="x"><JB_job_number>{number}</JB_job_number><JAT_prio>0.5</JAT_prio><JB_name>j</JB_name>'
        f"<JB_owner>u</JB_owner><state>{state}</state><queue_name>{queue}</queue_name><slots>1</slots>{extra}</job_list>"
    )


def xml(running: str, waiting: str) -> str:
    """The XML of qstat."""
    return (
        "<?xml version='1.0'?>\n<job_info xmlns:xsd=\"https://example.org/qstat.xsd\">\n"
        f"  <queue_info>{running}</queue_info>\n  <job_info>{waiting}</job_info>\n</job_info>\n"
    )


def test_a_script_asks_for_all_that_is_asked() -> None:
    assert ENGINE.text(JOB._replace(ask=Ask(4, 3 * 2**30, 5400, "short.q", "p7", "matlab=1"))) == (
        "#!/bin/sh\n"
        "#$ -N j7th_run\n"
        "#$ -S /bin/sh\n"
        "#$ -j y\n"
        '#$ -o "/area/o t/$JOB_ID.$TASK_ID.out"\n'
        "#$ -wd /area\n"
        "#$ -pe smp 4\n"
        "#$ -l mem_free=3072M\n"
        "#$ -l matlab=1\n"
        "#$ -q short.q\n"
        "#$ -P p7\n"
        "#$ -notify\n"
        "#$ -l h_rt=5400\n"
        "#$ -l s_rt=5340\n"
        "#$ -t 1-12\n"
        "#$ -tc 3\n"
        "trap '' USR1 USR2 XCPU\n"
        "exec /py -m x\n"
    )


def test_a_parallel_environment_of_the_flags_counts() -> None:
    job = JOB._replace(ask=Ask(cores=4, flags=("-pe", "threads", "4")), tasks=0)
    assert "-pe" not in ENGINE.text(job)
    assert "-t " not in ENGINE.text(job)
    assert ENGINE.submit(job, "/s") == ("qsub", "-pe", "threads", "4", "/s")


def test_states_are_fates_with_the_words_of_grid_engine() -> None:
    running = listed(5, "r", "1", "all.q@n1") + listed(5, "dr", "2", "all.q@n2") + listed(8, "Rr", queue="all.q@n1")
    running += listed(9, "S", queue="all.q@n1") + listed(10, "t", queue="all.q@n1")
    waiting = listed(5, "qw", "3-7:2,9") + listed(6, "hqw") + listed(7, "Eqw")
    found = ENGINE.read(xml(running, waiting))
    assert found["5.1"] == ("running", "r", "n1")
    assert found["5.2"] == ("running", "dr", "n2")
    assert {job for job, said in found.items() if said == ("queued", "qw", "")} == {"5.3", "5.5", "5.7", "5.9"}
    assert [found[job].fate for job in ("6", "7", "8", "9", "10")] == [
        "held", "failed", "running", "suspended", "running",
    ]  # fmt: skip


def test_a_name_of_somebody_hides_nothing() -> None:
    assert ENGINE.read(xml(listed(5, "r").replace("<JB_name>j", "<JB_name>a\x07\x1bb"), ""))["5"].fate == "running"


def test_no_jobs() -> None:
    assert ENGINE.read(xml("", "")) == ENGINE.read("") == {}


@pytest.mark.parametrize(
    "answer",
    ["hello", "<job_info>", xml("<job_list></job_list>", ""), xml(listed(5, ""), ""), xml("", listed(5, "qw", "1-")),
     '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "error: commlib error: got select error (Connection refused)"],
)  # fmt: skip
def test_rubbish_says_nothing(answer: str) -> None:
    with pytest.raises(Unreadable):
        ENGINE.read(answer)


@pytest.mark.parametrize(
    "printed",
    [
        'Your job 123 ("j") has been submitted',
        'Your job-array 123.1-10:1 ("j") has been submitted',
        "123",
        "123.1-10:1",
    ],
)
def test_the_id_is_found_in_what_qsub_prints(printed: str) -> None:
    text = f'warning: no suitable queues\nUnable to find queue 9\n{printed}\nJob 7 ("x") is not ours\n'
    found = re.search(ENGINE.job_id, text, re.MULTILINE)
    assert found and found[1] == "123"


def test_tasks_count_from_one() -> None:
    assert ENGINE.task("123", 0) == "123.1"
    assert ENGINE.cancel(["123.1", "4"]) == [("qdel", "123.1", "4")]
    assert ENGINE.why("123.1") == ("qstat", "-j", "123")


QACCT = """\
==============================================================
qname        all.q
hostname     n1
jobname      j
jobnumber    5
taskid       1
failed       0
exit_status  0
==============================================================
qname        all.q
hostname     n2
jobnumber    6
taskid       undefined
failed       100 : assumedly after job
exit_status  137
==============================================================
hostname     n2
jobnumber    7
taskid       undefined
failed       37  : qmaster enforced h_rt, h_cpu, or h_vmem limit
exit_status  137
==============================================================
hostname     n2
jobnumber    8
taskid       undefined
failed       0
exit_status  3
==============================================================
hostname     n2
jobnumber    9
taskid       undefined
failed       26  : opening input/output file
exit_status  0
==============================================================
hostname     n2
jobnumber    10
taskid       2
failed       100 : assumedly after job
exit_status  137
maxvmem      2.104G
category     -u u -l h_vmem=2G,h_rt=60
error: job id 99 not found
"""


def test_accounting_tells_how_jobs_ended() -> None:
    assert ENGINE.read_past is not None and ENGINE.past is not None
    found = ENGINE.read_past(QACCT)
    assert found["5.1"] == ("done", "exit_status 0", "n1")
    assert found["6"] == ("cancelled", "failed 100 : assumedly after job", "n2")
    assert found["7"].fate == "time-limit"
    assert found["8"] == ("failed", "exit_status 3", "n2")
    assert found["9"].fate == "failed"
    assert found["10.2"].fate == "out-of-memory"
    assert ENGINE.past(["5.1", "5.2", "6"])[-2:] == ("5", "6")


#: what Grid Engine 8.1.9 prints, shortened where nothing is read: an array in part over, and a job in error
REAL_QSTAT = """\
<?xml version='1.0'?>
<job_info  xmlns:xsd="http://arc.liv.ac.uk/repos/darcs/sge/source/dist/util/resources/schemas/qstat/qstat.xsd">
  <queue_info>
    <job_list state="running">
      <JB_job_number>2</JB_job_number>
      <JAT_prio>0.75000</JAT_prio>
      <JB_name>j.sh</JB_name>
      <JB_owner>root</JB_owner>
      <state>r</state>
      <JAT_start_time>2026-11-24T15:42:44</JAT_start_time>
      <queue_name>all.q@a</queue_name>
      <slots>1</slots>
      <tasks>3</tasks>
    </job_list>
  </queue_info>
  <job_info>
    <job_list state="pending">
      <JB_job_number>19</JB_job_number>
      <JAT_prio>0.25000</JAT_prio>
      <JB_name>true</JB_name>
      <JB_owner>root</JB_owner>
      <state>Eqw</state>
      <JB_submission_time>2026-11-24T15:44:31</JB_submission_time>
      <queue_name></queue_name>
      <slots>1</slots>
    </job_list>
    <job_list state="pending">
      <JB_job_number>3</JB_job_number>
      <JAT_prio>0.00000</JAT_prio>
      <JB_name>j.sh</JB_name>
      <JB_owner>root</JB_owner>
      <state>hqw</state>
      <JB_submission_time>2026-11-24T15:42:36</JB_submission_time>
      <queue_name></queue_name>
      <slots>1</slots>
      <tasks>1-5:1</tasks>
    </job_list>
  </job_info>
</job_info>
"""
#: four ends: qdel, qdel of a job with -notify that dies by USR2, a host that was lost, a time limit
REAL_QACCT = """\
==============================================================
qname        all.q               
hostname     b                   
jobname      j.sh                
jobnumber    14                  
taskid       1                   
failed       100 : assumedly after job
exit_status  137                  (Killed)
ru_maxrss    4.527KB
maxvmem      3.410MB
category     NONE
==============================================================
hostname     b                   
jobnumber    16                  
taskid       undefined
failed       100 : assumedly after job
exit_status  140                  (User defined signal 2)
category     NONE
==============================================================
hostname     b                   
jobnumber    23                  
taskid       undefined
failed       25  : rescheduling
exit_status  0                   
category     -q all.q
==============================================================
hostname     b                   
jobnumber    17                  
taskid       undefined
failed       37  : qmaster enforced h_rt, h_cpu, or h_vmem limit
exit_status  137                  (Killed)
maxvmem      3.371MB
category     -l h_rt=3
error: job id 99 not found
"""  # noqa: W291


def test_what_the_real_one_lists() -> None:
    found = ENGINE.read(REAL_QSTAT)
    assert found["2.3"] == ("running", "r", "a")
    assert found["19"] == ("failed", "Eqw", "") and re.search(ENGINE.stuck, found["19"].said)
    assert not re.search(ENGINE.stuck, found["2.3"].said)
    assert [found[f"3.{n}"].fate for n in range(1, 6)] == ["held"] * 5


def test_what_the_real_one_remembers() -> None:
    assert ENGINE.read_past is not None
    assert {job: word.fate for job, word in ENGINE.read_past(REAL_QACCT).items()} == {
        "14.1": "cancelled", "16": "cancelled", "23": "preempted", "17": "time-limit",
    }  # fmt: skip


def test_a_job_that_is_killed_after_it_was_rescheduled_was_not_deleted() -> None:
    """Its host was cut off and came back."""
    assert ENGINE.read_past is not None
    first, rescheduled = "jobnumber 23\ntaskid undefined\n", "failed 25  : rescheduling\nexit_status 0\n"
    killed = "failed 100 : assumedly after job\nexit_status 140                  (User defined signal 2)\n"
    line = "=" * 62
    assert ENGINE.read_past(f"{line}\n{first}{rescheduled}{line}\n{first}{killed}")["23"].fate == "node-failed"
    assert ENGINE.read_past(f"{line}\n{first}{killed}")["23"].fate == "cancelled"


@pytest.mark.parametrize(
    ("printed", "passing", "hint"),
    [
        ('Unable to run job: Job was rejected because job requests unknown queue "nosuch"\nExiting.\n', False, "-sql"),
        ('Unable to run job: job rejected: the requested project "nosuch" does not exist\nExiting.\n', False, "-sprjl"),
        ('Unable to run job: job rejected: the requested parallel environment "nosuch" does not exist\nExiting.\n',
         False, "-spl"),
        ('Unable to run job: unknown resource "matlab"\nExiting.\n', False, "qhost"),
        ('qsub: invalid option argument "-foo"\n', False, "man qsub"),
        ("Unable to run job: error: no suitable queues\nExiting.\n", False, "qhost"),
        ("Unable to run job: job rejected: you tried to submit a job with more than 75000 tasks\nExiting.\n",
         False, "arrays"),
        ("\nUnable to initialize environment because of error: SGE_ROOT directory \"/x\" doesn't exist\nExiting.\n",
         False, "settings.sh"),
        ("\nUnable to initialize environment because of error: cell directory \"/x/y\" doesn't exist\nExiting.\n",
         False, "settings.sh"),
        ("error: commlib error: got select error (Connection refused)\nUnable to run job: unable to send message to"
         ' qmaster using port 6444 on host "m": got send error\nExiting.\n', True, "away"),
        ("error: commlib error: got select error (No route to host)\nerror: unable to contact qmaster using port 6444"
         ' on host "m"\n', True, "away"),
    ],
)  # fmt: skip
def test_what_the_real_one_refuses(printed: str, passing: bool, hint: str) -> None:
    trouble = trouble_of(ENGINE, Answer(1, "", printed, "qsub"))
    assert trouble is not None and trouble.passing is passing and hint in trouble.hint


@pytest.mark.parametrize(
    ("printed", "said", "passing", "hint"),
    [
        ('Unable to run job: Job was rejected because job requests unknown queue "x".\nExiting.\n',
         'unable to run job: job was rejected because job requests unknown queue "x".', False, "qconf -sql"),
        ("error: commlib error: got select error (Connection refused)\nUnable to run job: unable to send message to"
         ' qmaster using port 6444 on host "m": got send error.\nExiting.\n',
         "commlib error: got select error (Connection refused)", True, "away"),
        ('error: commlib error: ssl error ([ID=1] in module "SSL routines": certificate has expired)\nUnable to run'
         " job: unable to contact qmaster using port 6444.\nExiting.\n", None, False, "credential"),
        ("Unable to run job: job rejected: Only 10 jobs are allowed per user (current job count: 10).\nExiting.\n",
         None, True, "jobs=N"),
        ('Unable to run job: job rejected: the requested parallel environment "smp" does not exist.\nExiting.\n',
         None, False, "qconf -spl"),
        ('Unable to run job: job rejected: the project "x" does not exist.\nExiting.\n', None, False, "qconf -sprjl"),
        ("Unable to run job: error: no suitable queues.\nExiting.\n", None, False, "qconf -sq"),
        ('Unable to run job: unknown resource "matlab".\nExiting.\n', None, False, "qconf -sq"),
        ("Please set the environment variable SGE_ROOT.\n", None, False, "settings.sh"),
        ('qsub: Unknown option "-foo"\n', 'unknown option "-foo"', False, "flags"),
    ],
)  # fmt: skip
def test_a_failure_is_one_line_and_a_hint(printed: str, said: str | None, passing: bool, hint: str) -> None:
    answer = Answer(1, "", printed, "qsub")
    trouble = trouble_of(ENGINE, answer)
    assert trouble is not None and trouble.passing is passing
    assert hint in trouble.hint
    assert said is None or explain(ENGINE, answer) == said
