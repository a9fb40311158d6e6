"""qstat (table, -xml, -j), qacct and qhost of Grid Engine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from batchfakes.front import complain, host, say, user
from batchfakes.records import PENDING, RUNNING, Job, Task
from batchfakes.sge import SIGNALS, accounted, known, state, target
from batchfakes.site import Site
from batchfakes.words import Usage, date, escape, spans, split_options

_LINE = "=" * 62
_HEAD = (
    "job-ID  prior   name       user         state submit/start at     queue"
    "                          slots ja-task-ID \n"
)
_SCHEMA = "http://arc.liv.ac.uk/repos/darcs/sge/source/dist/util/resources/schemas/qstat/qstat.xsd"


class Row(NamedTuple):
    """A line of qstat: a task that runs, or all tasks of a job that wait in the same state."""

    job: Job
    state: str
    running: bool
    when: float
    tasks: str


def qstat(site: Site, argv: list[str]) -> int:
    """What waits and runs; nothing that has ended."""
    try:
        options, _ = split_options(
            argv,
            ("-u", "-j", "-s", "-q", "-l", "-F", "-explain", "-U", "-pe"),
            "-xml -f -g -ext -r -t -ne -pri -urg".split(),
        )
    except Usage as e:
        return complain(f'error: unknown option "{e}"', 1)
    said = dict(options)
    site.look()
    if "-j" in said:
        return _details(site, said["-j"])
    rows = [row for row in _rows(site) if said.get("-u", user()) in (user(), "*")]
    if "-xml" in said:
        say(_xml(rows))
    elif rows:
        say(_HEAD + "-" * 113 + "\n" + "".join(map(_line, rows)))
    return 0


def _rows(site: Site) -> Iterator[Row]:
    """What runs comes first."""
    for job, task in site.records.tasks():
        if task.state == RUNNING:
            yield Row(job, state(job, task), True, task.started, str(task.number) if job.array else "")
    for job in site.visible():
        waiting: dict[str, list[int]] = {}
        for task in job.tasks.values():
            if task.state == PENDING:
                waiting.setdefault(state(job, task), []).append(task.number)
        for word, numbers in waiting.items():
            yield Row(job, word, False, job.submitted, _ranges(numbers) if job.array else "")


def _ranges(numbers: list[int]) -> str:
    """`2,4-10:1`."""
    return ",".join(str(first) if first == last else f"{first}-{last}:1" for first, last in spans(numbers))


def _line(row: Row) -> str:
    queue = f"{row.job.queue}@{host()}" if row.running else ""
    when = date(row.when, "%m/%d/%Y %H:%M:%S")
    return (
        f"{row.job.id:7} {_priority(row)} {row.job.name[:10]:10} {user()[:12]:12} {row.state:5} {when} "
        f"{queue[:30]:30} {row.job.spec['slots']:>5} {row.tasks:10} \n"
    )


def _priority(row: Row) -> str:
    return "0.00000" if row.state.startswith("h") else "0.55500"


def _xml(rows: list[Row]) -> str:
    text = f"<?xml version='1.0'?>\n<job_info  xmlns:xsd=\"{_SCHEMA}\">\n  <queue_info>\n"
    text += "".join(_entry(row) for row in rows if row.running) + "  </queue_info>\n  <job_info>\n"
    text += "".join(_entry(row) for row in rows if not row.running)
    return f"{text}  </job_info>\n</job_info>\n"


def _entry(row: Row) -> str:
    when = "JAT_start_time" if row.running else "JB_submission_time"
    fields = {
        "JB_job_number": str(row.job.id), "JAT_prio": _priority(row), "JB_name": row.job.name, "JB_owner": user(),
        "state": row.state, when: date(row.when, "%Y-%m-%dT%H:%M:%S"),
        "queue_name": f"{row.job.queue}@{host()}" if row.running else "", "slots": row.job.spec["slots"],
        **({"tasks": row.tasks} if row.tasks else {}),
    }  # fmt: skip
    inner = "".join(f"      <{name}>{escape(value)}</{name}>\n" for name, value in fields.items())
    return f'    <job_list state="{"running" if row.running else "pending"}">\n{inner}    </job_list>\n'


def _details(site: Site, wanted: str) -> int:
    jobs = [job for job in site.visible() if str(job.id) in wanted.split(",") and job.unfinished()]
    missing = [word for word in wanted.split(",") if word not in {str(job.id) for job in jobs}]
    for job in jobs:
        say(f"{_LINE}\n" + "".join(f"{name + ':':27} {value}\n" for name, value in _of_job(site, job)))
    if missing:
        return complain("Following jobs do not exist: \n" + "\n".join(missing), 1)
    return 0


def _of_job(site: Site, job: Job) -> Iterator[tuple[str, str]]:
    spec, first = job.spec, next(iter(job.tasks.values()))
    yield "job_number", str(job.id)
    yield "exec_file", f"job_scripts/{job.id}"
    yield "submission_time", date(job.submitted)
    yield "owner", user()
    yield "uid", str(os.getuid())
    yield "sge_o_workdir", spec["submitted_in"]
    yield "account", spec["options"].get("-A", "sge")
    yield "cwd", spec["cwd"]
    yield "merge", "y" if spec["join"] else "n"
    yield "hard resource_list", spec["options"].get("-l", "")
    yield "stdout_path_list", f"NONE:NONE:{target(job, first, 'o')}"
    yield "notify", str(spec["notify"]).upper()
    yield "job_name", job.name
    yield "hard_queue_list", spec["options"].get("-q", "")
    yield "shell_list", f"NONE:{spec['options'].get('-S', '/bin/sh')}"
    if "-pe" in spec["options"]:
        yield "parallel environment", spec["options"]["-pe"].replace(" ", " range: ")
    if job.array:
        yield "job-array tasks", f"{spec['tasks'][0]}-{spec['tasks'][-1]}:1"
    if spec["at_once"]:
        yield "task_concurrency", str(spec["at_once"])
    for task in job.tasks.values():
        if task.state == RUNNING:
            yield f"usage {max(task.number, 1):4}", "cpu=00:00:00, mem=0.00000 GBs, io=0.00000, vmem=N/A, maxvmem=N/A"
    if any(task.state == PENDING for task in job.tasks.values()):
        yield "scheduling info", _reason(site, job)


def _reason(site: Site, job: Job) -> str:
    if knob := site.knob("pend") or site.knob("hold"):
        return knob
    if job.spec["at_once"] and job.running() >= job.spec["at_once"]:
        return f"job {job.id} has reached its limit of concurrent tasks"
    return f'queue instance "{job.queue}@{host()}" dropped because it is full'


def qacct(site: Site, argv: list[str]) -> int:
    """Accounting of jobs that ran and have ended."""
    try:
        options, _ = split_options(argv, ("-j", "-o", "-q", "-t", "-f"), ())
    except Usage as e:
        return complain(f'error: unknown option "{e}"', 1)
    site.look()
    wanted = dict(options).get("-j", "")
    found = known(site, wanted)
    if not found:
        return complain(f"error: job id {wanted} not found", 1)
    for job, task in found:
        say(f"{_LINE}\n" + "".join(f"{name:12} {value:20}\n" for name, value in _account(job, task)))
    return 0


def _account(job: Job, task: Task) -> Iterator[tuple[str, str]]:
    failed, status = accounted(task)
    wall = task.ended - task.started
    yield from (("qname", job.queue), ("hostname", host()), ("group", user()), ("owner", user()))
    yield from (("project", job.spec["options"].get("-P", "NONE")), ("department", "defaultdepartment"))
    yield from (("jobname", job.name), ("jobnumber", str(job.id)))
    yield from (("taskid", str(task.number) if job.array else "undefined"), ("account", "sge"), ("priority", "0"))
    yield from (("qsub_time", date(job.submitted)), ("start_time", date(task.started)), ("end_time", date(task.ended)))
    yield from (("granted_pe", job.spec["options"].get("-pe", "NONE").split()[0]), ("slots", job.spec["slots"]))
    yield from (("failed", f"{failed:5}"), ("exit_status", _status(status)), ("ru_wallclock", f"{wall:.0f}s"))
    yield from (("ru_utime", f"{task.cpu:.3f}s"), ("ru_stime", "0.000s"), ("ru_maxrss", f"{task.rss / 1000:.3f}KB"))
    yield from (("cpu", f"{task.cpu:.3f}s"), ("mem", "0.000GBs"), ("io", "0.000GB"), ("iow", "0.000s"))
    yield from (("maxvmem", _most(job, task)), ("arid", "undefined"), ("ar_sub_time", "undefined"))
    asked = job.spec["options"].get("-l")
    yield "category", f"-l {asked}" if asked else "NONE"


def _status(status: int) -> str:
    return f"{status:<20} ({SIGNALS[status]})" if status in SIGNALS else str(status)


def _most(job: Job, task: Task) -> str:
    """The most memory used; a job that was ended for it has reached its limit."""
    limits = dict(word.partition("=")[::2] for word in job.spec["options"].get("-l", "").split(","))
    if task.word == "memory" and "h_vmem" in limits:
        return f"{limits['h_vmem'][:-1]}.000{limits['h_vmem'][-1]}B"
    return f"{task.rss / 1e6:.3f}MB"


def qhost() -> int:
    row = "{:23} {:12} {:>5} {:>4} {:>4} {:>4} {:>5} {:>7} {:>7} {:>7} {:>7}\n"
    say(row.format("HOSTNAME", "ARCH", "NCPU", "NSOC", "NCOR", "NTHR", "LOAD", "MEMTOT", "MEMUSE", "SWAPTO", "SWAPUS"))
    say("-" * 94 + "\n" + row.format("global", *["-"] * 10))
    cores = os.cpu_count() or 1
    say(row.format(host(), "lx-amd64", cores, 1, cores, cores, "0.10", "24.0G", "1.0G", "0.0", "0.0"))
    return 0
