"""print a completion script for bash, zsh or fish

The script knows every verb and option, so that completing these starts no Python.  Targets, runs and ids come from
the area at or above the current directory (or MT_AREA): a small cache in $XDG_CACHE_HOME/mt (or ~/.cache/mt) is made
anew when it is older than a minute.

Load it in the shell's start file, or put it where the shell looks:

    bash  eval "$(mt completion bash)", or into ~/.local/share/bash-completion/completions/mt
    zsh   mt completion zsh >~/.zfunc/_mt, with ~/.zfunc in fpath before compinit
    fish  mt completion fish >~/.config/fish/completions/mt.fish

EXAMPLES

    $ mt completion bash
    The script for bash, on standard output.

    $ eval "$(mt completion bash)" && complete -p mt
    Load it into this shell, and see that it is there.

EXIT STATUS

    0  printed
    2  there is no such shell

SEE ALSO

    mt(1), mt-help(1)
"""

from __future__ import annotations

import sys

from mt import verbs
from mt.errors import UsageError
from mt.options import Opt, declared, operand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

SHELLS = ("bash", "zsh", "fish")

#: what a VALUE completes to when its option does not say
KINDS = {
    "DIR": "dirs",
    "FILE": "files",
    "ID": "ids",
    "PATT": "tests",
    "RUN": "runs",
    "STATE": "states",
    "STATUS": "statuses",
    "TARGET": "targets",
    "TEST": "tests",
}

#: kinds that need an area, and what lists them
SOURCES = {
    "ids": "mt tests -f ids",
    "runs": "mt runs -f tsv --fields run | tail -n +2",
    "targets": "mt targets -f tsv --fields target | tail -n +2",
}

#: bash and zsh: print the words of a kind, from a cache that is younger than a minute
WORDS = """\
__mt_words() {
  local dir=${MT_AREA:-$PWD} cache file
  while [ -n "$dir" ] && [ ! -e "$dir/megatest.config" ]; do dir=${dir%/*}; done
  [ -n "$dir" ] || return 0
  if [ "$1" = tests ]; then
    (cd "$dir/tests" 2>/dev/null && for file in */testconfig; do [ -e "$file" ] && echo "${file%/*}"; done)
    return 0
  fi
  cache=${XDG_CACHE_HOME:-$HOME/.cache}/mt
  file=$cache/$1$(printf %s "$dir" | tr / %)
  if [ -z "$(find "$file" -mmin -1 2>/dev/null)" ]; then
    mkdir -p "$cache" || return 0
    case $1 in
@SOURCES@
    esac >"$file.$$" 2>/dev/null </dev/null
    mv -f "$file.$$" "$file"
  fi
  cat "$file"
}
"""

BASH = """\
# bash completion for mt, made by `mt completion bash`
@WORDS@
_mt() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb= kind= opts= i
  if [[ $cur == "=" ]]; then cur=; elif [[ $prev == "=" ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}; fi
  COMPREPLY=()
  i=1
  [[ ${COMP_WORDS[1]} == -C ]] && i=3
  if (( COMP_CWORD > i )); then
    verb=${COMP_WORDS[i]}
    case $verb in @NOUNS@) if (( COMP_CWORD > i + 1 )); then verb="$verb ${COMP_WORDS[i+1]}"; fi ;; esac
  fi
  case $verb in
    '') kind='@FIRST@' ;;
@VERBS@
  esac
  case "$verb $prev" in
    ' -C') kind=dirs opts= ;;
@VALUES@
  esac
  [[ $cur == -* ]] && kind=$opts
  case $kind in
    files|dirs) compopt -o filenames 2>/dev/null ;;&
    files) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    dirs) mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
    ids|runs|targets|tests) mapfile -t COMPREPLY < <(compgen -W "$(__mt_words "$kind")" -- "$cur") ;;
    *) mapfile -t COMPREPLY < <(compgen -W "$kind" -- "$cur") ;;
  esac
}
complete -F _mt mt
"""

