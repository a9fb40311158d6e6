"""`mtutil`: read the old words, find the action, do it (spec/runs.md 1.8)."""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module

from mt.errors import MtError, why
from mt.mtutil import words
from mt.mtutil.talk import Talk
from mt.stdio import drop_output, open_standard_files, output_trouble

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from mt.mtutil.words import Args

#: action -> the function of mt.mtutil.actions that does it
ACTIONS = {
    **dict.fromkeys(("run", "remove", "rerun", "set-ss", "archive", "kill", "list"), "ask"),
    "import": "take_in", "rungen": "rungen", "dispatch": "dispatch", "process": "process", "show": "show",
    "gendot": "draw", "db": "database", "tsend": "send", "tlisten": "hear",
}  # fmt: skip
#: actions whose operands mean something; elsewhere words that are no option are spoken of
_TAKERS = ("show", "db", "tsend", "tlisten", "archive")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; gives 0, 1 for whatever its user should mend, 130 and 141 as everywhere."""
    open_standard_files()
    talk = Talk()
    try:
        args = words.read(sys.argv[1:] if argv is None else argv)
        status = _logged(args, talk)
        sys.stdout.flush()
    except MtError as e:
        talk.failure(e)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        drop_output()
        return 141
    except OSError as e:
        if e.filename is None and (trouble := output_trouble()):
            talk.error(f"cannot write to standard output: {trouble}")
            return 1
        talk.error(f"cannot use '{e.filename}': {why(e)}" if e.filename else why(e))
        return 1
    return status or int(talk.failed)


def _logged(args: Args, talk: Talk) -> int:
    """Do it with all output in the file of -log, when there is one."""
    log = args.values.get("-log")
    if log is None:
        return _act(args, talk)
    try:
        out = open(log, "a", encoding="utf-8", errors="surrogateescape")
    except OSError as e:
        raise MtError(f"cannot write '{log}': {why(e)}") from e
    with out, redirect_stdout(out), redirect_stderr(out):
        try:
            return _act(args, talk)
        except MtError as e:
            talk.failure(e)
            return 1


def _act(args: Args, talk: Talk) -> int:
    if args.is_help:
        return _help(sys.stdout)
    if not args.action:
        # -version, -manual and their like are understood and do nothing
        return 0 if args.flags or args.values else _help(sys.stderr)
    _change_directory(args)
    if "-load" in args.values or "-repl" in args.flags:
        talk.warn("-load and -repl are for Scheme, which there is none any more")
    function = ACTIONS.get(args.action)
    if function is None:
        raise MtError(f"no action is called '{args.action}'{_meant(args.action)}")
    if args.rest and args.action not in _TAKERS:
        talk.warn(f"Unrecognised arguments: {' '.join(args.rest)}")
    return int(getattr(import_module("mt.mtutil.actions"), function)(args, talk))


def _help(out: TextIO) -> int:
    from mt.mtutil.usage import TEXT

    out.write(TEXT)
    return 1


def _meant(action: str) -> str:
    if action in ("areas", "contours", "setup", "access", "listeners"):
        return f": mtutil show {action}"
    from mt.targets import nearest

    hint = nearest(action, ACTIONS)
    return f": {hint}" if hint else ""


def _change_directory(args: Args) -> None:
    start = args.values.get("-start-dir")
    if start is not None:
        try:
            os.chdir(start)
        except OSError as e:
            raise MtError(f"cannot use -start-dir '{start}': {why(e)}") from e
