"""condor_q and condor_history: ads of jobs, as table, as JSON, or chosen attributes of them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

from batchfakes.condor import held_at_end, in_queue, process
from batchfakes.condor_text import expand
from batchfakes.front import complain, host, say, user
from batchfakes.records import ENDED, GONE, PENDING, RUNNING, Job, Task
from batchfakes.site import Site
from batchfakes.words import Usage, date, split_options

Ad = dict[str, Any]
IDLE, RUNS, REMOVED, COMPLETED, HELD, _, SUSPENDED = range(1, 8)
_LETTERS = {IDLE: "I", RUNS: "R", REMOVED: "X", COMPLETED: "C", HELD: "H", SUSPENDED: "S"}
_VALUED = ("-constraint", "-attributes", "-name", "-pool", "-limit", "-match", "-format", "-since", "-completedsince")
_BARE = (
    "-json -long -l -nobatch -allusers -totals -hold -held -run -better-analyze -better -analyze -wide -xml -batch"
    " -backwards -forwards -global"
).split()
_TOTALS = "\nTotal for query: {} jobs; {} completed, {} removed, {} idle, {} running, {} held, 0 suspended \n"


def condor_q(site: Site, argv: list[str]) -> int:
    """What is in the queue; ids that are unknown show nothing."""
    return _query(site, argv, True)


def condor_history(site: Site, argv: list[str]) -> int:
    """What has left it, the last ones first."""
    return _query(site, argv, False)


def _query(site: Site, argv: list[str], queued: bool) -> int:
    try:
        chosen, rest = _autoformat(argv)
        options, words = split_options(_ids_last(rest), _VALUED, _BARE)
    except Usage as e:
        return complain(f"Error: unrecognized argument {e}", 1)
    said = dict(options)
    site.look()
    try:
        ads = [found for found in _ads(site, queued, words) if fits(said.get("-constraint", "true"), found)]
    except SyntaxError:
        return complain(f"Error:  Parse error of: {said['-constraint']}", 1)
    if not queued:
        ads.reverse()
        ads = ads[: int(said.get("-limit", said.get("-match", len(ads))))]
    if chosen:
        say("".join(" ".join(_shown(found.get(name)) for name in chosen) + "\n" for found in ads))
    elif "-json" in said:
        say(_json(ads, said.get("-attributes", "")))
    elif "-long" in said or "-l" in said:
        say("".join("".join(f"{k} = {json.dumps(v)}\n" for k, v in sorted(found.items())) + "\n" for found in ads))
    elif {"-better-analyze", "-better", "-analyze"} & set(said):
        say("".join(_analysis(found) for found in ads))
    else:
        say(_queue_table(ads) if queued else _history_table(ads))
    return 0


def _autoformat(argv: list[str]) -> tuple[list[str], list[str]]:
    """-af and the attributes after it, to the next option."""
    at = next((i for i, word in enumerate(argv) if re.match(r"-(af|autoformat)(:|$)", word)), None)
    if at is None:
        return [], argv
    end = next((i for i in range(at + 1, len(argv)) if argv[i].startswith("-")), len(argv))
    return argv[at + 1 : end], argv[:at] + argv[end:]


def _ids_last(argv: list[str]) -> list[str]:
    """Ids may stand between options."""
    is_id = [
        bool(re.fullmatch(r"\d+(\.\d+)?", w)) and (i == 0 or argv[i - 1] not in _VALUED) for i, w in enumerate(argv)
    ]
    pairs = list(zip(argv, is_id, strict=True))
    return [word for word, ident in pairs if not ident] + [word for word, ident in pairs if ident]


def _ads(site: Site, queued: bool, words: list[str]) -> Iterator[Ad]:
    for job, task in site.records.tasks():
        if task.state == GONE or (words and not {str(job.id), process(job, task)} & set(words)):
            continue
        shown = in_queue(site, job, task)
        if shown if queued else (task.state == ENDED and not shown):
            yield ad(site, job, task)


def ad(site: Site, job: Job, task: Task) -> Ad:
    """The attributes of one process."""
    said, number = job.spec["described"], max(task.number, 0)
    status = _status(job, task)
    found: Ad = {
        "ClusterId": job.id, "ProcId": number, "JobStatus": status, "Owner": user(), "User": f"{user()}@{host()}",
        "Cmd": said["executable"], "Args": expand(said.get("arguments", ""), said, job.id, number),
        "Iwd": job.spec["cwd"], "Out": expand(said.get("output", "/dev/null"), said, job.id, number),
        "Err": expand(said.get("error", "/dev/null"), said, job.id, number), "QDate": int(job.submitted),
        "JobUniverse": 5,
        "EnteredCurrentStatus": int(task.ended or task.started or job.submitted), "NumJobStarts": len(task.pids),
        "GlobalJobId": f"{host()}#{process(job, task)}#{int(job.submitted)}", "TotalSubmitProcs": len(job.tasks),
        "RequestCpus": int(said.get("request_cpus", 1)), "JobPrio": 0, "ServerTime": int(time.time()),
        "CompletionDate": int(task.ended) if status == COMPLETED else 0,
    }  # fmt: skip
    if job.name:
        found["JobBatchName"] = job.name
    if task.started:
        found["JobStartDate"] = found["JobCurrentStartDate"] = int(task.started)
        found["RemoteHost" if task.state == RUNNING else "LastRemoteHost"] = f"slot1_1@{host()}"
    if job.spec["at_once"]:
        found["JobMaterializeLimit"] = len(job.tasks)
        found["JobMaterializeNextProcId"] = 1 + max(t.number for t in job.tasks.values() if _born(site, job, t))
    if task.state == ENDED:
        found |= _end(job, task)
    if status == HELD:
        found |= _hold(site, task)
    if status == IDLE and (reason := site.knob("pend")):
        found["LastRejMatchReason"] = reason
    return found


def _born(site: Site, job: Job, task: Task) -> bool:
    return bool(task.pids) or task.state == ENDED or in_queue(site, job, task)


def _status(job: Job, task: Task) -> int:
    if task.state == PENDING:
        return HELD if job.spec["held"] else IDLE
    if task.state == RUNNING:
        return REMOVED if task.killed else SUSPENDED if task.suspended else RUNS
    if held_at_end(job, task):
        return HELD
    return REMOVED if task.killed or task.word else COMPLETED


def _end(job: Job, task: Task) -> Ad:
    found: Ad = {"RemoteWallClockTime": task.ended - task.started if task.started else 0.0}
    found |= {"RemoteUserCpu": task.cpu, "ResidentSetSize": task.rss // 1024, "MemoryUsage": -(-task.rss // 2**20)}
    if task.killed:
        return {**found, "RemoveReason": f"via condor_rm (by user {user()})"}
    if task.word == "memory":
        remove = job.spec["described"].get("periodic_remove", "")
        gone = {"RemoveReason": f"The job attribute PeriodicRemove expression '{remove}' evaluated to TRUE"}
        return {**found, **_memory(task), **({} if held_at_end(job, task) else gone)}
    if task.word:
        return found
    if task.signal:
        return {**found, "ExitBySignal": True, "ExitSignal": task.signal, "ExitStatus": 0}
    return {**found, "ExitBySignal": False, "ExitCode": task.code, "ExitStatus": task.code}


def _hold(site: Site, task: Task) -> Ad:
    if task.word == "memory":
        return _memory(task)
    if task.word == "time":
        why = "The job exceeded allowed execute duration of 0+00:01:00"
        return {"HoldReason": why, "HoldReasonCode": 47, "HoldReasonSubCode": 0}
    why = site.knob("hold") or "submitted on hold at user's request"
    return {"HoldReason": why, "HoldReasonCode": 1 if site.knob("hold") else 15, "HoldReasonSubCode": 0}


def _memory(task: Task) -> Ad:
    peak = -(-task.rss // 2**20)
    why = f"Error from slot1_1@{host()}: Job has gone over cgroup memory limit of 128 megabytes."
    return {
        "HoldReason": f"{why} Last usage: {peak} megabytes.",
        "HoldReasonCode": 34,
        "HoldReasonSubCode": 102,
    }


def _json(ads: list[Ad], attributes: str) -> str:
    """One ad after another, with commas on lines of their own."""
    wanted = {name.lower() for name in re.split(r"[,\s]+", attributes) if name}
    texts = [
        json.dumps({k: v for k, v in found.items() if not wanted or k.lower() in wanted}, indent=2) for found in ads
    ]
    return "[\n" + "\n,\n".join(texts) + ("\n" if texts else "") + "]\n"


def _shown(value: object) -> str:
    return "undefined" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _queue_table(ads: list[Ad]) -> str:
    text = f"\n\n-- Schedd: {host()} : <127.0.0.1:9618?... @ {date(time.time(), '%m/%d/%y %H:%M:%S')}\n"
    text += " ID      OWNER            SUBMITTED     RUN_TIME ST PRI SIZE CMD\n"
    for found in ads:
        ident = f"{found['ClusterId']}.{found['ProcId']}"
        when = date(found["QDate"], "%m/%d %H:%M")
        letter = _LETTERS[found["JobStatus"]]
        text += f"{ident:>7}   {user():14} {when:>11}   0+00:00:00 {letter:2} 0   0.0  {found['Cmd']}\n"
    counts = [sum(found["JobStatus"] == status for found in ads) for status in (COMPLETED, REMOVED, IDLE, RUNS, HELD)]
    return text + _TOTALS.format(len(ads), *counts)


def _history_table(ads: list[Ad]) -> str:
    text = " ID     OWNER          SUBMITTED   RUN_TIME     ST COMPLETED   CMD            \n"
    for found in ads:
        when = date(found["QDate"], "%m/%d %H:%M")
        done = date(found["CompletionDate"], "%m/%d %H:%M") if found["CompletionDate"] else "???"
        ident = f"{found['ClusterId']}.{found['ProcId']}"
        text += (
            f"{ident:>7} {user():14} {when:>11} 0+00:00:00 {_LETTERS[found['JobStatus']]:2} {done:>11} {found['Cmd']}\n"
        )
    return text


def _analysis(found: Mapping[str, Any]) -> str:
    reason = (
        found.get("HoldReason")
        or found.get("LastRejMatchReason")
        or "Job has not yet been considered by the matchmaker."
    )
    return f"\n-- Schedd: {host()} : <127.0.0.1:9618?...\n{found['ClusterId']:03}.{found['ProcId']:03}:  {reason}\n\n"


class _Names(dict[str, Any]):
    """Attributes by name, in any case; those that are not there are undefined."""

    def __missing__(self, name: str) -> Any:
        return {"true": True, "false": False, "undefined": None}.get(name.lower())


def fits(constraint: str, found: Ad) -> bool:
    """Whether an expression of ClassAds, made of comparisons, holds for an ad; raises SyntaxError."""
    strings: list[str] = []

    def kept(match: re.Match[str]) -> str:
        strings.append(match[0])
        return f" _{len(strings) - 1}_ "

    text = re.sub(r'"(?:[^"\\]|\\.)*"', kept, constraint)
    for old, new in (("=?=", "=="), ("=!=", "!="), ("&&", " and "), ("||", " or ")):
        text = text.replace(old, new)
    text = re.sub(r"[A-Za-z_]\w*", lambda m: m[0].lower(), re.sub(r"!(?!=)", " not ", text))
    text = re.sub(r" _(\d+)_ ", lambda m: strings[int(m[1])], text)
    names = _Names({name.lower(): value for name, value in found.items()})
    return bool(eval(text.strip(), {"__builtins__": {}}, names))
