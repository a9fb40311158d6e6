"""Words for an engine's submit command that nobody else may say, because mt relies on what it says itself.  Pure.

Only what breaks the work of a job, or the finding of it, is taken: a name by
which jobs are asked for, the numbers of tasks, the id that is printed, where a
job prints.  All else is left to people and their sites.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

_NAME = "jobs are asked for by the name that mt gives them"
_ARRAY = "mt says itself which tasks there are"
_OUTPUT = "mt reads what jobs print where it says"
_WAIT = "mt cannot wait for the end of a job to submit the next one"
_ID = "mt needs the id of the job that is printed"
_SCRIPT = "the job is a script of mt with directives in it"
_ELSEWHERE = "jobs of other clusters are not found again"
#: what can be said in place of some of them
_HINTS: Mapping[str, str] = {
    _ARRAY: "submit=array or submit=job says how cases are handed over, jobs=N how many at once",
    _WAIT: "mt run waits for its cases by itself",
}

#: words of the engines whose options are one word each
_WORDS: Mapping[str, Mapping[str, str]] = {
    "lsf": {"-J": _NAME, "-K": _WAIT, "-o": _OUTPUT, "-oo": _OUTPUT, "-pack": _SCRIPT,
            **dict.fromkeys(("-I", "-Ip", "-Is", "-IS", "-ISp", "-ISs", "-IX"), _WAIT)},
    "sge": {"-t": _ARRAY, "-sync": _WAIT, "-o": _OUTPUT, "-verify": _ID, "-C": _SCRIPT, "-b": _SCRIPT},
}  # fmt: skip
#: letters of the engines whose options may have their value with them
_LETTERS: Mapping[str, Mapping[str, str]] = {
    "slurm": {"J": _NAME, "M": _ELSEWHERE, "a": _ARRAY, "o": _OUTPUT, "W": _WAIT, "Q": _ID},
    "pbs": {"J": _ARRAY, "I": _WAIT, "o": _OUTPUT, "z": _ID, "C": _SCRIPT},
    "torque": {"t": _ARRAY, "I": _WAIT, "o": _OUTPUT, "z": _ID, "C": _SCRIPT},
}
#: long options, which may be shortened
_LONG: Mapping[str, str] = {
    "job-name": _NAME, "clusters": _ELSEWHERE, "array": _ARRAY, "output": _OUTPUT, "wait": _WAIT, "quiet": _ID,
    "test-only": _ID, "wrap": _SCRIPT,
}  # fmt: skip
#: keys of a submit description of HTCondor, in small letters
_KEYS: Mapping[str, str] = {
    "queue": _ARRAY, "batch_name": _NAME, "jobbatchname": _NAME, "output": _OUTPUT, "out": _OUTPUT,
    **dict.fromkeys(("executable", "arguments", "environment", "env", "periodic_remove"), "mt says it itself"),
}  # fmt: skip


def refused(engine: str, flags: Sequence[str]) -> tuple[str, str] | None:
    """What is wrong with flags for an engine, and a hint; None when all of them can be handed on."""
    if engine == "htcondor":
        return _of_lines(flags)
    for flag in flags:
        if why := _taken(engine, flag):
            return _told(flag, why)
    if engine in ("pbs", "torque") and any(re.search(r"(^|,)block=", value) for value in _values(flags, "-W")):
        return _told("-W block", _WAIT)
    return None


def _taken(engine: str, flag: str) -> str:
    """Why a word may not be said; empty when it may."""
    if engine == "slurm" and flag.startswith("--"):
        name = flag[2:].partition("=")[0]
        return next((why for long, why in _LONG.items() if len(name) > 1 and long.startswith(name)), "")
    if engine in _LETTERS and flag[:1] == "-":
        return _LETTERS[engine].get(flag[1:2], "")
    return _WORDS.get(engine, {}).get(flag, "")


def _told(flag: str, why: str) -> tuple[str, str]:
    return f"flags: '{flag}' is not yours to say: {why}", _HINTS.get(why, f"leave '{flag}' out")


def _values(flags: Sequence[str], option: str) -> Iterator[str]:
    """The values of an option, in the next word or in the same."""
    for word, following in zip(flags, [*flags[1:], ""], strict=False):
        if word.startswith(option):
            yield word.removeprefix(option) or following


def _of_lines(flags: Sequence[str]) -> tuple[str, str] | None:
    for flag in flags:
        key, equals, _ = flag.partition("=")
        if not equals:
            hint = "flags are lines of a submit description, as in: flags='request_gpus=1'"
            return f"flags: '{flag}' is not KEY=VALUE", hint
        plain = key.strip().lower().removeprefix("+").removeprefix("my.")
        if why := _KEYS.get(plain.split(None, 1)[0] if plain else ""):
            return _told(key.strip(), why)
    return None
