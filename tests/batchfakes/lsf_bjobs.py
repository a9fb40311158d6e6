"""bjobs (tables, chosen columns with -o, JSON) and bhist."""

from __future__ import annotations

import json
import shlex
import time

from batchfakes.front import complain, host, say, user
from batchfakes.lsf_words import exit_code, exit_reason, identity, select, shown_name, state
from batchfakes.records import ENDED, PENDING, RUNNING, Job, Task
from batchfakes.site import Site
from batchfakes.words import Usage, date, split_options

_VALUED = ("-o", "-J", "-u", "-q", "-m", "-g", "-P", "-app", "-G", "-sla", "-Lp")
_BARE = (
    "-a -A -d -l -N -p -r -s -w -W -WL -WP -WF -X -x -noheader -json -hostfile -sum -UF -cname -pe -pei -pi -psum"
).split()
_WIDTHS = {
    "jobid": 7, "jobindex": 8, "stat": 5, "user": 7, "queue": 10, "job_name": 10, "exec_host": 11, "first_host": 11,
    "from_host": 11, "nexec_host": 10, "pend_reason": 11, "exit_code": 10, "exit_reason": 50, "submit_time": 15,
    "start_time": 15, "finish_time": 16, "run_time": 15, "cpu_used": 10, "mem": 10, "max_mem": 10, "proj_name": 11,
    "slots": 5, "command": 15, "exec_cwd": 10, "sub_cwd": 10, "app": 15, "runtimelimit": 12, "memlimit": 10,
    "pids": 20, "delimiter": 0,
}  # fmt: skip
_ALIASES = {"id": "jobid", "name": "job_name", "proj": "proj_name", "rtl": "runtimelimit", "cmd": "command"}
_DATE = "%b %e %H:%M"
_ROW = "{:<7} {:<7} {:<5} {:<10} {:<11} {:<11} {:<10} {}\n"
Found = list[tuple[Job, Task]]


def bjobs(site: Site, argv: list[str]) -> int:
    """Unfinished jobs, with -a all, or those that are named, in whatever state."""
    try:
        options, words = split_options(argv, _VALUED, _BARE)
    except Usage as e:
        return complain(f"bjobs: illegal option -- {str(e)[1:]}\nUsage: bjobs [options] [jobID ...]", 255)
    said = dict(options)
    site.look()
    found, missing = _chosen(site, said, [word for word in words if word != "0"])
    if "-json" in said:
        say(_json(site, found, missing, said.get("-o", "jobid stat queue")))
    elif "-l" in said:
        say("".join(_long(site, job, task) for job, task in found))
    elif found:
        say(_columns(site, found, said) if "-o" in said else _table(site, found, said))
    if missing and "-json" not in said:
        complain("".join(f"Job <{word}> is not found\n" for word in missing), 0)
    elif not found and not missing:
        complain("No job found" if "-a" in said or "-d" in said else "No unfinished job found", 0)
    return 255 if missing or not found else 0


def _chosen(site: Site, said: dict[str, str], words: list[str]) -> tuple[Found, list[str]]:
    """The tasks that are shown, and what was named and is unknown."""
    name = said.get("-J", "")
    found, missing = [], []
    for word in words or [""]:
        some = select(site, word, name)
        if not some and (word or name):
            missing.append(word or name)
        found += some
    if not words:
        states = _states(said)
        found = [(job, task) for job, task in found if task.state in states]
    if "-q" in said:
        found = [(job, task) for job, task in found if job.queue == said["-q"]]
    return found, missing


def _states(said: dict[str, str]) -> tuple[str, ...]:
    for option, states in (("-a", (PENDING, RUNNING, ENDED)), ("-d", (ENDED,)), ("-r", (RUNNING,)), ("-p", (PENDING,))):
        if option in said:
            return states
    return PENDING, RUNNING


def _table(site: Site, found: Found, said: dict[str, str]) -> str:
    text = _ROW.format("JOBID", "USER", "STAT", "QUEUE", "FROM_HOST", "EXEC_HOST", "JOB_NAME", "SUBMIT_TIME")
    text = "" if "-noheader" in said else text
    for job, task in found:
        fields = _fields(site, job, task)
        cells = [fields[key] for key in ("jobid", "user", "stat", "queue", "from_host", "exec_host", "job_name")]
        cells = [cell if cell != "-" else "" for cell in cells]
        if "-w" not in said:
            cells = [cells[0], cells[1][:7], cells[2], cells[3][:10], cells[4][:11], cells[5][:11], cells[6][-10:]]
        text += _ROW.format(*cells, fields["submit_time"])
        if "-p" in said:
            text += f" {_reason(site, job)};\n"
    return text