ZSH = """\
#compdef mt
# zsh completion for mt, made by `mt completion zsh`
@WORDS@
__mt_add() { local -a found; found=(${(f)"$(__mt_words $1)"}); compadd -a found }
_mt() {
  local verb=$words[2]
  if (( CURRENT == 2 )); then
    local -a known; known=(
@FIRST@
    )
    _describe verb known
    return
  fi
  case $verb in
    @NOUNS@)
      if (( CURRENT == 3 )); then
        case $verb in
@INNER@
        esac
        return
      fi
      verb="$verb $words[3]"
      words=("${words[@]:1}"); (( CURRENT-- )) ;;
  esac
  words=("${words[@]:1}"); (( CURRENT-- ))
  case $verb in
@VERBS@
  esac
}
if [ "$funcstack[1]" = _mt ]; then _mt "$@"; else compdef _mt mt; fi
"""

FISH = """\
# fish completion for mt, made by `mt completion fish`
function __mt_words
    set -l dir $PWD
    set -q MT_AREA; and set dir $MT_AREA
    while test -n "$dir"; and not test -e "$dir/megatest.config"
        set dir (string replace -r '/[^/]*$' '' -- $dir)
    end
    test -n "$dir"; or return 0
    if test $argv[1] = tests
        for file in $dir/tests/*/testconfig
            basename (dirname $file)
        end
        return 0
    end
    set -l cache $HOME/.cache/mt
    set -q XDG_CACHE_HOME; and set cache $XDG_CACHE_HOME/mt
    set -l file $cache/$argv[1](string replace -a / % -- $dir)
    if test -z "$(find $file -mmin -1 2>/dev/null)"
        mkdir -p $cache; or return 0
        switch $argv[1]
@SOURCES@
        end
        mv -f $file.$fish_pid $file
    end
    cat $file
end
function __mt_at
    set -l typed (commandline -opc)[2..-1]
    set -l wanted (string split ' ' -- $argv[1])
    test (count $typed) -ge (count $wanted); and test "$typed[1..$(count $wanted)]" = "$wanted"
end
function __mt_first
    test (count (commandline -opc)) -eq 1
end
function __mt_second
    set -l typed (commandline -opc)
    test (count $typed) -eq 2; and test $typed[2] = $argv[1]
end
complete -c mt -f
@LINES@
"""


class Options:
    """What can be typed after `mt completion`."""

    shell: str = operand("SHELL", help="bash, zsh or fish", complete="bash zsh fish")


def main(opts: Options) -> int:
    """Print the script."""
    if opts.shell not in SHELLS:
        raise UsageError(f"no completion for '{opts.shell}'", hint=f"one of {', '.join(SHELLS)}")
    sys.stdout.write({"bash": bash, "zsh": zsh, "fish": fish}[opts.shell]())
    return 0


def bash() -> str:
    """The script for bash."""
    from mt import states

    words = {"statuses": " ".join(states.STATUSES), "states": " ".join(states.STATES), "verbs": _first_words()}
    values: dict[str, list[str]] = {}
    listed: list[str] = []
    for name, options in _declared():
        names = [n for o in options for n in o.names] + ["-h", "--help"]
        listed.append(f"    '{name}') opts='{' '.join(names)}' kind='{_of_operand(options, words)}' ;;")
        for o in options:
            for n in o.names if o.kind == "value" else ():
                values.setdefault(_kind(o, words), []).append(f"'{name} {n}'")
    for noun in _nouns():
        listed.append(f"    '{noun}') kind='{' '.join(verbs.verbs_of(noun))}' ;;")
    cases = [f"    {'|'.join(keys)}) kind='{kind}' opts= ;;" for kind, keys in sorted(values.items())]
    return _fill(BASH, WORDS=_words(), FIRST=_first_words(), VERBS=listed, VALUES=cases, NOUNS=_noun_pattern())


def zsh() -> str:
    """The script for zsh."""
    from mt import states

    words = {"statuses": " ".join(states.STATUSES), "states": " ".join(states.STATES), "verbs": _first_words()}
    listed = []
    for name, options in _declared():
        specs = [_zsh_option(o, words) for o in options if o.names] + ["'(-h --help)'{-h,--help}'[short help]'"]
        operands = [o for o in options if o.kind in ("operand", "rest")]
        for o in operands:
            lead = "*" if o.kind == "rest" else ":"
            specs.append(f"'{lead}:{_plain(o.meta)}:{_zsh_action(_kind(o, words))}'")
        listed.append(f"    '{name}') _arguments -s -S {' '.join(specs)} ;;")
    inner = []
    for noun in _nouns():
        pairs = " ".join(f"'{v}:{_plain(verbs.summary(f'{noun} {v}'))}'" for v in verbs.verbs_of(noun))
        inner.append(f"          '{noun}') local -a known; known=({pairs}); _describe verb known ;;")
    first = [f"      '{w}:{_plain(_about(w))}'" for w in _first_words().split()]
    return _fill(ZSH, WORDS=_words(), FIRST=first, NOUNS=_noun_pattern(), INNER=inner, VERBS=listed)


