"""A plan as a picture: the text that Graphviz or Mermaid draws.

Each case is a node.  A test with items is a frame with a node for the test as a
whole, to which edges go that mean all of its items; or, without `items`, one
node.  Arrows go from what is waited for to what waits.  Looks give a node the
colour of how it stands in a run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from mt.errors import StoreError, why
from mt.pipeline.plan import Plan

#: the fill of a node by its verdict: light enough for black letters
FILLS = {"good": "#b7e4b0", "bad": "#f4a9a3", "live": "#a9cdf4", "waiting": "#eeeeee", "unfinished": "#f6d79b"}


class Look(NamedTuple):
    """How a case, or a test as a whole, stands in a run; `verdict` is a word of `states.verdict`."""

    state: str
    status: str
    verdict: str

    @property
    def text(self) -> str:
        """`STATE/STATUS`."""
        return f"{self.state}/{self.status}"


class Box(NamedTuple):
    """One test of a picture; `later` means that its items are not known yet."""

    test: str
    items: tuple[str, ...]
    later: bool


class Picture(NamedTuple):
    """What is drawn: tests with their items, arrows (from, to, mode), and how each name stands."""

    boxes: tuple[Box, ...]
    edges: tuple[tuple[str, str, str], ...]
    looks: Mapping[str, Look]
    items: bool


def picture(plan: Plan, looks: Mapping[str, Look] | None = None, *, items: bool = True) -> Picture:
    """The picture of a plan; without `items` a test is one node, and arrows between its items and others join."""
    edges = plan.edges() if items else dict.fromkeys(
        (a.partition("/")[0], b.partition("/")[0], mode) for a, b, mode in plan.edges()
    )  # fmt: skip
    return Picture(tuple(_boxes(plan)), tuple(edges), looks or {}, items)


def _boxes(plan: Plan) -> Iterator[Box]:
    tests: dict[str, list[str]] = {}
    for key in plan.cases:
        items = tests.setdefault(key.test, [])
        if key.item:
            items.append(str(key))
    yield from (Box(test, tuple(items), False) for test, items in tests.items())
    yield from (Box(test, (), True) for test in plan.unexpanded())


def dot(drawn: Picture) -> Iterator[str]:
    """Lines of a Graphviz graph."""
    yield "digraph plan {"
    yield "  rankdir=LR;"
    yield "  node [shape=box];"
    for n, box in enumerate(drawn.boxes):
        if not box.items or not drawn.items:
            yield f"  {_dot_node(drawn, box.test, *_kind(box))};"
            continue
        yield f"  subgraph cluster_{n} {{"
        yield f"    {_dot_node(drawn, box.test, 'shape=folder')};"
        for item in box.items:
            yield f"    {_dot_node(drawn, item)};"
        yield "  }"
    for source, target, mode in drawn.edges:
        style = {"normal": "", "toplevel": " [style=dashed]"}.get(mode, f' [tooltip="{mode}"]')
        yield f"  {_quoted(source)} -> {_quoted(target)}{style};"
    yield "}"


def _kind(box: Box) -> tuple[str, ...]:
    """What sets the node of a whole test apart."""
    if box.later:
        return "style=dashed", 'tooltip="items are computed later"'
    return ("shape=folder", f"label={_quoted(_counted(box))}") if box.items else ()


def _counted(box: Box) -> str:
    return f"{box.test}\n{len(box.items)} item{'s' * (len(box.items) != 1)}"


def _dot_node(drawn: Picture, name: str, *attributes: str) -> str:
    look = drawn.looks.get(name)
    if look:
        kept = [a for a in attributes if not a.startswith(("tooltip=", "style="))]
        style = '"filled,dashed"' if "style=dashed" in attributes else "filled"
        attributes = (*kept, f"style={style}", f'fillcolor="{FILLS[look.verdict]}"', f"tooltip={_quoted(look.text)}")
    return f"{_quoted(name)} [{', '.join(attributes)}]" if attributes else _quoted(name)


def mermaid(drawn: Picture) -> Iterator[str]:
    """Lines of a Mermaid flowchart."""
    names: dict[str, str] = {}
    yield "flowchart LR"
    for box in drawn.boxes:
        if not box.items or not drawn.items:
            yield f"  {_node(box.test, names, _counted(box) if box.items else box.test)}"
            continue
        yield f'  subgraph g{len(names)} ["{_label(box.test)}"]'
        for name in (box.test, *box.items):
            yield f"    {_node(name, names, name)}"
        yield "  end"
    for source, target, mode in drawn.edges:
        arrow = "-.->" if mode == "toplevel" else "-->"
        yield f"  {names[source]} {arrow} {names[target]}"
    yield from _classes(drawn, names)


def _classes(drawn: Picture, names: Mapping[str, str]) -> Iterator[str]:
    """The colours: one class for each verdict that there is."""
    members: dict[str, list[str]] = {}
    for name, short in names.items():
        if name in drawn.looks:
            members.setdefault(drawn.looks[name].verdict, []).append(short)
    for verdict, shorts in members.items():
        yield f"  classDef {verdict} fill:{FILLS[verdict]},color:#000"
        yield f"  class {','.join(shorts)} {verdict}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _node(text: str, names: dict[str, str], label: str) -> str:
    names[text] = f"n{len(names)}"
    return f'{names[text]}["{_label(label)}"]'


def _label(text: str) -> str:
    return text.replace("#", "#35;").replace('"', "#quot;").replace("\n", "<br>")


def put(lines: Iterable[str], path: str | None) -> None:
    """Write a drawing to a file, or to standard output without one; raises StoreError."""
    import sys

    body = "\n".join(lines) + "\n"
    if not path or path == "-":
        sys.stdout.write(body)
        return
    try:
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as out:
            out.write(body)
    except OSError as e:
        raise StoreError(f"cannot write '{path}': {why(e)}") from e
