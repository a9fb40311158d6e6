"""What all engines share."""

from __future__ import annotations

import pytest

from mt.launchers.base import notice


@pytest.mark.parametrize(
    ("asked", "time", "given"),
    [(60, 0, 60), (60, 120, 0), (60, 599, 0), (60, 600, 60), (300, 600, 60), (60, 86400, 60), (0, 86400, 0)],
)
def test_a_short_job_is_not_warned_for_a_large_part_of_its_time(asked: float, time: float, given: int) -> None:
    assert notice(asked, time) == given
