"""What the engine `ssh` runs on a host: scripts for any /bin/sh, with `host` set and jobs as words "PID START BOOT".

Linux is needed for /proc/PID/stat, whose 22nd field tells when a process began,
and for /proc/PID/environ, by which all processes of a job are found, whatever
group or session they have made for themselves.
"""

from __future__ import annotations

from shlex import quote

#: seconds between TERM and KILL for a job that is cancelled
GRACE = 8

#: a csh that logged in leaves copies of its output open, above the 9 that /bin/sh can name; while a job has them, ssh
#: does not come back.  Where there is no bash, only hosts on which csh is the login shell suffer.
_CLOSE = """\
for fd in /proc/$$/fd/*; do
    fd=${fd##*/}
    [ "$fd" -le 2 ] || eval "exec $fd>&-"
done
exec "$@"
"""

#: `told` ends with one line; `same` is true for that very process, dead or not, `living` when it is not dead; `marked`
#: prints the processes of a job; `detached` makes a session, without `&` where setsid can do that, because a shell
#: takes INT and QUIT from what it starts in its background
WORDS = (
    f"close={quote(_CLOSE)}\n"
    """\
told() { printf 'mt: %s: %s\\n' "$host" "$1" >&2; exit 70; }
[ -r /proc/self/stat ] && read -r boot </proc/sys/kernel/random/boot_id || told 'there is no /proc: it must be Linux'
boot=${boot%%-*}
began() { shift 19; printf %s "$1"; }
same() {
    [ "$3" = "$boot" ] || return 1
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    stat=${stat##*") "}
    state=${stat%% *}
    [ "$(began $stat)" = "$2" ]
}
living() { same "$@" && case $state in Z|X|x) false;; esac; }
marked() { grep -lzxF "MT_SSH_JOB=$host:$1:$2:$3" /proc/[0-9]*/environ 2>/dev/null | grep -o '[0-9][0-9]*'; }
detached() {
    command -v setsid >/dev/null || told "cannot run 'setsid': command not found"
    command -v bash >/dev/null && set -- bash -c "$close" mt "$@"
    if setsid -f true 2>/dev/null; then setsid -f "$@"; else setsid "$@" & fi
}
"""
)

#: a job before it becomes its command: it opens its output and tells its id, and then its parent waits no longer
_INSIDE = """\
began() { shift 19; printf %s "$1"; }
read -r stat </proc/$$/stat
stat=${stat##*") "}
MT_SSH_JOB=$1:$$:$(began $stat):$2
exec 3>>"$3-$$.out" || exit
shift 3
export MT_SSH_JOB
printf %s "$MT_SSH_JOB"
exec >&3 2>&3 3>&-
exec "$@"
"""

#: start the command "$@" in the directory `home`, with what it prints below `out`
START = f"""\
cd "$home" 2>/dev/null || told "cannot enter '$home': is the disk shared?"
[ -d "$out" ] || told "cannot see '$out': is the disk shared?"
command -v "$1" >/dev/null || told "cannot run '$1': command not found"
id=$(detached /bin/sh -c {quote(_INSIDE)} mt "$host" "$boot" "$out/$name-$host" "$@" </dev/null)
[ -n "$id" ] || told "cannot start a job that writes to '$out'"
printf '\\nmt-ssh-job %s\\n' "$id"
"""

#: tell which of the jobs "$@" live
POLL = """\
tell() { living "$@" && printf 'mt-ssh-is %s:%s:%s %s\\n' "$@" "$state"; }
printf '\\nmt-ssh-host %s %s\\n' "$host" "$boot"
for job; do tell $job; done
echo mt-ssh-end
"""

#: what a cancel leaves behind for the grace: KILL for the groups of which `led` names the leaders, and for all that is
#: marked; as long as a group has members, no other process gets its number
_KILL = f"""\
leads() {{ case $led in *" $1 "*) same "$@" || [ ! -e "/proc/$1" ];; *) false;; esac; }}
left() {{ leads "$@" && kill -0 "-$1" || [ -n "$(marked "$@")" ]; }}
any() {{ for job; do left $job && return; done; false; }}
hit() {{
    if leads "$@"; then kill -KILL "-$1"; fi
    for pid in $(marked "$@"); do kill -KILL "$pid"; done
}}
for second in {" ".join(map(str, range(GRACE)))}; do any "$@" || exit; sleep 1; done
for time in 1 2 3; do
    for job; do hit $job; done
    sleep 1
    any "$@" || exit
done
"""

#: TERM for the jobs "$@" now, KILL after the grace; where the first process of a job is gone, others may be left
CANCEL = f"""\
led=' '
end() {{
    if living "$@"; then led="$led$1 "; kill -TERM "-$1"; return; fi
    for pid in $(marked "$@"); do kill -TERM "$pid"; done
}}
for job; do end $job; done 2>/dev/null
detached /bin/sh -c {quote(f"host=$1 led=$2; shift 2{chr(10)}{WORDS}{_KILL}")} mt "$host" "$led" "$@" \\
    </dev/null >/dev/null 2>&1
"""

#: for people: the processes of one job, and the end of what it printed
WHY = """\
why() {
    pids=$(marked "$@" | tr '\\n' ,)
    if living "$@"; then
        pids=$pids$1
        file=$(readlink "/proc/$1/fd/1")
    elif [ "$3" = "$boot" ]; then
        printf 'process %s of %s is not there any more\\n' "$1" "$host"
    else
        printf '%s was booted since process %s began\\n' "$host" "$1"
    fi
    [ -z "$pids" ] || ps -o pid,ppid,stat,etime,time,rss,args -p "${pids%,}"
    if [ -f "$file" ]; then printf 'the end of %s:\\n' "$file"; tail -n 20 "$file"; fi
}
why $1
"""
