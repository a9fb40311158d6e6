"""Ask the engines now what became of jobs, for people: one query for all open jobs of an engine (features.md B20).

What the controller knows is not touched, and nothing is recorded.  An engine
that cannot be asked, or answers rubbish, leaves the state of its jobs unknown;
one that does not list a job, and has no memory of it, says that it is gone.
"""

from __future__ import annotations

import time

from mt.errors import MtError
from mt.launchers import engine
from mt.launchers.base import Engine, Unreadable, Word
from mt.launchers.calling import call, explain, fits
from mt.pipeline.fates import GONE, UNKNOWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mt.pipeline.jobs import RunJobs

#: seconds that one query may take
LIMIT = 60.0


def inquire(run: RunJobs, name: str, env: Mapping[str, str]) -> list[str]:
    """Let the jobs of a run, which have this name, hear what their engines say now; a line for each that cannot say."""
    trouble: list[str] = []
    for made in map(engine, sorted({job.engine for job in run.jobs() if job.is_open})):
        ids = [ident for log in run.bags() for ident in log.open_ids(made.name)]
        words, told = _asked(made, ids, name, env)
        trouble += [f"{made.name} cannot be asked: {text}" for text in dict.fromkeys(told)]
        now = time.time()
        for log in run.bags():
            for ident, word in words.items():
                log.hear(ident, word, now)
    return trouble


def _asked(made: Engine, ids: Sequence[str], name: str, env: Mapping[str, str]) -> tuple[dict[str, Word], list[str]]:
    """The word of each job, and what went wrong; jobs that go by other commands are asked for by themselves."""
    words: dict[str, Word] = {}
    trouble: list[str] = []
    groups: dict[str, list[str]] = {}
    for ident in ids:
        groups.setdefault(made.apart(ident), []).append(ident)
    for group in groups.values():
        try:
            found = listed(made, group, env, name)
            gone = [ident for ident in group if ident not in found]
            words.update({**dict.fromkeys(gone, Word(GONE, "")), **_past(made, gone, env), **found})
        except MtError as e:
            trouble.append(e.what)
            words.update(dict.fromkeys(group, Word(UNKNOWN, "")))
    return words, trouble


def listed(
    made: Engine, ids: Sequence[str], env: Mapping[str, str], name: str, limit: float = LIMIT
) -> dict[str, Word]:
    """What an engine says of these jobs, which have this name; those that it does not list are left out.

    Each of its commands gets `limit` seconds.  Raises LaunchError when it cannot be asked.
    """
    from mt.errors import LaunchError

    words: dict[str, Word] = {}
    for argv in made.poll(name, ids):
        answer = call(argv, seconds=limit, env=env)
        if answer.status and made.missing and fits(made.missing, answer):
            continue
        if answer.status:
            raise LaunchError(explain(made, answer))
        try:
            words.update(made.read(answer.out))
        except Unreadable as e:
            raise LaunchError(f"cannot understand what '{argv[0]}' says: {e}") from e
    wanted = set(ids)
    return {ident: word for ident, word in words.items() if ident in wanted}


def _past(made: Engine, ids: Sequence[str], env: Mapping[str, str]) -> dict[str, Word]:
    """What an engine remembers of jobs that it does not list any more; many do not, and that is no trouble."""
    if made.past is None or made.read_past is None or not ids:
        return {}
    try:
        answer = call(made.past(ids), seconds=LIMIT, env=env)
        found = {} if answer.status else made.read_past(answer.out)
    except (MtError, Unreadable):
        return {}
    wanted = set(ids)
    return {ident: word for ident, word in found.items() if ident in wanted}
