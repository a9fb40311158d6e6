"""Looking for traps in a text never fails, and never changes how it is read (spec/architecture.md 6.9)."""

from __future__ import annotations

from fakes.effects import FakeEffects
from hypothesis import given
from hypothesis import strategies as st

from mt import traps
from mt.config import Reading, dump, parse, programs
from mt.config.lines import cut_programs

LINES = st.sampled_from([
    "", "  ", "[a]", "[script x]", "[script y]  ", "[logpro]", "\\[b]", "k v", "k", "  more", "\tmore", "    deeper",
    "# c", "  # c", "#/x/", "# #{shell ls}", "# #{scheme (f #{getenv X})}", "# joined \\", "k v \\", "#{getenv X}",
    "[a] tail", "[include f]", "k [system c]", "[script]", "[script a b]", "[script a/b]",
])  # fmt: skip
TEXTS = st.lists(st.one_of(LINES, st.text(max_size=12)), max_size=14).map("\n".join)


@given(TEXTS)
def test_any_text_can_be_looked_at(text: str) -> None:
    config = parse(text.replace("\0", ""), "/a/f", Reading("/a", mode="disabled", effects=FakeEffects()))
    found = list(traps.of_text("/a/f", text, config))
    numbers = [int(p.where.rpartition(":")[2]) for p in found]
    assert all(1 <= n <= text.count("\n") + text.count("\r") + len(text) + 1 for n in numbers)
    assert all(p.text and p.level in ("warning", "info") for p in found)


@given(TEXTS)
def test_cutting_programs_out_leaves_every_other_line_where_it_was(text: str) -> None:
    left, found = cut_programs(text)
    before, after = text.split("\n"), left.split("\n")
    assert len(before) == len(after)
    assert all(b in (a, "") for a, b in zip(before, after, strict=True))
    assert found or left == text
    assert cut_programs(left)[0] == left


@given(TEXTS)
def test_programs_survive_a_dump(text: str) -> None:
    def reading() -> Reading:
        return Reading("/a", mode="disabled", effects=FakeEffects())

    config = parse(text.replace("\0", ""), "/a/f", reading())
    assert programs(parse(dump(config), "/a/f", reading())) == programs(config)
