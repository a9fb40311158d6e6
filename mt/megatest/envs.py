"""Environments: written for shells, kept by name, compared (spec/runs.md 5.17)."""

from __future__ import annotations

import os
import sys

from mt.megatest.talk import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mt.megatest.talk import Talk
    from mt.megatest.words import Args

DATABASE = "envdat.db"
#: -dumpmode and the language it means
FORMS = {"bash": "sh", "csh": "csh", "config": "ini", "ini": "ini"}


def to_file(args: Args, _talk: Talk) -> int:
    """`-env2file F`: the environment as F.sh and F.csh; what belongs to a login is only a comment."""
    from mt.environ import Env

    name, env = args.value("-env2file"), Env(os.environ)
    for end, text in ((".sh", env.sh()), (".csh", env.csh())):
        _write(f"{name}{end}", text)
    return 0


def capture(args: Args, _talk: Talk) -> int:
    """`-envcap C [db]`: keep the environment as context C."""
    from mt.db_env import save

    save(_database(args), args.value("-envcap") or "", os.environ)
    return 0


def delta(args: Args, _talk: Talk) -> int:
    """`-envdelta A-B [db] [-o F] -dumpmode bash|csh|config|ini`: what makes A into B (D15)."""
    from mt.db_env import load
    from mt.deltas import changes, writer

    mode = args.value("-dumpmode") or "bash"
    if mode not in FORMS:
        raise Refused(1, f"-dumpmode of {mode} not recognised, use one of {' '.join(FORMS)}")
    path = _database(args)
    old, new = load(path, *_contexts(args.value("-envdelta") or "", path))
    line = writer(FORMS[mode])
    text = "".join(
        f"# {name.capitalize()} vars\n" + "".join(f"{line(change)}\n" for change in group)
        for name, group in changes(old, new).items()
    )
    output = args.value("-o")
    if output:
        _write(output, text)
    else:
        sys.stdout.write(text)
    return 0


def _database(args: Args) -> str:
    return args.rest[0] if args.rest else DATABASE


def _contexts(words: str, path: str) -> tuple[str, str]:
    """The two contexts of `A-B`; names with a dash are found by what the file has."""
    from mt.db_env import names

    parts = words.split("-")
    splits = [("-".join(parts[:n]), "-".join(parts[n:])) for n in range(1, len(parts))]
    if not splits:
        raise Refused(1, f"-envdelta wants two contexts as A-B, not '{words}'")
    known = set(names(path)) if len(splits) > 1 else set()
    return next((pair for pair in splits if known.issuperset(pair)), splits[0])


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as out:
        out.write(text)
