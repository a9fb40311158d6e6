#!/usr/bin/env python3
"""Write report.md and report.html from the values and verdicts of the run that this test is part of."""

import html
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path


def rows(*words: str) -> list[dict]:
    """The rows of a query of this run, as mt prints them."""
    command = ["mt", *words, "-t", os.environ["MT_TARGET"], "-r", os.environ["MT_RUNNAME"], "-f", "ndjson"]
    out = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def table(values: list[dict]) -> list[tuple[str, str, str, float, float, float]]:
    """(corpus, tool, level, ratio, packing speed, unpacking speed), best ratio first within a corpus."""
    cells: dict[str, dict[str, float]] = {}
    for row in values:
        cells.setdefault(row["item"], {})[f"{row['category']} {row['variable']}"] = float(row["value"])
    lines = []
    for item, measured in cells.items():
        tool, level, corpus = item.split("/")
        speeds = measured.get("pack speed", 0.0), measured.get("unpack speed", 0.0)
        lines.append((corpus, tool, level, measured.get("pack ratio", 0.0), *speeds))
    return sorted(lines, key=lambda line: (line[0], -line[3]))


HEAD = ("corpus", "tool", "level", "ratio", "pack MB/s", "unpack MB/s")


def cells(line: tuple) -> list[str]:
    """One line as text."""
    return [*line[:3], f"{line[3]:.2f}", f"{line[4]:.1f}", f"{line[5]:.1f}"]


def markdown(title: str, lines: list[tuple], verdicts: Counter) -> str:
    """The report for people who read text."""
    body = [f"# {title}", "", "| " + " | ".join(HEAD) + " |", "|---|---|---:|---:|---:|---:|"]
    body += ["| " + " | ".join(cells(line)) + " |" for line in lines]
    body += ["", "Verdicts: " + ", ".join(f"{n} {status}" for status, n in sorted(verdicts.items())) + "."]
    return "\n".join(body) + "\n"


def page(title: str, lines: list[tuple], verdicts: Counter) -> str:
    """The report for people who read pages; bars show the ratio."""
    most = max((line[3] for line in lines), default=1.0) or 1.0
    body = ["<tr>" + "".join(f"<th>{html.escape(h)}</th>" for h in HEAD) + "<th></th></tr>"]
    for line in lines:
        data = "".join(f"<td>{html.escape(cell)}</td>" for cell in cells(line))
        body.append(f'<tr>{data}<td><div style="width:{12 * line[3] / most:.2f}em"></div></td></tr>')
    said = ", ".join(f"{n} {html.escape(status)}" for status, n in sorted(verdicts.items()))
    style = (
        "body{font:15px sans-serif;margin:2em}td,th{padding:.2em .8em;text-align:right}"
        "td:nth-child(-n+2),th:nth-child(-n+2){text-align:left}div{background:#4878a8;height:.9em}"
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{style}</style>\n<h1>{html.escape(title)}</h1>\n<table>\n"
        + "\n".join(body)
        + f"\n</table>\n<p>Verdicts: {said}.</p></html>\n"
    )


def main() -> int:
    """Ask, write, and say what was not good."""
    cases = [row for row in rows("tests") if row["test"] != "report"]
    lines = table(rows("values", "%pack/%"))
    verdicts = Counter(row["status"] for row in cases)
    title = f"Compressors, {os.environ['MT_TARGET']}, {os.environ['MT_RUNNAME']}"
    for name, make in (("report.md", markdown), ("report.html", page)):
        Path(name).write_text(make(title, lines, verdicts), encoding="utf-8")
        print(f"wrote {name}: {len(lines)} lines")
    for row in cases:
        if row["status"] != "PASS":
            print(f"not good: {row['id']} {row['state']} {row['status']} {row['comment']}")
    packed = sum(row["test"] == "compress" for row in cases)
    if len(lines) < packed:
        print(f"error: {packed} cases packed, but only {len(lines)} have values")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
