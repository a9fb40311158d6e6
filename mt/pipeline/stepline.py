"""How a step's command line is to be run: one program, a pipeline of programs, or a text for bash.

Pure.  A lone simple command needs no shell (a process costs 0.6 ms, bash 1.1 ms
more); `a | b | c` of simple commands becomes a pipeline with one status per
stage; everything else - variables, globs, lists, redirections, builtins,
several lines, a leading `!` - is a text for bash, as it always was.
"""

from __future__ import annotations

import shlex
from typing import NamedTuple

_SHELLY = frozenset("$`\\*?[]~<>;&(){}#!\n\r")
_BUILTIN = frozenset(
    """. : [ alias bg bind break builtin caller case cd command compgen complete compopt continue coproc declare
    dirs disown do done echo elif else enable esac eval exec exit export fc fg fi for function getopts hash help
    history if in jobs kill let local logout mapfile popd printf pushd pwd read readarray readonly return select set
    shift shopt source suspend test then time times trap type typeset ulimit umask unalias unset until wait while
    [[ ]]""".split()
)


class Line(NamedTuple):
    """Stages to start without a shell, or else the text for bash."""

    stages: tuple[tuple[str, ...], ...] = ()
    shell: str = ""


def parse_line(text: str) -> Line:
    """Decide how to run a command text (spec/config.md T10, spec/architecture.md 4.7)."""
    text = text.strip()
    if text.startswith("!"):
        return Line(shell=text[1:].strip())
    if any(c in _SHELLY for c in text) or "||" in text:
        return Line(shell=text)
    try:
        stages = _stages(text)
    except ValueError:
        return Line(shell=text)
    if not stages or not all(_simple(s) for s in stages):
        return Line(shell=text)
    return Line(stages=stages)


def _stages(text: str) -> tuple[tuple[str, ...], ...]:
    """Words by stage; a `|` within quotes is a word like any other."""
    if "|" not in text:
        return (tuple(shlex.split(text)),)
    lexer = shlex.shlex(text, posix=True, punctuation_chars="|")
    lexer.whitespace_split = True
    lexer.commenters = ""
    stages: list[list[str]] = [[]]
    if _quoted_bar(text):
        raise ValueError("a bar within quotes")
    for word in lexer:
        if word == "|":
            stages.append([])
        else:
            stages[-1].append(word)
    return tuple(tuple(s) for s in stages)


def _quoted_bar(text: str) -> bool:
    """Whether some `|` stands within quotes; then bash shall read the line."""
    quote = ""
    for c in text:
        if quote:
            if c == quote:
                quote = ""
            elif c == "|":
                return True
        elif c in "'\"":
            quote = c
    return False


def _simple(words: tuple[str, ...]) -> bool:
    return bool(words) and words[0] != "" and "=" not in words[0] and words[0] not in _BUILTIN
