"""What people write of launchers (spec/features.md B20; spec/config.md M11)."""

from __future__ import annotations

import pytest

from mt.config import Config, Reading, parse
from mt.errors import ConfigError
from mt.launchers import ENGINES, engine
from mt.launchers.base import Ask
from mt.launchers.words import Choice, ask_of, launchers_named, over, problems, read_choice

FAST = {"fast": {"engine": "slurm", "queue": "short", "mem": "2G", "flags": "--exclusive"}}


def area(text: str) -> Config:
    """A megatest.config."""
    return parse(text, "/area/megatest.config", Reading("/area", env={}))


def asked(text: str) -> Ask:
    """What a [requirements] asks."""
    return ask_of(area(f"[requirements]\n{text}\n"))


def refused(text: str) -> tuple[str, str]:
    """What is said of a launcher that cannot be understood, and the hint."""
    with pytest.raises(ConfigError) as e:
        read_choice(text, FAST)
    return e.value.what, e.value.hint or ""


@pytest.mark.parametrize(
    "text",
    ["", "  ", "local", "nbfake", "bsub -q short", "remrun host", "/opt/slurm/bin/sbatch --wrap", "ssh host",
     "ssh host nice -n 5", "ssh -o BatchMode=yes host", "ssh me@host X=1", "Slurm", "slurm2 queue=x", "'"],
)  # fmt: skip
def test_a_command_is_no_engine(text: str) -> None:
    assert read_choice(text, {}) is None


@pytest.mark.parametrize("name", [name for name in ENGINES if name != "ssh"])
def test_the_name_of_an_engine_is_enough(name: str) -> None:
    assert read_choice(name, {}) == Choice(name, text=name)
    assert engine(name).name == name


def test_all_words_of_an_engine() -> None:
    text = (
        "slurm partition=short project=p7 cores=4 mem=1.5G time='1h 30m' licenses=matlab:2 submit=array jobs=20"
        " poll=1s..1m idle=2m notice=90 lost=0 python=/opt/python3 flags='--exclusive --comment=\"a b\"' flags=--nice"
    )
    ask = Ask(4, 3 << 29, 5400.0, "short", "p7", "matlab:2", ("--exclusive", "--comment=a b", "--nice"))
    assert read_choice(text, {}) == Choice(
        "slurm", ask, "array", 20, (), (1.0, 60.0), 120.0, 90, 0, "/opt/python3", text
    )  # fmt: skip


def test_hosts_have_slots_and_one_where_nothing_is_said() -> None:
    choice = read_choice("ssh hosts=a:4,b,me@c:2,[::1]:3,fe80::1,a:1", {})
    assert choice is not None
    assert choice.hosts == (("a", 5), ("b", 1), ("me@c", 2), ("::1", 3), ("fe80::1", 1))


def test_words_win_over_the_section_they_name() -> None:
    choice = read_choice("fast mem=8G flags=--nice", FAST)
    assert choice is not None
    assert (choice.engine, choice.text) == ("slurm", "fast mem=8G flags=--nice")
    assert choice.ask == Ask(memory=8 << 30, queue="short", flags=("--exclusive", "--nice"))


