"""mt can be built, installed for everybody, moved into a package, and taken away again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from testarea import clean_env

HOME = Path(__file__).resolve().parents[2]
PARTS = ("mt", "man", "scripts", "setup.cfg", "pyproject.toml", "README.md", "LICENSE", "configure")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The parts of a checkout that are installed, copied."""
    to = tmp_path_factory.mktemp("tree")
    for name in PARTS:
        if (HOME / name).is_dir():
            shutil.copytree(HOME / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(HOME / name, to / name)
    return to


def install(tree: Path, *words: str) -> None:
    done = subprocess.run([sys.executable, "scripts/install", *words], cwd=tree, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_wheel_carries_every_module_page_and_command(tree: Path, tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(tmp_path), "."]
    subprocess.run(pip, cwd=tree, check=True)
    (wheel,) = tmp_path.glob("megatest-*.whl")
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
    assert {p.relative_to(HOME).as_posix() for p in (HOME / "mt").rglob("*.py")} <= names
    assert "mt/py.typed" in names
    pages = {n.rpartition("/")[2] for n in names if "/share/man/man" in n}
    assert pages == {p.name for p in (HOME / "man").iterdir()}
    assert not [n for n in names if n.startswith(("tests/", "scripts/", "build/"))]


def test_an_installation_works_alone_and_goes_away_without_a_trace(tree: Path, tmp_path: Path) -> None:
    prefix = tmp_path / "usr"
    (prefix / "share" / "man" / "man1").mkdir(parents=True)
    (prefix / "share" / "man" / "man1" / "other.1").write_text("not ours")
    install(tree, str(prefix))
    env = {**clean_env(tmp_path / "home"), "PATH": f"{prefix}/bin:/usr/bin:/bin", "PYTHONPATH": "/nowhere"}
    for command in ("mt version", "mt help run", "mt help all", "sh -c 'mt init area && cd area && mt run -q'"):
        done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=env, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stderr}"
    for name in ("bash-completion/completions/mt", "zsh/site-functions/_mt", "fish/vendor_completions.d/mt.fish"):
        assert (prefix / "share" / name).stat().st_size > 1000
    assert (prefix / "share" / "man" / "man1" / "mt-run.1").exists()
    install(tree, str(prefix))
    install(tree, "--remove", str(prefix))
    left = [p.relative_to(prefix).as_posix() for p in prefix.rglob("*") if not p.is_dir()]
    assert left == ["share/man/man1/other.1"]


def test_a_package_is_made_below_destdir_for_its_later_place(tree: Path, tmp_path: Path) -> None:
    install(tree, "/opt/mt", str(tmp_path / "stage"))
    stage = tmp_path / "stage" / "opt" / "mt"
    assert os.readlink(stage / "bin" / "mt") == "../lib/megatest/bin/mt"
    text = (stage / "lib" / "megatest" / "bin" / "mt").read_text()
    assert text.startswith("#!/opt/mt/lib/megatest/bin/python -E\n")
    assert str(tmp_path) not in text


@pytest.mark.parametrize("prefix", ["relative/place", "/with a blank"])
def test_a_prefix_that_cannot_work_is_refused(tree: Path, prefix: str) -> None:
    done = subprocess.run([sys.executable, "scripts/install", prefix], cwd=tree, capture_output=True, text=True)
    assert done.returncode == 1 and "PREFIX must be an absolute path without blanks" in done.stderr
