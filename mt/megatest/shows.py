"""What an area says: targets, disks, keys, configuration (spec/runs.md 5.11, spec/config.md R13, R16)."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from mt.area import Area
    from mt.config import Config, Problem
    from mt.megatest.talk import Talk
    from mt.megatest.words import Args


def targets(args: Args, talk: Talk) -> int:
    """`-list-targets`: the sections of runconfigs.config, `default` among them; those that match -target."""
    from mt.megatest.prepare import open_area

    area = open_area(args, talk)
    told = len(area.problems)
    names = area.targets(args.value("-target"))
    tell(area.problems[told:], talk)
    return _list(names, names, args, talk)


def db_targets(args: Args, talk: Talk) -> int:
    """`-list-db-targets`: the targets of the runs there are, in the order of their first runs (D10)."""
    from mt.megatest.selecting import open_to_list, runs, store_of

    opened = open_to_list(args, talk)
    store = store_of(opened.area)
    found = runs(store, opened.target, args.value("-runname")) if store is not None else []
    names = list(dict.fromkeys(run.target for run in found))
    return _list(names, {"targets": names}, args, talk)


def _list(names: list[str], data: object, args: Args, talk: Talk) -> int:
    """Names one a line, or as json."""
    mode = args.value("-dumpmode")
    if mode == "json":
        _write_json(data)
    elif mode in (None, "alist"):
        sys.stdout.write("".join(f"{name}\n" for name in names))
    else:
        talk.error(f"dump output format {mode} is not supported here")
    return 0


def disks(args: Args, talk: Talk) -> int:
    """`-list-disks`: the names and directories of [disks]."""
    from mt.megatest.prepare import open_area

    found = open_area(args, talk).disks or ()
    sys.stdout.write("".join(f"{name} => {path}\n" for name, path in found))
    return 0


def keys(args: Args, talk: Talk) -> int:
    """`-show-keys`: the keys of a target, as a message."""
    from mt.megatest.prepare import open_area

    talk.info(1, f"Keys: {', '.join(open_area(args, talk).keys)}")
    return 0


# -- configuration


def config(args: Args, talk: Talk) -> int:
    """`-show-config`: megatest.config, all expanded."""
    area = _open(args, talk)
    told = len(area.config.problems)
    status = show(area.config, args, talk, usual="sexp")
    tell(area.config.problems[told:], talk)
    return status


def runconfig(args: Args, talk: Talk) -> int:
    """`-show-runconfig`: what counts for the target; all of runconfigs.config without one."""
    from mt.config import Config
    from mt.megatest.selecting import run_variables
    from mt.opening import RUNCONFIGS

    area = _open(args, talk)
    found = run_variables(area, args)
    if found is None:
        if area.target is None:
            talk.say(1, f"WARNING: You do not have a run config file: {area.home}/{RUNCONFIGS}")
        return show(Config(RUNCONFIGS), args, talk, usual="ini")
    told = 0 if area.runconfigs is None else len(found.problems)
    status = show(found, args, talk, usual="ini", section="default")
    tell(found.problems[told:], talk)
    return status


def _open(args: Args, talk: Talk) -> Area:
    from mt.megatest.selecting import open_to_list

    return open_to_list(args, talk).area


def tell(problems: Iterable[Problem], talk: Talk) -> None:
    """Say what went wrong in a file of the area; the exit status does not tell of it."""
    for problem in problems:
        if problem.level == "error":
            talk.error(f"{problem.where}: {problem.text}")


def show(config: Config, args: Args, talk: Talk, *, usual: str, section: str | None = None) -> int:
    """One value when -section and -var name it (that of `section` else), or everything in a format."""
    asked, key = args.value("-section"), args.value("-var")
    if asked is not None and key is not None:
        value = config.get(asked, key)
        if value is None and section is not None:
            value = config.get(section, key)
        if value is not None:
            print(value)
        return 0
    mode = args.value("-dumpmode") or usual
    if mode == "json":
        _write_json({name: list(map(list, config.items(name))) for name in config.sections()})
    elif mode == "ini":
        sys.stdout.write(ini(config))
    elif mode == "sexp":
        from mt.megatest.sexpr import pretty

        print(pretty([[name, *map(list, config.items(name))] for name in config.sections()]))
    else:
        talk.error(f"-dumpmode of {mode} not recognised")
    return 0


def ini(config: Config) -> str:
    """Each section after a blank line, keys and values as they are."""
    parts = []
    for name in config.sections():
        parts.append(f"\n[{name}]\n")
        parts += [f"{key} {value}\n" for key, value in config.items(name)]
    return "".join(parts)


def _write_json(data: object) -> None:
    import json

    print(json.dumps(data, ensure_ascii=False, separators=(",", ":")))