def _zsh_option(o: Opt, words: dict[str, str]) -> str:
    names = "{" + ",".join(o.names) + "}" if len(o.names) > 1 else o.names[0]
    many = "*" if o.type.startswith("tuple") else f"({' '.join(o.names)})"
    tail = f":{_plain(o.meta)}:{_zsh_action(_kind(o, words))}" if o.kind == "value" else ""
    return f"'{many}'{names}'[{_plain(o.help)}]{tail}'"


def _zsh_action(kind: str) -> str:
    if kind in SOURCES or kind == "tests":
        return f"__mt_add {kind}"
    return {"files": "_files", "dirs": "_files -/"}.get(kind, f"({kind})" if kind else " ")


def fish() -> str:
    """The script for fish."""
    from mt import states

    words = {"statuses": " ".join(states.STATUSES), "states": " ".join(states.STATES), "verbs": _first_words()}
    lines = [f"complete -c mt -n __mt_first -a '{w}' -d '{_plain(_about(w))}'" for w in _first_words().split()]
    for noun in _nouns():
        for v in verbs.verbs_of(noun):
            about = _plain(verbs.summary(f"{noun} {v}"))
            lines.append(f"complete -c mt -n '__mt_second {noun}' -a '{v}' -d '{about}'")
    for name, options in _declared():
        at = f"complete -c mt -n '__mt_at \"{name}\"'"
        lines += [f"{at} {_fish_option(o, words)}" for o in options if o.names]
        lines.append(f"{at} -s h -l help -d 'short help'")
        kind = _of_operand(options, words)
        lines += [f"{at} {_fish_words(kind)}"] if kind else []
    sources = "\n".join(
        f"            case {kind}\n                {line} >$file.$fish_pid 2>/dev/null </dev/null"
        for kind, line in SOURCES.items()
    )
    return _fill(FISH, SOURCES=sources, LINES=lines)


def _fish_option(o: Opt, words: dict[str, str]) -> str:
    names = " ".join(f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in o.names)
    value = f" -r {_fish_words(_kind(o, words))}" if o.kind == "value" else ""
    return f"{names}{value} -d '{_plain(o.help)}'"


def _fish_words(kind: str) -> str:
    if kind in SOURCES or kind == "tests":
        return f"-a '(__mt_words {kind})'"
    return {"files": "-F", "dirs": "-a '(__fish_complete_directories)'"}.get(kind, f"-a '{kind}'")


def _declared() -> Iterator[tuple[str, list[Opt]]]:
    for name in verbs.names():
        yield name, list(declared(verbs.load(name).Options))


def _first_words() -> str:
    return " ".join(dict.fromkeys(n.split(" ")[0] for n in verbs.names()))


def _nouns() -> list[str]:
    return list(dict.fromkeys(n.split(" ")[0] for n in verbs.names() if " " in n))


def _noun_pattern() -> str:
    return "|".join(_nouns()) or "''"


def _about(word: str) -> str:
    inner = verbs.verbs_of(word)
    return ", ".join(inner) if inner else verbs.summary(word)


def _of_operand(options: list[Opt], words: dict[str, str]) -> str:
    """What the first operand that can be completed is completed with."""
    return next((k for o in options if o.kind in ("operand", "rest") and (k := _kind(o, words))), "")


def _kind(o: Opt, words: dict[str, str]) -> str:
    """A kind, or the words themselves; empty when nothing is known."""
    kind = o.complete or KINDS.get(o.meta.strip("[].")) or ""
    return " ".join(o.choices) or words.get(kind, kind)


def _plain(text: str) -> str:
    """Text that needs no quoting in any of the shells."""
    return "".join(" " if c in "'\"[]:\\$`" else c for c in text)


def _words() -> str:
    cases = "\n".join(f"      {kind}) {line} ;;" for kind, line in SOURCES.items())
    return WORDS.replace("@SOURCES@", cases)


def _fill(text: str, **slots: str | list[str]) -> str:
    for slot, value in slots.items():
        text = text.replace(f"@{slot}@", value if isinstance(value, str) else "\n".join(value))
    return text
