"""From what was typed to an area and a plan, for verbs that only look: `mt plan`, `mt graph`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mt.area import Area
from mt.errors import UsageError
from mt.pipeline.naming import only_target
from mt.pipeline.plan import Plan, Selection
from mt.stdio import say


class Asked(Protocol):
    """The options that say which run a plan is for; ids among the operands fill them in."""

    chdir: str | None
    target: str | None
    run: str | None
    tags: str | None


def planned(opts: Asked, words: Sequence[str]) -> tuple[Area, Plan]:
    """The area and the plan of what is asked; what was put right in the tests is said."""
    pieces = pieces_of(opts, words)
    area = Area.open(opts.chdir, target=opts.target, run=opts.run)
    if area.target is None and (target := only_target(area)):
        area = Area.open(opts.chdir, target=target, run=opts.run)
    want = Selection(area.testpatt(",".join(pieces) or None) or "%", opts.tags)
    plan = Plan.of(area.tests(), area.spec, want)
    for problem in plan.problems:
        say(f"{problem.where}: {problem.text}" if problem.where else problem.text)
    return area, plan


def pieces_of(opts: Asked, words: Sequence[str]) -> list[str]:
    """The operands as test patterns; ids among them name the target and the run, which then must agree."""
    return [_piece(word, opts) for word in words]


def _piece(word: str, opts: Asked) -> str:
    """An operand as a test pattern; an id may name the target and the run."""
    if "//" not in word:
        return word
    from mt.selectors import parse_id

    said = parse_id(word)
    for name, value in (("target", said.target), ("run", said.run)):
        if value and getattr(opts, name) not in (None, value):
            raise UsageError(f"ids of several {name}s: '{getattr(opts, name)}' and '{value}'")
        if value:
            setattr(opts, name, value)
    return said.pattern