def _columns(site: Site, found: Found, said: dict[str, str]) -> str:
    """-o "field[:width] ... [delimiter='c']": cells that are too wide end in a star, with a delimiter none is cut."""
    chosen, delimiter = _output(said["-o"])
    lines = [] if "-noheader" in said else [[name.upper() for name, _ in chosen]]
    for job, task in found:
        fields = _fields(site, job, task)
        lines.append([fields[name] for name, _ in chosen])
    if delimiter:
        return "".join(delimiter.join(line) + "\n" for line in lines)
    text = ""
    for line in lines:
        cells = [c if len(c) <= abs(w) else f"{c[: abs(w) - 1]}*" for c, (_, w) in zip(line, chosen, strict=True)]
        text += " ".join(f"{c:{abs(w)}}" for c, (_, w) in zip(cells, chosen, strict=True)) + " \n"
    return text


def _output(wanted: str) -> tuple[list[tuple[str, int]], str]:
    chosen, delimiter = [], ""
    for word in shlex.split(wanted):
        if word.startswith("delimiter="):
            delimiter = word.partition("=")[2]
            continue
        name, _, width = word.partition(":")
        name = _ALIASES.get(name, name)
        chosen.append((name, int(width or _WIDTHS[name])))
    return chosen, delimiter


def _json(site: Site, found: Found, missing: list[str], wanted: str) -> str:
    records = []
    for job, task in found:
        fields = _fields(site, job, task)
        records.append({name.upper(): "" if fields[name] == "-" else fields[name] for name, _ in _output(wanted)[0]})
    records += [{"JOBID": word, "ERROR": f"Job <{word}> is not found"} for word in missing]
    return json.dumps({"COMMAND": "bjobs", "JOBS": len(records), "RECORDS": records}, indent=2) + "\n"


def _fields(site: Site, job: Job, task: Task) -> dict[str, str]:
    """All columns; `-` where there is nothing to say."""
    ended = task.state == ENDED
    code = exit_code(task) if ended else 0
    ran = (task.ended if ended else time.time()) - task.started if task.started else 0
    return {
        "jobid": str(job.id), "jobindex": str(max(task.number, 0)), "stat": state(job, task), "user": user(),
        "queue": job.queue, "job_name": shown_name(job, task), "from_host": host(),
        "exec_host": _hosts(job) if task.started else "-", "first_host": host() if task.started else "-",
        "nexec_host": "1" if task.started else "-",
        "pend_reason": f"{_reason(site, job)};" if task.state == PENDING else "-",
        "exit_code": str(code) if code else "-", "exit_reason": (exit_reason(task) if ended else "") or "-",
        "submit_time": date(job.submitted, _DATE), "start_time": date(task.started, _DATE) if task.started else "-",
        "finish_time": f"{date(task.ended, _DATE)} {'L' if not code else 'X'}" if ended else "-",
        "run_time": f"{int(ran)} second(s)", "cpu_used": f"{task.cpu:.1f} second(s)", "slots": str(job.spec["cores"]),
        "mem": "-", "max_mem": f"{task.rss / 2**20:.0f} Mbytes" if task.rss else "-",
        "proj_name": job.spec["options"].get("-P", "default"), "app": job.spec["options"].get("-app", "-"),
        "command": job.spec["command"], "exec_cwd": job.spec["cwd"], "sub_cwd": job.spec["submitted_in"],
        "runtimelimit": job.spec["options"].get("-W", "-"), "memlimit": job.spec["options"].get("-M", "-"),
        "pids": ",".join(map(str, task.living)) or "-",
    }  # fmt: skip


def _hosts(job: Job) -> str:
    return host() if job.spec["cores"] == 1 else f"{job.spec['cores']}*{host()}"


def _reason(site: Site, job: Job) -> str:
    """Why it waits."""
    if job.spec.get("held"):
        return "The job was suspended by its owner or the administrator while pending"
    if knob := site.knob("pend") or site.knob("hold"):
        return knob
    if job.spec["at_once"] and job.running() >= job.spec["at_once"]:
        return "The job array has reached its running element limit"
    if sum(other.running() for other in site.records.jobs.values()) >= int(site.knob("slots")):
        return "Job slot limit reached"
    return "New job is waiting for scheduling"


