"""Run the named verb, turn errors into one line and a status.

`mt/verbs.py` says how a verb is found.  This is the only place that prints
errors, and the only broad handler.
"""

from __future__ import annotations

import os
import sys

from mt import __version__, verbs
from mt.errors import MtError, StoreError, UsageError, why
from mt.options import parse
from mt.stdio import drop_output, open_standard_files, output_trouble, say


def main(argv: list[str] | None = None) -> int:
    """Run one command line; the exit status is the answer."""
    open_standard_files()
    status = _answer(list(sys.argv[1:] if argv is None else argv))
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        status = 141
    except OSError as e:
        say(f"cannot write to standard output: {why(e)}")
        status = 5
    else:
        return status
    drop_output()
    return status


def _answer(words: list[str]) -> int:
    try:
        return _run(words)
    except BrokenPipeError as e:
        if not _reader_is_gone():
            say(f"cannot go on: {why(e)}")
            return 5
        return 141
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    except MtError as e:
        return _failed(e)
    except OSError as e:
        if e.filename is None and (trouble := output_trouble()):
            return _failed(StoreError(f"cannot write to standard output: {trouble}"))
        error = StoreError(f"cannot use '{e.filename}': {why(e)}" if e.filename else f"cannot go on: {why(e)}")
        error.__cause__ = e
        return _failed(error)


def _failed(error: MtError) -> int:
    """Say what went wrong, and whose file it was that forbade it; gives the status."""
    from mt.team import explained

    error = explained(error)
    for line in error.lines():
        say(line)
    return error.status


def _run(words: list[str]) -> int:
    if words and words[0] in ("--version", "-V"):
        print(f"mt {__version__}")
        return 0
    if words and words[0] == "-C" and len(words) > 2:
        words = [words[2], "-C", words[1], *words[3:]]
    if not words or words[0] in ("-h", "--help"):
        words = ["help", *words[1:]]
    if words[1:2] in (["-h"], ["--help"]) and (inner := verbs.verbs_of(words[0])):
        return _list_noun(words[0], inner)
    found = verbs.find(words)
    if found is None:
        _external(words)
        raise UsageError(f"unknown verb '{words[0]}'", hint=verbs.nearest(words[0]))
    name, left = found
    module = verbs.load(name)
    before = left[: left.index("--")] if "--" in left else left
    if "-h" in before or "--help" in before:
        from mt.pages import short_help

        sys.stdout.write(short_help(name, module))
        return 0
    return int(module.main(parse(module.Options, left, f"mt {name}")))


def _list_noun(noun: str, inner: list[str]) -> int:
    from mt.pages import entries

    sys.stdout.write(f"usage: mt {noun} VERB [OPTIONS]\n\n")
    sys.stdout.write(entries([(f"mt {noun} {v}", verbs.summary(f"{noun} {v}")) for v in inner]))
    return 0


def _external(words: list[str]) -> None:
    """Run `mt-NAME` from PATH when there is one; does not come back then."""
    if "/" in words[0] or words[0].startswith("-"):
        return
    import shutil

    found = shutil.which(f"mt-{words[0]}")
    if found:
        sys.stdout.flush()
        os.execv(found, [found, *words[1:]])  # noqa: S606 - the user's own program, named by the user


def _reader_is_gone() -> bool:
    """Whether it is our own standard output that nobody reads any more, rather than some other pipe."""
    import select

    poll = select.poll()
    poll.register(1, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