def test_a_section_with_the_name_of_an_engine_says_what_it_is_by_default() -> None:
    choice = read_choice("lsf", {"lsf": {"queue": "night"}})
    assert choice is not None
    assert (choice.engine, choice.ask.queue) == ("lsf", "night")
    hosts = read_choice("ssh", {"ssh": {"hosts": "a:2"}})
    assert hosts is not None
    assert hosts.hosts == (("a", 2),)


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("slurm short", "'short' is not KEY=VALUE", "keys: queue, account"),
        ("slurm queue", "'queue' is not KEY=VALUE", "did you mean queue?"),
        ("slurm qeue=x", "unknown key 'qeue'", "did you mean queue?"),
        ("slurm engine=lsf", "unknown key 'engine'", ""),
        ("slurm cores=0", "cores '0': a whole number is wanted from 1 on", "cores=4"),
        ("slurm mem=lots", "mem 'lots': this is no amount of memory", "memory=4G"),
        ("slurm time=60", "time '60': a length of time needs a unit", "time=90m"),
        ("slurm time=1:30", "time '1:30': this is no length of time", "time=1:30:00"),
        ("slurm time='1h soon'", "time '1h soon': this is no length of time", ""),
        ("slurm submit=arrays", "submit 'arrays': no way to hand cases over", "submit=auto"),
        ("slurm poll=9s..1s", "poll '9s..1s': 9s to 1s is no span of pauses", "poll=2s"),
        ("slurm poll=0", "poll '0': 0s to 30s is no span of pauses", ""),
        ("slurm queue=", "queue '': a word is wanted", ""),
        ("slurm 'queue=a b'", "queue 'a b': one word is wanted", ""),
        ("slurm flags='\"'", "flags '\"': no closing quotation", ""),
        ("slurm queue='x", "no closing quotation", "quotes"),
        ("slurm hosts=a", "slurm finds hosts by itself", ""),
        ("ssh", "it needs hosts", "ssh hosts=a:4,b:2"),
        ("ssh hosts=,", "hosts ',': no host is named", "hosts=a:4"),
        ("ssh hosts=-oX", "hosts '-oX': '-oX' is no host", ""),
        ("ssh hosts=a:0", "hosts 'a:0': a whole number is wanted from 1 on", ""),
        ("ssh queue=x hosts=a", "ssh has no 'queue'", "leave 'queue' out"),
        ("htcondor queue=x", "htcondor has no 'queue'", "leave 'queue' out"),
        ("htcondor flags=--x", "flags: '--x' is not KEY=VALUE", "submit description"),
        ("fast cores=many", "cores 'many': a whole number is wanted", ""),
    ],
)
def test_what_cannot_be_understood_is_told_in_one_line(text: str, what: str, hint: str) -> None:
    told, helps = refused(text)
    assert told == f"launcher '{text}': {what}" or (told.startswith(f"launcher '{text}': ") and what in told)
    assert "\n" not in told
    assert hint in helps


def test_a_section_must_name_an_engine() -> None:
    for section, what in (({}, "it names no engine"), ({"engine": "slurn"}, "there is no engine 'slurn'")):
        with pytest.raises(ConfigError, match=what) as e:
            read_choice("mine", {"mine": section})
        assert "slurm" in (e.value.hint or "")


def test_sections_of_launchers_are_found_by_their_names() -> None:
    config = area("[launcher fast]\nengine slurm\nqueue short\n[launchers]\nx y\n[launcher]\nq z\n")
    assert launchers_named(config) == {"fast": {"engine": "slurm", "queue": "short"}}


def test_requirements_ask_for_what_they_say() -> None:
    said = "cores 4\nmemory 2 GB\ntime 2h\npartition long\nproject p\nlicences matlab:1\nflags --exclusive -x 'a b'"
    assert asked(said) == Ask(4, 2 << 30, 7200.0, "long", "p", "matlab:1", ("--exclusive", "-x", "a b"))


def test_a_limit_of_a_test_gives_the_time_of_its_job_with_a_margin() -> None:
    assert asked("runtimelim 1h").time == 3600 * 1.2
    assert asked("runtimelim 20s").time == 80
    assert asked("runtimelim 20s\ntime 5m").time == 300
    assert asked("").time == 0


def test_what_old_areas_say_of_memory_is_no_error() -> None:
    config = area("[requirements]\nmemory as much as there is\ncores 2\nwaiton a\n")
    assert ask_of(config) == Ask(cores=2)
    (problem,) = problems(config)
    assert (problem.level, problem.where) == ("warning", "megatest.config:2")
    assert "no amount of memory" in problem.text


def test_a_test_says_more_than_a_launcher() -> None:
    both = over(Ask(cores=8, flags=("--a",)), Ask(cores=2, memory=5, queue="q", flags=("--b",)))
    assert both == Ask(cores=8, memory=5, queue="q", flags=("--b", "--a"))


