"""show what mt can do: verbs by section, manuals, environment variables

Without a word: the sections and the verbs that are used most.

- `mt help run-control`, `mt help queries`, `mt help utilities`: the verbs of one section, one line each
- `mt help all`: every verb
- `mt help VERB`: its manual page, as `man mt-VERB` shows it; for a noun such as `db` the list of its verbs
- `mt help environment`: every MT_ variable
- `mt help TOPIC`: a page that is no verb; `mt help 7 status` asks for section 7, where a verb has the same name

On a terminal a manual is shown through the pager that MT_PAGER, MANPAGER or PAGER names; into a pipe it goes as
plain text.

EXAMPLES

    $ mt help
    The sections, and the verbs that are used most.

    $ mt help all
    Every verb with one line.

    $ mt help run
    The manual of `mt run`.

    $ mt help environment | grep PAGER
    What MT_PAGER does.

EXIT STATUS

    0  shown
    2  there is no such verb, section or topic

SEE ALSO

    mt(1), mt-completion(1), mt-environment(7)
"""

from __future__ import annotations

import os
import sys

from mt import verbs
from mt.errors import UsageError
from mt.options import rest
from mt.pages import columns, entries, manual, page_file, sentence, wrapped

#: what `mt help` shows first, in the order in which a newcomer needs it
COMMON = ("init", "check", "run", "status", "tests", "log", "why", "rerun", "stop", "wait", "plan", "show")


class Options:
    """What can be typed after `mt help`."""

    topic: tuple[str, ...] = rest("TOPIC", help="a verb, a section, `all`, `environment` or a topic", complete="verbs")


def main(opts: Options) -> int:
    """Print the help that was asked for."""
    topic = " ".join(opts.topic)
    folder = next((f for f, word in verbs.SECTIONS.items() if topic in (f, word)), None)
    if not topic:
        sys.stdout.write(overview())
    elif topic == "all":
        sys.stdout.write("\n".join(section(f) for f in verbs.SECTIONS))
    elif folder:
        sys.stdout.write(section(folder))
    elif topic == "environment":
        sys.stdout.write(environment())
    elif inner := verbs.verbs_of(topic):
        sys.stdout.write(entries((f"mt {topic} {v}", verbs.summary(f"{topic} {v}")) for v in inner))
    else:
        return page(topic)
    return 0


def overview() -> str:
    """At most 24 lines: the verbs used most, and where to find the others."""
    width = columns()
    known = set(verbs.names())
    lines = ["usage: mt VERB [OPTIONS] [WORDS]", ""]
    lines += [_cut(f"  {v:<14}{verbs.summary(v)}", width) for v in COMMON if v in known]
    lines += ["", "More:"]
    for folder, word in verbs.SECTIONS.items():
        lines.append(_cut(f"  mt help {word:<14}{verbs.section_summary(folder)}", width))
    lines.append("  mt help all           every verb")
    lines.append("  mt help VERB          its manual; mt VERB -h is the short form")
    lines.append("  mt help environment   the MT_ variables")
    return "\n".join(lines) + "\n"


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: width - 3].rstrip() + "..."


def section(folder: str) -> str:
    """A section's heading and its verbs, one entry each."""
    listed = ((name, verbs.summary(name)) for name in verbs.names(folder))
    return f"{wrapped(sentence(verbs.section_summary(folder)))}\n\n{entries(listed)}"


def environment() -> str:
    """Every variable of ours: those that a user sets, then those that a test finds."""
    from mt import variables

    return "\n".join(
        f"{wrapped(heading)}\n\n{entries(table.items())}"
        for heading, table in (
            ("Variables that mt reads:", variables.READ),
            ("Variables that a test finds in its environment:", variables.GIVEN),
        )
    )


def page(topic: str) -> int:
    """Show a manual page, through `man` where there is one."""
    number, _, name = topic.partition(" ") if topic[:2] in ("1 ", "5 ", "7 ") else ("", "", topic)
    found = page_file(name, number)
    if found and _shown_by_man(found):
        return 0
    if topic not in verbs.names():
        raise UsageError(f"no help for '{topic}'", hint=verbs.nearest(topic))
    sys.stdout.write(manual(topic, verbs.load(topic)))
    return 0


def _shown_by_man(path: str) -> bool:
    """Let man(1) show the page; False when it cannot (small containers have a `man` that only says so)."""
    import shutil
    import subprocess

    if not shutil.which("man"):
        return False
    env = {**os.environ, "MANWIDTH": str(columns())}
    if os.environ.get("MT_PAGER"):
        env["MANPAGER"] = os.environ["MT_PAGER"]
    if sys.stdout.isatty():
        return subprocess.run(["man", "-l", path], env=env, check=False).returncode == 0
    done = subprocess.run(["man", "-l", path], env=env, capture_output=True, text=True, check=False)
    if done.returncode or "NAME" not in done.stdout:
        return False
    sys.stdout.write(done.stdout)
    return True
