"""megatest -list-targets, -list-disks, -show-keys, -show-config and their kin (spec/runs.md 5.11)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from recorded import Recorded
from testarea import TARGET, Area, Result

CONFIG = """\
[fields]
SYSTEM TEXT
FS TEXT

[setup]
linktree #{getenv MT_RUN_AREA_HOME}/lt
word [system echo one two]

[disks]
disk0 #{getenv MT_RUN_AREA_HOME}/runs
disk1 /data
"""
RUNCONFIGS = f"""\
[default]
A 1
B #{{getenv MT_TARGET}}

[{TARGET}]
A 2

[suse/nfs]
A 3

[/ubuntu.*/]
W wild
"""


def shown(area: Area, *words: str, **more: Any) -> Result:
    """What is printed; always with status 0."""
    done = area.mt(*words, prog="megatest", **more)
    assert done.status == 0, done.err
    return done


@pytest.fixture
def full(area: Area) -> Area:
    """An area whose files have something to expand."""
    return area({"megatest.config": CONFIG, "runconfigs.config": RUNCONFIGS})


# -- targets


def test_targets_are_the_sections_sorted_default_included_and_wildcards_gone(full: Area) -> None:
    """spec/runs.md 5.11, spec/config.md R13: one a line, without any other line."""
    done = shown(full, "-list-targets")
    assert done.lines() == ["default", "suse/nfs", TARGET]
    assert done.err == ""


def test_targets_are_filtered_by_full_matches(full: Area) -> None:
    """spec/config.md R13: a comma list with percent signs."""
    assert shown(full, "-list-targets", "-target", "%/nfs").lines() == ["suse/nfs", TARGET]
    assert shown(full, "-list-targets", "-target", "su%,default").lines() == ["default", "suse/nfs"]
    assert shown(full, "-list-targets", "-target", "suse").lines() == []


def test_targets_as_json_are_an_array(full: Area) -> None:
    """spec/runs.md 5.11."""
    assert json.loads(shown(full, "-list-targets", "-dumpmode", "json").out) == ["default", "suse/nfs", TARGET]
    done = shown(full, "-list-targets", "-dumpmode", "xml")
    assert done.out == ""
    assert done.err.startswith("ERROR: ")


def test_targets_are_listed_although_a_command_in_the_file_fails(area: Area) -> None:
    """spec/config.md R13: errors of [system] go to stderr, exit 0."""
    area({"runconfigs.config": "[default]\n[std/0]\nX [system echo out; echo INFO >&2; false]\n"})
    assert shown(area, "-list-targets").lines() == ["default", "std/0"]


def test_targets_of_runs(full: Area) -> None:
    """spec/runs.md 5.11, 9.2 D10: distinct, valid json."""
    assert shown(full, "-list-db-targets").out == ""
    assert json.loads(shown(full, "-list-db-targets", "-dumpmode", "json").out) == {"targets": []}
    for target, name in (("suse/nfs", "r1"), (TARGET, "r1"), ("suse/nfs", "r2")):
        Recorded(full, name, target=target)
    assert shown(full, "-list-db-targets").lines() == ["suse/nfs", TARGET]
    assert shown(full, "-list-db-targets", "-target", "ub%/%").lines() == [TARGET]
    found = json.loads(shown(full, "-list-db-targets", "-dumpmode", "json").out)
    assert found == {"targets": ["suse/nfs", TARGET]}


# -- disks and keys


def test_disks_are_names_and_directories(full: Area) -> None:
    """spec/runs.md 5.11."""
    assert shown(full, "-list-disks").lines() == [f"disk0 => {full.home}/runs", "disk1 => /data"]
    full({"megatest.config": "[fields]\nSYSTEM TEXT\n"})
    assert shown(full, "-list-disks").out == ""


@pytest.mark.parametrize("option", ["-show-keys", "-showkeys"])
def test_keys_are_a_message(full: Area, option: str) -> None:
    """spec/runs.md 5.11: on stderr; 1.1 A4: words that nobody reads are told, and change nothing."""
    done = shown(full, option)
    assert (done.out, done.err) == ("", "INFO: (1) Keys: SYSTEM, FS\n")
    done = shown(full, option, "foo", "bar")
    assert done.err == "ERROR: Unrecognised arguments: foo bar\nINFO: (1) Keys: SYSTEM, FS\n"
    assert shown(full, option, "-debug", "0").err == ""


# -- megatest.config


def test_the_configuration_is_an_s_expression(full: Area) -> None:
    """spec/runs.md 5.11: pretty, after expansion."""
    text = shown(full, "-show-config").out
    assert text.startswith('(("fields" ("SYSTEM" "TEXT") ("FS" "TEXT"))\n ("setup"')
    assert " ".join(text.split()) == (
        '(("fields" ("SYSTEM" "TEXT") ("FS" "TEXT"))'
        f' ("setup" ("linktree" "{full.home}/lt") ("word" "one two"))'
        f' ("disks" ("disk0" "{full.home}/runs") ("disk1" "/data")))'
    )
    assert text == shown(full, "-show-config", "-dumpmode", "sexp").out


def test_the_configuration_as_json_is_pairs_by_section(full: Area) -> None:
    """spec/runs.md 5.11."""
    assert json.loads(shown(full, "-show-config", "-dumpmode", "json").out) == {
        "fields": [["SYSTEM", "TEXT"], ["FS", "TEXT"]],
        "setup": [["linktree", f"{full.home}/lt"], ["word", "one two"]],
        "disks": [["disk0", f"{full.home}/runs"], ["disk1", "/data"]],
    }


def test_the_configuration_as_ini(full: Area) -> None:
    """spec/runs.md 5.11: blank line, section, variables and values."""
    assert shown(full, "-show-config", "-dumpmode", "ini").out == (
        "\n[fields]\nSYSTEM TEXT\nFS TEXT\n"
        f"\n[setup]\nlinktree {full.home}/lt\nword one two\n"
        f"\n[disks]\ndisk0 {full.home}/runs\ndisk1 /data\n"
    )


def test_one_value_is_one_line(full: Area) -> None:
    """spec/runs.md 5.11, its example; 1.7: -section without -var has no effect."""
    assert shown(full, "-show-config", "-section", "setup", "-var", "linktree").out == f"{full.home}/lt\n"
    assert shown(full, "-show-config", "-section", "setup", "-var", "nope").out == ""
    assert shown(full, "-show-config", "-section", "setup").out == shown(full, "-show-config").out


def test_a_format_that_is_not_known_is_an_error_line(full: Area) -> None:
    """spec/runs.md 1.2: 0 for message-and-stop paths."""
    for option in ("-show-config", "-show-runconfig"):
        done = shown(full, option, "-dumpmode", "xml")
        assert (done.out, done.err) == ("", "ERROR: -dumpmode of xml not recognised\n")


def test_a_file_that_is_appended_counts(full: Area) -> None:
    """spec/config.md M2."""
    full({"more.config": "[setup]\nword three\n"})
    words = ("-append-config", "more.config", "-section", "setup", "-var", "word")
    assert shown(full, "-show-config", *words).out == "three\n"


# -- runconfigs.config


def test_the_run_variables_are_ini_and_all_of_them_without_a_target(full: Area) -> None:
    """spec/runs.md 5.11, spec/config.md R16."""
    text = shown(full, "-show-runconfig").out
    assert "\n[default]\nA 1\n" in text
    assert f"\n[{TARGET}]\nA 2\n" in text
    assert "\n[suse/nfs]\nA 3\n" in text


def test_with_a_target_only_what_counts_for_it_is_shown(full: Area) -> None:
    """spec/config.md R16, R1: [default], its own section, and wildcards put in."""
    found = json.loads(shown(full, "-show-runconfig", "-target", TARGET, "-dumpmode", "json").out)
    assert {*found} == {"default", TARGET}
    assert dict(found["default"]) == {"A": "1", "B": TARGET}
    assert dict(found[TARGET]) == {"A": "2", "W": "wild"}


def test_one_run_variable_falls_back_to_default(full: Area) -> None:
    """spec/config.md R16: -section and -var look into [default] too."""
    words = ("-show-runconfig", "-section", TARGET)
    assert shown(full, *words, "-var", "A").out == "2\n"
    assert shown(full, *words, "-var", "A", "-target", TARGET).out == "2\n"
    assert shown(full, *words, "-var", "B", "-target", TARGET).out == f"{TARGET}\n"
    assert shown(full, "-show-runconfig", "-section", "no/such", "-var", "A").out == "1\n"
    assert shown(full, *words, "-var", "NO").out == ""


def test_run_variables_as_an_s_expression(full: Area) -> None:
    """spec/runs.md 5.11."""
    text = shown(full, "-show-runconfig", "-target", "suse/nfs", "-dumpmode", "sexp").out
    assert '("suse/nfs" ("A" "3"))' in text


@pytest.mark.parametrize("words", [(), ("-target", TARGET)])
def test_a_missing_file_is_a_warning(full: Area, words: tuple[str, ...]) -> None:
    """spec/config.md R14, spec/runs.md 7."""
    (full.home / "runconfigs.config").unlink()
    done = shown(full, "-show-runconfig", *words)
    assert done.out == ""
    assert done.err == f"WARNING: You do not have a run config file: {full.home}/runconfigs.config\n"


@pytest.mark.parametrize("option", ["-list-targets", "-list-disks", "-show-keys", "-show-config", "-show-runconfig"])
def test_no_area_is_status_2(area: Area, option: str) -> None:
    """spec/runs.md 1.2."""
    done = area.mt(option, prog="megatest", cwd=area.home.parent)
    assert done.status == 2
    assert done.err == "ERROR: No megatest.config file found. Giving up.\n"
