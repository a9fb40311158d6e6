"""Sheets of a refdb in other forms, read back by the programs they are for (spec/runs.md 5.18)."""

from __future__ import annotations

import csv
import json
import shutil
import sqlite3
import subprocess
from contextlib import closing

import pytest
from testarea import BIN, Area, Result

SHEETS = {
    "ref/sheet-names.cfg": "hosts\n\nlimits\n",
    "ref/hosts.dat": """\
        [n1]
        cpus 4
        note say "hi" to $USER @home \\o/ \\#{x}
        [n2]
        cpus 8
        disk ssd
        """,
    "ref/limits.dat": "[day]\nmax 3, or more\n",
}
NOTE = r'say "hi" to $USER @home \o/ \#{x}'
DATA = {
    "hosts": {"n1": {"cpus": "4", "note": NOTE}, "n2": {"cpus": "8", "disk": "ssd"}},
    "limits": {"day": {"max": "3, or more"}},
}


def megatest(area: Area, *words: str) -> Result:
    return area.mt(*words, prog="megatest")


def written(area: Area, mode: str) -> str:
    area(SHEETS)
    done = megatest(area, "-refdb2dat", "ref", "-dumpmode", mode)
    assert (done.status, done.err) == (0, "")
    return done.out


def run(program: str, text: str) -> object:
    """Run a program that prints JSON; skips where it is not installed."""
    where = str(BIN / program) if program == "python" else shutil.which(program)
    if where is None:
        pytest.skip(f"{program} is not installed")
    done = subprocess.run([where, "-"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_scheme_is_the_default(area: Area) -> None:
    """spec/runs.md 5.18 scheme."""
    area({"ref/sheet-names.cfg": "s\n", "ref/s.dat": '[sec]\nv x "y"\nw 1\n'})
    assert megatest(area, "-refdb2dat", "ref").out == '(("s" ("sec" ("v" "x \\"y\\"") ("w" "1"))))\n'


def test_perl_reads_what_is_written_for_it(area: Area) -> None:
    """spec/runs.md 5.18 perl: `$data{"s"}{"sec"}{"v"} = "x";`"""
    text = written(area, "perl")
    assert '$data{"limits"}{"day"}{"max"} = "3, or more";\n' in text
    show = (
        'sub text { my $t = shift; $t =~ s/([\\\\"])/\\\\$1/g; "\\"$t\\"" }\n'
        "sub j { my $d = shift; ref $d or return text($d);\n"
        '  "{" . join(",", map { text($_) . ":" . j($d->{$_}) } sort keys %$d) . "}" }\n'
        "print j(\\%data);\n"
    )
    assert run("perl", text + show) == DATA


def test_python_reads_what_is_written_for_it(area: Area) -> None:
    """spec/runs.md 5.18 python: `data["s"]["sec"]["v"] = "x"`."""
    text = written(area, "python")
    assert 'data["limits"]["day"]["max"] = "3, or more"\n' in text
    assert run("python", f"{text}import json; print(json.dumps(data))") == DATA
    assert written(area, "ruby") == text


def test_ruby_reads_what_is_written_for_it(area: Area) -> None:
    assert run("ruby", written(area, "ruby") + 'require "json"; puts data.to_json\n') == DATA


def test_csv_is_a_file_for_each_sheet(area: Area) -> None:
    """spec/runs.md 5.18 csv: `-o 'x-%s.csv'`."""
    area(SHEETS)
    assert megatest(area, "-refdb2dat", "ref", "-dumpmode", "csv", "-o", "x-%s.csv").status == 0
    with (area.home / "x-hosts.csv").open() as f:
        assert list(csv.reader(f)) == [["", "cpus", "note", "disk"], ["n1", "4", NOTE, ""], ["n2", "8", "", "ssd"]]
    assert area.read("x-limits.csv") == ',max\nday,"3, or more"\n'
    one = megatest(area, "-refdb2dat", "ref", "-dumpmode", "csv", "-o", "one.csv")
    assert (one.status, one.err) == (1, "ERROR: -o one.csv names one file for 2 sheets: it needs a %s\n")


def test_sqlite_is_one_table_of_all_values(area: Area) -> None:
    """spec/runs.md 5.18 sqlite3: table data(sheet,section,var,val)."""
    area(SHEETS)
    for words, name in ((("-o", "out.db"), "out.db"), ((), "ref.db")):
        assert megatest(area, "-refdb2dat", "ref", "-dumpmode", "sqlite3", *words).status == 0
        with closing(sqlite3.connect(area.home / name)) as conn:
            rows = conn.execute("SELECT sheet, section, var, val FROM data").fetchall()
        assert rows == [(s, sec, k, v) for s, secs in DATA.items() for sec, kv in secs.items() for k, v in kv.items()]


def test_text_goes_to_a_file_when_asked(area: Area) -> None:
    text = written(area, "python")
    done = megatest(area, "-refdb2dat", "ref", "-dumpmode", "python", "-o", "out.py")
    assert (done.status, done.out, area.read("out.py")) == (0, "", text)


def test_a_directory_that_is_none_and_a_sheet_that_is_missing_are_told(area: Area) -> None:
    none = megatest(area, "-refdb2dat", "nowhere")
    assert (none.status, none.err) == (1, "ERROR: cannot read 'nowhere/sheet-names.cfg': no such file or directory\n")
    area({"ref/sheet-names.cfg": "a\nb\n", "ref/b.dat": "[s]\nv 1\n"})
    some = megatest(area, "-refdb2dat", "ref")
    assert (some.status, some.out) == (0, '(("a") ("b" ("s" ("v" "1"))))\n')
    assert some.err == "ERROR: sheet a: cannot read 'a.dat': no such file or directory\n"


def test_an_unknown_form_is_told_and_becomes_scheme(area: Area) -> None:
    area({"ref/sheet-names.cfg": "s\n", "ref/s.dat": "[t]\nv 1\n"})
    done = megatest(area, "-refdb2dat", "ref", "-dumpmode", "xml")
    assert (done.status, done.out) == (0, '(("s" ("t" ("v" "1"))))\n')
    assert done.err == "WARNING: -dumpmode xml is not known for sheets, written as scheme\n"
