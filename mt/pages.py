"""A verb's help and man page, from its docstring and its Options (spec/style.md 3.8).

The docstring of a verb's module is its manual, as light text:

    one line that says what it does, lower case, no full stop

    Paragraphs of description.

    EXAMPLES

        $ mt verb words
        What it does, as a plain line under the command.

    EXIT STATUS

        0  what it means

    SEE ALSO

        mt-other, mt-config(5)

Headings are lines in capitals at the left edge.
"""

from __future__ import annotations

import textwrap

from mt.options import Opt, declared

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType


def summary(module: ModuleType) -> str:
    """The first line of a verb's docstring."""
    return (module.__doc__ or "").strip().splitlines()[0].rstrip(".")


def parts(module: ModuleType) -> dict[str, str]:
    """The docstring by heading; the text before the first heading is `DESCRIPTION`."""
    found: dict[str, list[str]] = {"DESCRIPTION": []}
    lines = found["DESCRIPTION"]
    for line in (module.__doc__ or "").strip().splitlines()[1:]:
        if line and line[0].isalpha() and line == line.upper():
            lines = found.setdefault(line.strip(), [])
        else:
            lines.append(line)
    return {name: textwrap.dedent("\n".join(body)).strip("\n") for name, body in found.items()}


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


def short_help(name: str, module: ModuleType) -> str:
    """What `-h` prints: use, options, examples, exit statuses, in 80 columns."""
    blocks = [f"usage: {synopsis(name, module)}", summary(module).capitalize() + "."]
    options = list(declared(module.Options))
    operands = [o for o in options if not o.names]
    if operands:
        blocks.append("operands:\n" + "\n".join(_entry(o.meta, option_text(o)) for o in operands))
    named = [o for o in options if o.names]
    if named:
        blocks.append("options:\n" + "\n".join(_entry(o.label, option_text(o)) for o in named))
    text = parts(module)
    for heading in ("EXAMPLES", "EXIT STATUS"):
        if heading in text:
            blocks.append(f"{heading.lower()}:\n" + textwrap.indent(text[heading], "  "))
    return "\n\n".join(blocks) + "\n"


def _entry(label: str, help_text: str) -> str:
    wrapped = textwrap.wrap(help_text, 54) or [""]
    lead = f"  {label:<22}"
    if len(label) > 21:
        return "\n".join([f"  {label}", *(" " * 24 + w for w in wrapped)])
    return "\n".join([lead + wrapped[0], *(" " * 24 + w for w in wrapped[1:])])
