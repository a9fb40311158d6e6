"""A shell script that does a recorded case again, elsewhere and without mt (spec/features.md 5).

It carries the environment of the case, its files (or where they are), its steps
in order and its log rules, adds their codes up as mt does, and ends with 0 for
a good verdict and 1 for any other.  Bash and the usual tools are all it needs;
`logpro` judges logs where it is installed.

What steps tell by `mt result` or `megatest -test-status` is kept in the new
directory: MT_CMDINFO names a store of its own there, never that of the area.
The old run directory is replaced by the new one wherever it is mentioned.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import tarfile
import textwrap
import time
from collections.abc import Iterator
from typing import NamedTuple

from mt.errors import MtError, why
from mt.pipeline.standing import PASSING, Standing, is_session
from mt.pipeline.stepline import parse_line
from mt.states import OK
from mt.testspec import StepSpec

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: variables of the machine or of the shell, not of the case
_LOCAL = ("HOSTNAME", "LOGNAME", "MAIL", "SHELL", "PWD", "PATH", "MT_TEST_RUN_DIR", "BASHOPTS", "SHELLOPTS", "UID")

_BEGIN = """\
say() { printf 'repro: %s\\n' "$*" >&2; }
place=${1:-@NAME@}
mkdir -p -- "$place" && cd -- "$place" && place=$PWD || exit 2
if [ -n "$(ls -A)" ]; then
    say "'$place' is not empty: name another directory"
    exit 2
