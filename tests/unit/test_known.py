"""The tables of known keys keep up with the sources that read keys."""

from __future__ import annotations

import re
from pathlib import Path

import mt
from mt.known import MEGATEST, UNREAD

_READ = re.compile(r"""(?:\.setting|\.number|\.seconds|\.flag|config\.get)\(\s*"([a-z-]+)",\s*"([a-z_-]+)\"""")


def test_every_key_that_a_source_reads_is_known() -> None:
    sources = Path(mt.__file__).parent.rglob("*.py")
    read = {pair for path in sources for pair in _READ.findall(path.read_text(encoding="utf-8"))}
    assert ("setup", "max_concurrent_jobs") in read
    unknown = [(s, k) for s, k in read if s in MEGATEST and (words := MEGATEST[s]) is not None and k not in words]
    assert unknown == []


def test_no_key_is_both_known_as_read_and_as_unread() -> None:
    doubles = [(s, k) for s, k in UNREAD if k in (MEGATEST.get(s) or ())]
    assert doubles == [("setup", "launch_delay")]