def test_mt_check_names_the_line_of_a_launcher_that_cannot_be_understood() -> None:
    config = area(
        "[jobtools]\nlauncher slurm qeue=x\n[host-types]\ngood bsub -q x\nbad lsf mem=much\nfine fast\nworse odd\n"
        "[launcher fast]\nengine slurm\n[launcher odd]\nengine pbs\nmemroy 3\n"
    )
    found = [(p.where, p.text) for p in problems(config)]
    assert [where for where, _ in found] == ["megatest.config:11", "megatest.config:2", "megatest.config:5"]
    assert all(text.startswith("launcher '") for _, text in found)


@pytest.mark.parametrize(
    ("text", "flag", "why"),
    [
        ("slurm flags='--exclusive --job-name=x'", "--job-name=x", "by the name"),
        ("slurm flags=-Jx", "-Jx", "by the name"),
        ("slurm flags='-J x'", "-J", "by the name"),
        ("slurm flags=--clu=other", "--clu=other", "other clusters"),
        ("slurm flags='-M other'", "-M", "other clusters"),
        ("slurm flags=--array=1-3", "--array=1-3", "which tasks there are"),
        ("slurm flags=-a0-9", "-a0-9", "which tasks there are"),
        ("slurm flags='--wrap true'", "--wrap", "a script of mt"),
        ("slurm flags='-o /dev/null'", "-o", "what jobs print"),
        ("slurm flags=--wait", "--wait", "wait for the end"),
        ("slurm flags=-W", "-W", "wait for the end"),
        ("slurm flags=-Q", "-Q", "the id of the job"),
        ("slurm flags=--test-only", "--test-only", "the id of the job"),
        ("lsf flags='-J x'", "-J", "by the name"),
        ("lsf flags=-K", "-K", "wait for the end"),
        ("lsf flags=-Ip", "-Ip", "wait for the end"),
        ("lsf flags='-oo x'", "-oo", "what jobs print"),
        ("pbs flags=-J0-3", "-J0-3", "which tasks there are"),
        ("pbs flags=-I", "-I", "wait for the end"),
        ("pbs flags='-W group_list=a,block=true'", "-W block", "wait for the end"),
        ("pbs flags=-Wblock=true", "-W block", "wait for the end"),
        ("pbs flags=-z", "-z", "the id of the job"),
        ("torque flags='-t 0-3'", "-t", "which tasks there are"),
        ("sge flags='-t 1-3'", "-t", "which tasks there are"),
        ("sge flags='-sync y'", "-sync", "wait for the end"),
        ("sge flags='-b y'", "-b", "a script of mt"),
        ("htcondor flags='queue=5'", "queue", "which tasks there are"),
        ("htcondor flags='+JobBatchName=x'", "+JobBatchName", "by the name"),
        ("htcondor flags='Environment=A=1'", "Environment", "mt says it itself"),
    ],
)
def test_a_flag_that_mt_relies_on_is_refused_in_one_line(text: str, flag: str, why: str) -> None:
    told, helps = refused(text)
    assert told.startswith(f"launcher '{text}': flags: '{flag}' is not yours to say: ")
    assert why in told and "\n" not in told
    assert helps


@pytest.mark.parametrize(
    "text",
    ["slurm flags='--wait-all-nodes=1 --cluster-constraint=x --account=a -A b --output-x -p q -N1 --begin=now+1hour'",
     "slurm flags='--comment \"-\" --qos=high --wckey=k --error=x'",
     "lsf flags='-Jd what -outdir x -R select[x] -app a -m h1'",
     "pbs flags='-N name -W depend=afterok:1 -l place=excl -V'", "torque flags='-W x=GRES:a -J'",
     "sge flags='-N name -pe smp 4 -terse -tc 3 -hold_jid 7 -l gpu=1'",
     "htcondor flags='request_gpus=1 +WantIt=true output_x=1'"],
)  # fmt: skip
def test_other_flags_are_handed_on(text: str) -> None:
    assert read_choice(text, {}) is not None


def test_a_flag_that_mt_relies_on_is_refused_with_its_line_in_a_section() -> None:
    config = area("[launcher mine]\nengine slurm\nqueue q\nflags --array=1-2\n")
    (problem,) = problems(config)
    assert problem.where == "megatest.config:2"
    assert "flags: '--array=1-2' is not yours to say" in problem.text and "submit=array" in (problem.hint or "")
