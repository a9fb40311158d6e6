"""A verb's help and man page, from its docstring and its Options (spec/style.md 3.8).

The docstring of a verb's module is its manual, as light text:

    one line that says what it does, lower case, no full stop

    Paragraphs of description.  `code` is set in bold.

    - points, which may
      go on

        indented lines are shown as they are

    EXAMPLES

        $ mt verb words
        What it does, as a plain line under the command.

    EXIT STATUS

        0  what it means

    SEE ALSO

        mt-other, mt-config(5)

Headings are lines in capitals at the left edge.  Every command after `$ ` is
run by the tests in an area with finished runs.  One that cannot be run there
ends in `  #: why`, which is not shown.
"""

from __future__ import annotations

import os
import textwrap

from mt.options import Opt, declared

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

_TELLS_WHY = "  #: "


def summary(module: ModuleType) -> str:
    """The first line of a verb's docstring."""
    return (module.__doc__ or "").strip().splitlines()[0].rstrip(".")


def parts(module: ModuleType) -> dict[str, str]:
    """The docstring by heading; the text before the first heading is `DESCRIPTION`."""
    return split(module.__doc__ or "")


def split(doc: str) -> dict[str, str]:
    """A docstring's text by heading, without its first line; `  #: why` marks are gone."""
    found: dict[str, list[str]] = {"DESCRIPTION": []}
    lines = found["DESCRIPTION"]
    for line in doc.strip().splitlines()[1:]:
        if line and line[0].isalpha() and line == line.upper():
            lines = found.setdefault(line.strip(), [])
        else:
            lines.append(line.split(_TELLS_WHY)[0])
    return {name: textwrap.dedent("\n".join(body)).strip("\n") for name, body in found.items()}


def examples(module: ModuleType) -> Iterator[tuple[str, str]]:
    """The commands shown after `$ ` anywhere in the docstring: (command, why it cannot be run in a test)."""
    lines = iter((module.__doc__ or "").splitlines())
    for line in lines:
        typed = line.strip()
        if not typed.startswith("$ "):
            continue
        while typed.endswith("\\"):
            typed = typed[:-1] + next(lines, "").strip()
        shown, _, reason = typed[2:].partition(_TELLS_WHY)
        yield shown.strip(), reason.strip()


def synopsis(name: str, module: ModuleType) -> str:
    """`mt verb [OPTIONS] OPERANDS`, one line."""
    words = [f"mt {name}"]
    options = list(declared(module.Options))
    if any(o.names for o in options):
        words.append("[OPTIONS]")
    for o in options:
        if o.kind == "operand":
            words.append(o.meta if o.need else f"[{o.meta}]")
        elif o.kind == "rest":
            words.append(f"{o.meta}..." if o.need else f"[{o.meta}...]")
    for o in options:
        if o.kind == "command":
            words.append(f"-- {o.meta}..." if o.need else f"[-- {o.meta}...]")
    return " ".join(words)


def option_text(o: Opt) -> str:
    """The help of an option with its default."""
    shown = o.default not in (None, False, (), "", 0)
    return f"{o.help} (default {o.default})" if shown and "default" not in o.help else o.help


def columns() -> int:
    """How wide text for people may be: $COLUMNS or the terminal, at most 100, at least 40."""
    import shutil

    return max(40, min(shutil.get_terminal_size((80, 24)).columns, 100))


def sentence(text: str) -> str:
    """A one-line summary as a sentence; a word such as `JUnit` or `mt` keeps its own case."""
    return text[:1].upper() + text[1:] + "."


def wrapped(text: str, width: int = 0) -> str:
    """A paragraph within the width."""
    return textwrap.fill(text, width or columns())


def short_help(name: str, module: ModuleType, width: int = 0) -> str:
    """What `-h` prints: use, operands, options, examples, exit statuses."""
    width = width or columns()
    blocks = [f"usage: {synopsis(name, module)}", wrapped(sentence(summary(module)), width)]
    blocks += option_blocks(module, width)
    text = parts(module)
    for heading in ("EXAMPLES", "EXIT STATUS"):
        if heading in text:
            blocks.append(f"{heading.lower()}:\n" + textwrap.indent(text[heading], "  "))
    return "\n\n".join(blocks) + "\n"


def option_blocks(module: ModuleType, width: int) -> Iterator[str]:
    """The operands and the options, as two blocks of text."""
    options = list(declared(module.Options))
    for heading, chosen in (
        ("operands", [(o.meta, option_text(o)) for o in options if not o.names]),
        ("options", [(o.label, option_text(o)) for o in options if o.names]),
    ):
        if chosen:
            yield f"{heading}:\n" + entries(chosen, width).rstrip("\n")


def manual(name: str, module: ModuleType, width: int = 0) -> str:
    """The whole page as plain text: what `mt help VERB` prints where there is no `man`."""
    width = width or columns()
    text = parts(module)
    blocks = [f"mt {name} - {summary(module)}", f"usage: {synopsis(name, module)}"]
    blocks += [text["DESCRIPTION"]] if text["DESCRIPTION"] else []
    blocks += option_blocks(module, width)
    for heading, body in text.items():
        if heading != "DESCRIPTION":
            blocks.append(f"{heading.lower()}:\n" + textwrap.indent(body, "  "))
    return "\n\n".join(blocks) + "\n"


def entries(pairs: Iterable[tuple[str, str]], width: int = 0) -> str:
    """Lines of label and text; a label that is too long has a line of its own."""
    width = width or columns()
    lines: list[str] = []
    for label, text in pairs:
        wrapped = textwrap.wrap(text, width - 24) or [""]
        if len(label) > 21:
            lines.append(f"  {label}")
        else:
            lines.append(f"  {label:<22}{wrapped.pop(0)}".rstrip())
        lines += [" " * 24 + w for w in wrapped]
    return "\n".join(lines) + "\n"


def page_file(name: str, number: str = "") -> str | None:
    """The man page of a name as typed (`run`, `db check`, `config`), or None when none is installed.

    Of that section of the manual, or of the first one that has it.

    Looked for beside the source, then where pip and `make install` put pages.
    """
    import sys

    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    file = "mt-" + name.replace(" ", "-") if name != "mt" else name
    shares = [os.path.join(sys.prefix, "share", "man"), os.path.join(sys.prefix, "..", "..", "share", "man")]
    for section in [number] if number else ["1", "7", "5"]:
        homes = [os.path.join(here, "man"), *(os.path.join(s, f"man{section}") for s in shares)]
        for home in homes:
            path = os.path.join(home, f"{file}.{section}")
            if os.path.exists(path):
                return os.path.normpath(path)
    return None
