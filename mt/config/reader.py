"""Line by line through a file and what it includes (spec/config.md 1.2 to 1.10).

Most lines of most files are plain, and areas have thousands of files, so the
loop in `Reader.feed` touches a plain line as little as it can.
"""

from __future__ import annotations

import os
import re

from mt.config.lines import (
    BODY,
    COMMAND,
    HEADER,
    INCLUDE,
    NO_SHELL,
    PAIR,
    SCRIPT,
    SETTING,
    cut_programs,
    numbered,
    template,
    text_of,
)
from mt.config.values import Config, Deferred, Problem
from mt.errors import ConfigError, why
from mt.expr import BLANKS, Expander, Reading

_DEPTH = 64  # includes within includes; deeper is taken for a loop


class Reader:
    """The state of reading one Config: current section, current value, files being read."""

    def __init__(self, path: str, reading: Reading) -> None:
        self.reading = reading
        self.config = Config(path, reading.home)
        self.all = self.config._entries
        self.expander = Expander(reading, self)
        self.config._defer = self.command
        self.path = path
        self.line = 0
        self.chain: list[str] = []
        self.trim = False
        self.key: str | None = None  # the value that continuation lines go to
        self.prefix: str | None = None
        self.pieces: list[str] = []
        self.cut = ""  # what ended the value that a blank line or comment has just ended
        self.programs: dict[tuple[str, int], str] = {}  # bodies of [script NAME] by file and line of the header
        self.named_default = False
        self.fields_fit = True
        if reading.fields:
            self.export_fields(reading.fields)
        if reading.mode == "target" and reading.target:
            self.all[reading.target] = {}
        self.enter("default")

    # -- what an expression may ask (expr.Source)

    def lookup(self, section: str, key: str) -> str | None:
        """The value so far, None when not set."""
        return self.config.get(section, key)

    def directories(self) -> list[str]:
        """What `[tests-paths]` names."""
        return [value for _, value in self.config.items("tests-paths")]

    def report(self, text: str, level: str, hint: str | None = None) -> None:
        """Remember a problem of the current line."""
        self.config.problems.append(Problem(f"{self.config.shown(self.path)}:{self.line}", text, level, hint))

    # -- files

    def file(self, text: str, path: str, command: str | None) -> None:
        """Read a file's text in the current section; `command` is the script that printed it."""
        outer = (self.path, self.line, self.section)
        if path in self.chain or len(self.chain) >= _DEPTH:
            names = " -> ".join(self.config.shown(p) for p in [*self.chain[-8:], path])
            raise ConfigError(f"includes never end: {names}", where=f"{self.config.shown(self.path)}:{self.line}")
        if command is None:
            self.config.files.append(path)
        self.chain.append(path)
        self.path, self.line = path, 0
        self.feed(text)
        self.end_value()
        self.chain.pop()
        self.path, self.line, section = outer
        if not self.chain:
            section = "default"  # what follows is a file of its own
        if self.section != section:
            self.leave()
            self.enter(section)

    def finish(self) -> Config:
        """Drop what the filter does not keep; a wildcard section never outlives its file."""
        if not self.fields_fit:
            self.wrong_fields(tuple(self.all.get("fields", ())))
        if not self.named_default and not self.all.get("default"):
            self.all.pop("default", None)
        keep = self.reading.keep
        if keep is not None:
            for section in [s for s in self.all if s not in keep]:
                del self.all[section]
        if self.expander.dynamic or self.reading.mode == "target":
            self.config.dynamic = True
        return self.config

    # -- lines

    def feed(self, text: str) -> None:
        """Classify and store every line (the table of spec/config.md 1.2)."""
        path = self.path
        if "[script" in text:
            text, programs = cut_programs(text)
            self.programs.update({(path, number): body for number, body in programs.items()})
        pair = PAIR.match
        for number, line in numbered(text):
            if "#{" in line:
                self.line = number
                line = self.expand(line)
            if self.trim:
                line = line.rstrip(BLANKS)
            first = line[:1]
            if first in " \t\f\v\r":  # also the empty line
                self.indented(line, number)
            elif first == "#":
                if self.key is not None:
                    self.end_value()
            elif first == "[" and self.bracket(line, number):
                continue
            else:
                hit = pair(line)
                assert hit is not None  # the first character is no blank
                key, blank, value = hit.groups()
                if self.pieces:
                    self.end_value()
                if not value or self.special or value.startswith("[system"):
                    self.line = number
                    self.store(key, blank, value, line)
                    continue
                entries = self.entries
                if key in entries:
                    self.config._former.setdefault((self.section, key), []).append(entries.pop(key))
                entries[key] = (value, path, number)
                self.key = key
                self.prefix = None

    def expand(self, line: str) -> str:
        """The line with its forms replaced; what they look up is complete first."""
        if self.pieces:
            self.join_value()
        bare = line.lstrip(BLANKS)
        comment = bare.startswith("#") and not bare.startswith("#{")
        return self.expander.expand(line, live=self.live, comment=comment)

    def indented(self, line: str, number: int) -> None:
        """A blank line, an indented comment, or a continuation."""
        text = line.lstrip(BLANKS)
        if not text or text[0] == "#":
            if self.key is not None:
                self.cut = f"line {number} ended the value of '{self.key}'; "
                self.end_value()
        elif self.key is None:
            self.line = number
            hint = f"{self.cut}join lines with a final \\"
            self.report("line dropped: it is indented and continues no value", "warning", hint)
        elif self.prefix is None:
            self.prefix = line[: len(line) - len(text)]
            self.pieces.append(text)
        else:
            self.pieces.append(line.removeprefix(self.prefix))

    def bracket(self, line: str, number: int) -> bool:
        """A setting, include, script or header; False when the line is an ordinary one after all."""
        self.line = number
        header = HEADER.fullmatch(line)
        if header is None:
            if "]" in line:
                self.report("not a section header: text follows the ']'", "warning")
            return False
        self.end_value()
        name = header[1]
        if name.startswith(("configf:settings", "include", "scriptinc")) and self.directive(line):
            return True
        self.named_default = self.named_default or name == "default"
        self.leave()
        self.enter(name)
        if (self.path, number) in self.programs:
            self.program(self.programs[self.path, number], number)
        return True

    def program(self, body: str, number: int) -> None:
        """The text of a `[script NAME]` section, which replaces what an earlier one of that name said."""
        if not body:
            self.report(f"[{self.section}] is empty", "warning", "its program stands below it, up to the next section")
        self.entries.clear()
        self.entries[BODY] = (body, self.path, number)

    def directive(self, line: str) -> bool:
        """Do what a setting, include or script line says; False when it is none of them."""
        if hit := SETTING.fullmatch(line):
            self.setting(hit[1], hit[2])
        elif hit := INCLUDE.fullmatch(line):
            self.include(hit[1])
        elif hit := SCRIPT.fullmatch(line):
            self.script(hit[1], hit[2])
        else:
            return False
        return True

    def setting(self, name: str, value: str) -> None:
        """Turn a reader option on or off for all later lines (G35)."""
        if name == "trim-trailing-spaces":
            self.trim = value != "no"
        else:
            self.report(f"unknown reader setting '{name}'", "warning", "known: trim-trailing-spaces")

    def include(self, name: str) -> None:
        """Read a file in the current section; one that is not there is skipped silently (G31)."""
        path = os.path.normpath(os.path.join(os.path.dirname(self.path), name))
        if not name:
            return
        try:
            text = text_of(path, self.reading.effects)
        except (FileNotFoundError, NotADirectoryError):
            self.config.absent.append(path)
        except OSError as e:
            self.report(f"cannot include '{name}': {why(e)}", "error")
        except ConfigError as e:
            self.report(e.what, "error")
        else:
            self.file(text, path, None)

    def script(self, name: str, args: str) -> None:
        """Read what a program prints, in the current section (G34)."""
        path = os.path.normpath(os.path.join(self.reading.cwd, name))
        self.config.dynamic = True
        if self.reading.mode == "disabled":
            return
        if not self.reading.effects.is_program(path):
            self.report(f"cannot run '{name}': not an executable file", "warning", f"it is looked for as {path}")
            return
        import shlex

        command = shlex.quote(path) + args
        status, out = self.run(self.section, command)
        if status:
            self.report(f"'{name}' returned bad exit code {status}", "error")
        self.file(out, os.path.join(self.reading.cwd, f"{name}{args} (output)"), command)

    # -- values

    def store(self, key: str, blank: str, value: str, line: str) -> None:
        """A line that is more than plain text: no value, a command, or in an environment-like section."""
        command = COMMAND.fullmatch(value) if value.startswith("[system") else None
        if command:
            self.store_command(key, command[1], line)
            return
        if not value:
            value = blank
            if (self.special or self.reading.bare_export) and ":" not in key:
                self.export(key, value)
        elif self.special:
            value = self.echo(value)
            self.export(key, value)
        self.set(key, value)
        self.key = key
        self.prefix = None

    def set(self, key: str, value: str | Deferred) -> None:
        """Set a value at the end of the section (G5)."""
        self.entries.pop(key, None)
        self.entries[key] = (value, self.path, self.line)

    def store_command(self, key: str, command: str, line: str) -> None:
        """`KEY [system COMMAND]`: run now, run later, or not stored at all (1.4, 1.6)."""
        self.end_value()
        self.cut = ""
        self.config.dynamic = True
        deferred = Deferred(command, line)
        if self.live:
            later = self.reading.mode == "deferred"
            self.set(key, deferred if later else self.command(self.section, deferred, ""))

    def command(self, section: str, deferred: Deferred, where: str) -> str:
        """The output of a command on one line; kept even when the command fails (X11)."""
        where = where or f"{self.config.shown(self.path)}:{self.line}"
        problem = f"problem with {deferred.line.strip()}"
        try:
            status, out = self.run(section, deferred.command)
        except (OSError, ValueError) as e:
            reason = why(e) if isinstance(e, OSError) else str(e)
            self.config.problems.append(Problem(where, f"{problem}: {reason}"))
            return ""
        if status:
            self.config.problems.append(Problem(where, f"{problem}, return code {status}"))
        return out.removesuffix("\n").replace("\n", " ")

    def run(self, section: str, command: str) -> tuple[int, str]:
        """Run a command that sees the text of `[default]` and of a section as variables (X12)."""
        env = dict(self.reading.env)
        for name in ("default", section):
            for key, entry in self.all.get(name, {}).items():
                if isinstance(entry[0], str) and "=" not in key:
                    env[key] = entry[0]
        return self.reading.effects.shell(command, env, self.reading.cwd)

    def echo(self, value: str) -> str:
        """The first line that `echo VALUE` prints: variables, globs and quotes work (G40)."""
        if NO_SHELL.fullmatch(value):
            return " ".join(value.split())
        self.config.dynamic = True
        try:
            status, out = self.reading.effects.shell(f"echo {value}", self.reading.env, self.reading.cwd)
        except (OSError, ValueError) as e:
            self.report(f"cannot expand '{value}': {e}", "error")
            return ""
        if status and not out:
            self.report(f"cannot expand '{value}': the shell returned {status}", "error")
        return out.partition("\n")[0]

    def export(self, name: str, value: str) -> None:
        """Set a variable of the reading's environment, if it can be one."""
        if name and "=" not in name and "\0" not in value:
            self.reading.env[name] = value

    def join_value(self) -> None:
        """Put the continuation lines so far into the value."""
        entry = self.entries.get(self.key or "")
        if entry is not None and isinstance(entry[0], str):
            self.entries[self.key or ""] = ("\n".join([entry[0], *self.pieces]), entry[1], entry[2])
        self.pieces.clear()

    def end_value(self) -> None:
        """What follows continues no value."""
        if self.pieces:
            self.join_value()
        self.key = None

    # -- sections

    def enter(self, name: str) -> None:
        """Make a section the current one; it exists from now on, even if it stays empty (G3)."""
        reading = self.reading
        self.section = name
        self.cut = ""
        self.entries = self.all.setdefault(name, {})
        self.special = reading.envlike is not None and reading.envlike in name
        self.pattern = self.pattern_of(name)
        self.live = reading.mode in ("immediate", "deferred") or (reading.mode == "target" and self.concerns_target())

    def pattern_of(self, name: str) -> re.Pattern[str] | None:
        """The pattern of a wildcard section; one that is no regular expression matches nothing."""
        try:
            return template(name)
        except (re.error, OverflowError, RecursionError) as e:
            self.report(f"section [{name}] is no regular expression: {e}", "error")
            return re.compile(r"(?!)")  # matches nothing

    def concerns_target(self) -> bool:
        """Whether commands of this section run when reading for a target (1.4, G54)."""
        target = self.reading.target
        if self.pattern is not None and target is not None:
            return self.pattern.fullmatch(target) is not None
        return self.section in ("default", target)

    def leave(self) -> None:
        """End the current section: apply a wildcard one, export the names of the target's parts."""
        self.end_value()
        if self.pattern is not None:
            self.apply(self.pattern)
        elif self.section == "fields" and not self.reading.fields and self.entries:
            self.export_fields(tuple(self.entries))

    def apply(self, pattern: re.Pattern[str]) -> None:
        """Set the entries of a wildcard section in every section named so far that matches, and forget it (G50)."""
        entries = self.all.pop(self.section)
        for name, other in self.all.items():
            if pattern.fullmatch(name):
                for key, entry in entries.items():
                    other.pop(key, None)
                    other[key] = entry

    def export_fields(self, names: tuple[str, ...]) -> None:
        """Export each part of the target under its name, so that the rest of the file can use it (G44)."""
        if self.reading.target is None:
            return
        values = self.reading.target.split("/")
        self.fields_fit = len(values) == len(names)
        if self.fields_fit:
            for name, value in zip(names, values, strict=True):
                self.export(name, value)
        elif self.reading.fields:
            self.wrong_fields(names)
            self.fields_fit = True

    def wrong_fields(self, names: tuple[str, ...]) -> None:
        """Remember that the target does not fit the names of its parts."""
        text = f"wrong number of values in '{self.reading.target}': should match {'/'.join(names)}"
        self.config.problems.append(Problem(self.config.shown(self.config.path), text))
