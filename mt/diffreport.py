"""The difference of two runs as a page, as text and as a mail (spec/runs.md 5.15)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from shutil import which
from typing import NamedTuple

from mt.comparing import CLASSES, Difference, shown, tallied
from mt.errors import AnswerNo
from mt.model import RunKey
from mt.webpages import page, table

_LOOKS = {"WORSE": "bad", "NOT-IN-DEST": "bad", "BOTH-BAD": "unfinished", "BETTER": "good"}


class Report(NamedTuple):
    """The difference of two runs, to be shown."""

    src: RunKey
    dest: RunKey
    found: Sequence[Difference]

    @property
    def title(self) -> str:
        """What is compared with what."""
        return f"{self.src.target}/{self.src.name} vs. {self.dest.target}/{self.dest.name}"

    @property
    def told(self) -> list[Difference]:
        """All that is not clean, the worst first."""
        return sorted((d for d in self.found if d.kind != "CLEAN"), key=lambda d: CLASSES.index(d.kind))

    def html(self) -> Iterator[str]:
        """The report as a page: how many tests are in each class, then each test that is not clean."""
        return page(f"Difference: {self.title}", self._body())

    def _body(self) -> Iterator[str]:
        counts = tallied(self.found)
        yield from table(("class", "tests"), (f'<tr><td>{k}<td class="n">{n}</tr>\n' for k, n in counts.items()))
        yield from table(("test", "class", "change", str(self.src), str(self.dest)), map(_row, self.told))

    def text(self) -> str:
        """The report as plain text."""
        counts = [f"{kind:12}{n:8}" for kind, n in tallied(self.found).items()]
        rows = [f"{d.kind:12} {d!s:24} {d.key}" for d in self.told]
        return "\n".join([self.title, "", *counts, "", *rows, ""])


def _row(d: Difference) -> str:
    return (
        f'<tr><td>{escape(str(d.key))}<td class="{_LOOKS.get(d.kind, "")}">{d.kind}<td>{escape(str(d))}'
        f"<td>{escape(shown(d.src))}<td>{escape(shown(d.dest))}</tr>\n"
    )


def send(report: Report, address: str, environ: Mapping[str, str]) -> None:
    """Mail a report by `sendmail`, or as plain text by `mail`.

    Raises AnswerNo when neither is installed, or the one that is says no.
    """
    path = os.pathsep.join([environ.get("PATH", os.defpath), "/usr/sbin", "/usr/lib"])
    subject = f"Megatest difference: {report.title}"
    sendmail, mail = which("sendmail", path=path), which("mail", path=path)
    if sendmail:
        command, body = [sendmail, "-t"], message(report, address, subject)
    elif mail:
        command, body = [mail, "-s", subject, address], report.text().encode("utf-8", "replace")
    else:
        raise AnswerNo(f"cannot send the report to '{address}': neither sendmail nor mail is installed")
    done = subprocess.run(command, input=body, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise AnswerNo(f"cannot send the report to '{address}': {said[-1] if said else f'status {done.returncode}'}")


def message(report: Report, address: str, subject: str) -> bytes:
    """The report as a mail: text, and the page beside it.  Raises AnswerNo for what is no address."""
    from email.message import EmailMessage

    mail = EmailMessage()
    try:
        mail["To"] = address
    except (ValueError, IndexError) as e:
        raise AnswerNo(f"cannot send the report to '{address}': it is no address") from e
    mail["Subject"] = " ".join(subject.split())
    mail.set_content(report.text())
    mail.add_alternative("".join(report.html()), subtype="html")
    return mail.as_bytes()