def _long(site: Site, job: Job, task: Task) -> str:
    text = (
        f"\nJob <{identity(job, task)}>, Job Name <{shown_name(job, task)}>, User <{user()}>, Project <default>, "
        f"Status <{state(job, task)}>, Queue <{job.queue}>, Command <{job.spec['command']}>\n"
        f"{date(job.submitted)[:-5]}: Submitted from host <{host()}>, CWD <{job.spec['submitted_in']}>;\n"
    )
    if task.state == PENDING:
        text += f" PENDING REASONS:\n {_reason(site, job)};\n"
    if task.started:
        where = f"Host(s) <{_hosts(job)}>, Execution CWD <{job.spec['cwd']}>"
        text += f"{date(task.started)[:-5]}: Started 1 Task(s) on {where};\n"
    if task.state == ENDED and state(job, task) == "DONE":
        text += f"{date(task.ended)[:-5]}: Done successfully. The CPU time used is {task.cpu:.1f} seconds.\n"
    elif task.state == ENDED:
        end = f"Exited with exit code {exit_code(task)}. The CPU time used is {task.cpu:.1f} seconds."
        text += f"{date(task.ended)[:-5]}: {end}\n"
        if reason := exit_reason(task):
            text += f"{date(task.ended)[:-5]}: Completed <exit>; {reason};\n"
    return text


def bhist(site: Site, argv: list[str]) -> int:
    """The history of jobs: a line of seconds for each, or with -l all that happened."""
    options, words = split_options(argv, ("-n", "-J", "-u", "-q", "-N"), "-l -a -b -d -e -p -r -s -w -UF".split())
    site.look()
    head, status = "Summary of time in seconds spent in various states:\n", 0
    head += "JOBID   USER    JOB_NAME  PEND    PSUSP   RUN     USUSP   SSUSP   UNKWN   TOTAL\n"
    between = ""
    for word in words:
        found = select(site, word, "")
        if not found:
            status = complain("No matching job found", 255)
        for job, task in found:
            say(between + _story(job, task) if ("-l", "") in options else head + _bhist_row(job, task))
            head, between = "", "-" * 78 + "\n"
    return status


def _bhist_row(job: Job, task: Task) -> str:
    now = time.time()
    waited = int((task.started or task.ended or now) - job.submitted)
    ran = int((task.ended or now) - task.started) if task.started else 0
    cells = [identity(job, task), user(), shown_name(job, task)[:9], waited, 0, ran, 0, 0, 0, waited + ran]
    return "".join(f"{cell!s:8}" if i != 2 else f"{cell!s:10}" for i, cell in enumerate(cells)).rstrip() + "\n"


def _story(job: Job, task: Task) -> str:
    """What bhist -l -UF tells."""
    began, now = date(job.submitted)[:-5], date(task.ended or time.time())[:-5]
    text = (
        f"\nJob <{identity(job, task)}>, Job Name <{shown_name(job, task)}>, User <{user()}>, Project <default>, "
        f"Command <{job.spec['command']}>\n"
        f"{began}: Submitted from host <{host()}>, to Queue <{job.queue}>, CWD <{job.spec['submitted_in']}>;\n"
    )
    if task.started:
        start = date(task.started)[:-5]
        text += f"{start}: Dispatched 1 Task(s) on Host(s) <{host()}>, Allocated 1 Slot(s) on Host(s) <{host()}>;\n"
        text += f"{start}: Starting (Pid {task.pids[-1]});\n"
        text += f"{start}: Running with execution home </>, Execution CWD <{job.spec['cwd']}>,"
        text += f" Execution Pid <{task.pids[-1]}>;\n"
    if task.state == ENDED and state(job, task) == "DONE":
        text += f"{now}: Done successfully. The CPU time used is {task.cpu:.1f} seconds;\n"
        text += f"{now}: Post job process done successfully;\n"
    elif task.state == ENDED:
        text += (
            f"{now}: Exited with exit code {exit_code(task)}. The CPU time used is {task.cpu:.1f} seconds;\n"
            if task.started
            else f"{now}: Exited;\n"
        )
        text += (
            f"{now}: Completed <exit>; {exit_reason(task)};\n" if exit_reason(task) else f"{now}: Completed <exit>;\n"
        )
    cells = _bhist_row(job, task).split()[-7:]
    return text + (
        f"\nSummary of time in seconds spent in various states by  {now}\n"
        "  PEND     PSUSP    RUN      USUSP    SSUSP    UNKWN    TOTAL\n"
        f"  {''.join(f'{cell:9}' for cell in cells).rstrip()}\n"
    )
