"""A plan as a picture: the text that Graphviz or Mermaid draws.

Each case is a node.  A test with items is a frame with a node for the test as a
whole, to which edges go that mean all of its items.  Arrows go from what is
waited for to what waits.
"""

from __future__ import annotations

from collections.abc import Iterator

from mt.pipeline.plan import Plan


def dot(plan: Plan) -> Iterator[str]:
    """Lines of a Graphviz graph."""
    yield "digraph plan {"
    yield "  rankdir=LR;"
    yield "  node [shape=box];"
    for n, (test, items, later) in enumerate(_tests(plan)):
        if not items:
            more = ' [style=dashed, tooltip="items are computed later"]' if later else ""
            yield f"  {_quoted(test)}{more};"
            continue
        yield f"  subgraph cluster_{n} {{"
        yield f"    {_quoted(test)} [shape=folder];"
        for item in items:
            yield f"    {_quoted(item)};"
        yield "  }"
    for source, target, mode in plan.edges():
        style = {"normal": "", "toplevel": " [style=dashed]"}.get(mode, f' [tooltip="{mode}"]')
        yield f"  {_quoted(source)} -> {_quoted(target)}{style};"
    yield "}"


def mermaid(plan: Plan) -> Iterator[str]:
    """Lines of a Mermaid flowchart."""
    names: dict[str, str] = {}
    yield "flowchart LR"
    for test, items, _ in _tests(plan):
        if not items:
            yield f"  {_node(test, names)}"
            continue
        yield f'  subgraph g{len(names)} ["{_label(test)}"]'
        for name in (test, *items):
            yield f"    {_node(name, names)}"
        yield "  end"
    for source, target, mode in plan.edges():
        arrow = "-.->" if mode == "toplevel" else "-->"
        yield f"  {names[source]} {arrow} {names[target]}"


def _tests(plan: Plan) -> Iterator[tuple[str, list[str], bool]]:
    """(test, its items' ids, whether its items are not known) for each test of a plan."""
    tests: dict[str, list[str]] = {}
    for key in plan.cases:
        items = tests.setdefault(key.test, [])
        if key.item:
            items.append(str(key))
    yield from ((test, items, False) for test, items in tests.items())
    yield from ((test, [], True) for test in plan.unexpanded())


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _node(text: str, names: dict[str, str]) -> str:
    names[text] = f"n{len(names)}"
    return f'{names[text]}["{_label(text)}"]'


def _label(text: str) -> str:
    return text.replace("#", "#35;").replace('"', "#quot;")
