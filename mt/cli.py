"""Find the named verb, run it, turn errors into one line and a status.

Nothing registers a verb: it is the module `mt/sections/SECTION/VERB.py` (dashes
become underscores), or for two-word verbs `mt/sections/SECTION/NOUN/VERB.py`.
This is the only place that prints errors, and the only broad handler.
"""

from __future__ import annotations

import os
import sys

from mt import __version__
from mt.errors import MtError, UsageError, why
from mt.options import parse
from mt.stdio import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

#: folder -> the word after `mt help`
SECTIONS = {"run_control": "run-control", "queries": "queries", "utilities": "utilities"}
_HOME = os.path.join(os.path.dirname(__file__), "sections")


def main(argv: list[str] | None = None) -> int:
    """Run one command line; the exit status is the answer."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        status = _guarded(words)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        return _reader_left()
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    except MtError as e:
        for line in e.lines():
            say(line)
        return e.status
    except OSError as e:
        subject = f" '{e.filename}'" if e.filename else ""
        say(f"cannot use{subject}: {why(e)}")
        return 5


def _guarded(words: list[str]) -> int:
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")
    if words and words[0] in ("--version", "-V"):
        print(f"mt {__version__}")
        return 0
    if words and words[0] == "-C" and len(words) > 2:
        words = [words[2], "-C", words[1], *words[3:]]
    if not words or words[0] in ("-h", "--help"):
        words = ["help"]
    name, module, left = find(words)
    before = left[: left.index("--")] if "--" in left else left
    if "-h" in before or "--help" in before:
        from mt.pages import short_help

        sys.stdout.write(short_help(name, module))
        return 0
    return int(module.main(parse(module.Options, left, f"mt {name}")))


def find(words: list[str]) -> tuple[str, ModuleType, list[str]]:
    """The verb's name, its module, and the words that are left; raises UsageError for an unknown verb.

    A two-word verb is looked up by both words.  A name that mt does not have
    is looked for as `mt-NAME` on PATH and run in mt's place.
    """
    from importlib import import_module

    first = words[0].replace("-", "_")
    for section in SECTIONS:
        if not first.isidentifier() or first.startswith("_"):
            break
        path = os.path.join(_HOME, section, first)
        if os.path.exists(path + ".py"):
            return words[0], import_module(f"mt.sections.{section}.{first}"), words[1:]
        if os.path.isdir(path):
            return _two_words(words, section, first, path)
    _external(words)
    raise UsageError(f"unknown verb '{words[0]}'", hint=_near(words[0], verb_names()))


def _two_words(words: list[str], section: str, noun: str, path: str) -> tuple[str, ModuleType, list[str]]:
    from importlib import import_module

    verbs = sorted(_modules(path))
    second = words[1].replace("-", "_") if len(words) > 1 else ""
    if second not in verbs:
        if second in ("_h", "__help"):
            raise UsageError(f"mt {words[0]} needs one of: {', '.join(verbs)}", hint=f"mt {words[0]} {verbs[0]} -h")
        said = f"'{words[1]}' is none of" if len(words) > 1 else "needs one of"
        raise UsageError(f"mt {words[0]}: {said} {', '.join(verbs)}", hint=f"mt {words[0]} {verbs[0]} -h")
    name = f"{words[0]} {words[1]}"
    return name, import_module(f"mt.sections.{section}.{noun}.{second}"), words[2:]


def _modules(path: str) -> list[str]:
    return [n[:-3] for n in os.listdir(path) if n.endswith(".py") and not n.startswith("_")]


def verb_names(section: str | None = None) -> list[str]:
    """Every verb as typed, sorted: `run`, `db check`, ...; of one section folder, or of all."""
    names: list[str] = []
    for folder in [section] if section else list(SECTIONS):
        home = os.path.join(_HOME, folder)
        for entry in os.listdir(home):
            path = os.path.join(home, entry)
            if entry.endswith(".py") and not entry.startswith("_"):
                names.append(entry[:-3].replace("_", "-"))
            elif os.path.isdir(path) and not entry.startswith("_"):
                names.extend(f"{entry} {m}".replace("_", "-") for m in _modules(path))
    return sorted(names)


def _external(words: list[str]) -> None:
    """Run `mt-NAME` from PATH when there is one; does not come back then."""
    if "/" in words[0] or words[0].startswith("-"):
        return
    import shutil

    found = shutil.which(f"mt-{words[0]}")
    if found:
        sys.stdout.flush()
        os.execv(found, [found, *words[1:]])  # noqa: S606 - the user's own program, named by the user


def _near(word: str, names: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(word, names, 3, 0.6)
    return f"did you mean {', '.join(near)}?" if near else "mt help"


def _reader_left() -> int:
    """The reader of our pipe went away: leave quietly, without a second error at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    return 141