fi
"""

_FUNCTIONS = """\
status=PASS go=yes overruled=0 names=()
# as mt judges a pipeline: the last stage that failed counts, but not a left one whose reader had read enough
every='codes=("${PIPESTATUS[@]}"); for ((n = ${#codes[@]} - 1; n >= 0; n--)); do
    [ ${codes[n]} = 0 ] || [ ${codes[n]} = 141 -a $n -lt $((${#codes[@]} - 1)) ] || exit ${codes[n]}
done; exit 0'
with() { (while [[ $1 == *=* ]]; do export "$1"; shift; done; "$@"); }
without() { (unset "${!MT_@}"; with "$@"); }
rules() { if [ -e "$1.logpro" ]; then cat > /dev/null; else cat > "$1.logpro"; fi; }
lines() { if [ -f .mt/said.ndjson ]; then wc -l < .mt/said.ndjson; else echo 0; fi; }
named() { local words=(PASS FAIL WARN CHECK WAIVED ABORT SKIP); echo "${words[$1]:-FAIL}"; }
add() {  # the verdict so far, after a step with status $1
    case $1 in PASS | WARN) ;; *) go=no ;; esac
    if [ "$status" = PASS ] || { [ "$status" = WARN ] && [ "$1" = FAIL ]; }; then status=$1; fi
}
step() {  # NAME, `each` when every stage of a pipeline counts, COMMAND, what sets its variables
    local stem=${1//\\//_} kind=$2 command=$3 before= name file code word
    [ $go = yes ] || return 0
    for name in "${names[@]}"; do
        for file in ".ezsteps/$name.sh" ".ezsteps/$name"; do
            if [ -f "$file" ]; then before+=". ./$(printf %q "$file")"$'\\n'; break; fi
        done
    done
    names+=("$stem")
    if [ $kind = each ] && [ -z "$before" ]; then command+=$'\\n'$every; fi
    "${@:4}" /bin/bash -c "$before$command" > "$stem.log" 2>&1 < /dev/null
    code=$?
    word=PASS
    [ $code = 0 ] || word=FAIL
    if [ -e "$stem.logpro" ] && command -v logpro > /dev/null; then
        logpro "$stem.logpro" "$stem.html" < "$stem.log" > /dev/null 2>&1
        word=$(named $?)
        overruled=$(lines)
    elif [ -e "$stem.logpro" ]; then
        say "logpro is not installed: the exit status of step '$1' counts"
    fi
    [ $word = PASS ] || overruled=$(lines)
    say "step '$1': exit $code, $word; its log is $stem.log"
    add $word
}
script() {  # COMMAND as it is in [setup] runscript
    local command=$1 word=${1%% *}
    if [[ $word != */* ]] && [ -f "$word" ]; then chmod ug+x "$word"; command=./$command; fi
    /bin/bash -c "$command" > mt_launch.log 2>&1 < /dev/null
    local code=$?
    status=$(named $code)
    say "runscript: exit $code, $status; its log is mt_launch.log"
    [ $code -le 128 ] || go=no
}
"""

_END = """\
told=$(tail -n "+$((overruled + 1))" .mt/said.ndjson 2> /dev/null | grep '^{"k":"result".*"state":"[A-Z]' | tail -n 1)
word=$(sed -n 's/.*"status":"\\([^"]*\\)".*/\\1/p' <<< "$told")
case $told/$word in
    /*) ;;
    */AUTO*) if grep -qi '^{"k":"value".*"status":"fail' .mt/said.ndjson; then status=FAIL; fi ;;
    *'"state":"RUNNING"'*) ;;
    *) status=$word ;;
esac
say "$status in $place"
case $status in @GOOD@) exit 0 ;; esac
exit 1
"""


class Text(NamedTuple):
    """Quoting for one script: mentions of the old run directory become the new one."""

    old: tuple[str, ...]

    def quoted(self, value: str) -> str:
        """A word for bash that is the value, whatever is in it."""
        if not self.old:
            return shlex.quote(value)
        parts = re.split("|".join(f"{re.escape(path)}(?![^/\\s:;,'\"])" for path in self.old), value)
        return '"$place"'.join(shlex.quote(part) if part else "" for part in parts) or "''"


def name_of(standing: Standing) -> str:
    """A file name for a case, without what a shell would stumble over."""
    return "repro-" + re.sub(r"[^A-Za-z0-9._+=@-]", "_", str(standing.row.key).replace("/", "-"))


def script(standing: Standing, *, embed: bool = False) -> str:
    """The whole script; with `embed` the files of the test are in it.  Raises MtError when they cannot be read."""
    places = {standing.row.dir, standing.directory} - {""}
    text = Text(tuple(sorted(places, key=len, reverse=True)))
    parts = [
        _head(standing),
        _BEGIN.replace("@NAME@", name_of(standing)),
        "\n# -- the environment of the case\n",
        *_environment(standing, text),
        "\n# -- its files\n",
        *_files(standing, embed=embed),
        "\n# -- its steps\n",
        _FUNCTIONS,
        *_steps(standing, text),
        "\n# -- its verdict\n",
        _END.replace("@GOOD@", " | ".join(sorted({*OK, "AUTO", "AUTO-WARN"}))),
    ]
    return "".join(parts)


def _head(standing: Standing) -> str:
    row = standing.row
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(row.start)) if row.start else "never"
    facts = [
        f"{standing.id}: {row.state}/{row.status}{f', {row.comment}' if row.comment else ''}",
        f"attempt {row.attempt} on {row.host or 'no host'}, begun {when}, in {row.dir or 'no directory'}",
        "",
        "Does it again in DIR, a new or empty directory (default: one of this name here):",
        "    bash THIS-FILE [DIR]",
        "Ends with 0 when the verdict is good, 1 when it is not, 2 when it cannot be tried.",
    ]
    return "#!/bin/bash\n" + "".join(f"# {' '.join(fact.splitlines())}".rstrip() + "\n" for fact in facts)


def _environment(standing: Standing, text: Text) -> Iterator[str]:
    hidden = (*PASSING, *_LOCAL, *standing.area.blacklist, *standing.area.secrets)
    yield 'unset "${!MT_@}"\n'
    for name, value in sorted(standing.env.items()):
        if name not in hidden and not is_session(name) and _NAME.fullmatch(name):
            yield f"export {name}={text.quoted(value)}\n"
    path = standing.env.get("PATH", os.defpath)
    yield f'export PATH={text.quoted(path)}":$PATH"\n'
    yield 'export MT_TEST_RUN_DIR="$place"\n'
    row = standing.row
    facts = {
        "id": 1, "target": standing.run.target, "run": standing.run.name, "test": row.test, "item": row.item,
        "attempt": 1, "gen": 1,
    }  # fmt: skip
    yield 'escaped=${place//\\\\/\\\\\\\\} escaped=${escaped//\\"/\\\\\\"}\n'
    body = shlex.quote(json.dumps(facts)[:-1])
    yield f'MT_CMDINFO=$(printf \'%s, "db": "%s/.repro", "dir": "%s"}}\' {body} "$escaped" "$escaped" |\n'
    yield "    base64 | tr -d '\\n')\nexport MT_CMDINFO\n"


def _files(standing: Standing, *, embed: bool) -> Iterator[str]:
    source = standing.spec.dir
    if embed:
        import base64

        body = base64.b64encode(_packed(source)).decode()
        yield "base64 -d << 'END' | tar -xzf - || exit 2\n" + "\n".join(textwrap.wrap(body, 100)) + "\nEND\n"
    else:
        word = shlex.quote(source)
        yield f"source={word}\n"
        yield 'if [ ! -d "$source" ]; then\n    say "the files of the test are not in \'$source\' here:'
        yield ' mt repro --embed puts them in"\n    exit 2\nfi\n'
        yield 'cp -pR -- "$source"/. . && rm -rf tmp_run || exit 2\n'
    for name, body in standing.spec.scripts:
        yield _here(f"cat > {shlex.quote(name)}", body) + f"chmod 700 {shlex.quote(name)}\n"


def _packed(source: str) -> bytes:
    """The files of a test as a compressed tar; `tmp_run` (runs kept inside the test) is left out."""
    out = io.BytesIO()
    try:
        with tarfile.open(fileobj=out, mode="w:gz") as tar:
            for name in sorted(os.listdir(source)):
                if name != "tmp_run":
                    tar.add(os.path.join(source, name), arcname=f"./{name}")
    except OSError as e:
        raise MtError(f"cannot read '{e.filename or source}': {why(e)}") from e
    return out.getvalue()


def _here(command: str, body: str) -> str:
    """A here-document with a delimiter that is no line of it."""
    end, lines = "END", set(body.splitlines())
    while end in lines:
        end += "_"
    return f"{command} << '{end}'\n{body}" + ("" if body.endswith("\n") or not body else "\n") + f"{end}\n"


def _steps(standing: Standing, text: Text) -> Iterator[str]:
    spec = standing.spec
    each = (standing.area.setting("setup", "pipefail") or "yes") != "no"
    if len(spec.steps) > 1:
        yield "mkdir -p .ezsteps\n"
    if spec.runscript:
        yield f"script {text.quoted(spec.runscript)}\n"
    for step in spec.steps:
        rules = spec.logpro.get(step.name)
        if rules is not None:
            yield _here(f"rules {shlex.quote(step.name.replace('/', '_'))}", rules)
        yield _step(step, text, each=each)
    if any(key in dict(spec.subrun) for key in ("runwait", "run-wait")):
        yield "say 'the sub-run of this test is not done again'\n"


def _step(step: StepSpec, text: Text, *, each: bool) -> str:
    line = parse_line(step.command)
    kind = "each" if each and len(line.stages) > 1 else "last"
    command = line.shell or step.command or "true"
    words = ["step", text.quoted(step.name), kind, text.quoted(command), *_variables(step, text)]
    return " ".join(words) + "\n"


def _variables(step: StepSpec, text: Text) -> list[str]:
    said = dict(step.vars)
    plain = said.pop("subrun", "no") in ("", "no", "false", "0", "#f")
    pairs = [text.quoted(f"{name}={value}") for name, value in said.items() if _NAME.fullmatch(name)]
    return ["with" if plain else "without", *pairs] if pairs or not plain else []
