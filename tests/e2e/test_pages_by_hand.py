"""What pages written by hand say is so."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from testarea import Area

MAN = Path(__file__).resolve().parents[2] / "man"
GOOD = """\
error: retrying
simulation begins
step 1
speed = 2.45
simulation ends
"""


@pytest.fixture
def rules(area: Area) -> Area:
    """The example of mt-logpro(5) as rules.logpro in an area."""
    page = (MAN / "mt-logpro.5").read_text(encoding="utf-8")
    text = page.partition(".EX\n")[2].partition(".EE\n")[0]
    return area({"rules.logpro": text.replace("\\-", "-").replace("\\e", "\\")})


@pytest.mark.parametrize(
    ("log", "status"),
    [
        (GOOD, 0),
        (GOOD + "Error: no licence\n", 1),
        (GOOD + "Warning: old\n", 2),
        (GOOD.replace("2.45", "2.75"), 1),
        (GOOD.replace("step 1", "nothing"), 1),
        ("step 1\nsimulation begins\nspeed = 2.5\nsimulation ends\n", 1),
    ],
)
def test_the_example_of_log_rules_judges_as_it_says(log: str, status: int, rules: Area) -> None:
    assert rules.mt("logpro", "rules.logpro", "--summary", stdin=log).status == status


def test_every_page_can_be_shown(area: Area) -> None:
    if not shutil.which("man"):
        pytest.skip("man is not installed")
    for page in sorted(MAN.iterdir()):
        done = subprocess.run(["man", "-l", page], capture_output=True, text=True, env=area.env, check=False)
        assert done.returncode == 0 and "NAME" in done.stdout, page.name
        assert done.stderr == "", page.name
