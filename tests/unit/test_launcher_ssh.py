"""The engine `ssh` as data: what it tells ssh, and how it reads what comes back."""

from __future__ import annotations

import base64
import re

import pytest

from mt.errors import LaunchError, MtError
from mt.launchers import engine
from mt.launchers.base import Ask, Job, Unreadable, Word
from mt.launchers.ssh import ENGINE, host_of, next_host, read

JOB = Job("mt-area-1", ("/py", "-m", "pilot", "a bag's dir"), "/disk/out", "/disk/area", host="a")
BOOT = "0123abcd"


def script_of(argv: tuple[str, ...]) -> str:
    """What /bin/sh gets there."""
    packed = re.search(r"echo (\S+) \| base64", argv[-1])
    assert packed
    return base64.b64decode(packed[1]).decode()


def answer(*lines: str, host: str = "a") -> str:
    return "\n".join(["", f"mt-ssh-host {host} {BOOT}", *lines, "mt-ssh-end", ""])


def trouble(said: str) -> tuple[str, bool]:
    """The hint for what ssh printed, and whether it may pass."""
    return next((t.hint, t.passing) for t in ENGINE.troubles if re.search(t.pattern, said, re.MULTILINE))


def test_it_is_found_by_its_name() -> None:
    assert engine("ssh") is ENGINE
    assert ENGINE.task_number[0] == ""
    assert ENGINE.arrays == 0


def test_a_job_goes_to_its_host_without_questions_and_for_any_login_shell() -> None:
    argv = ENGINE.submit(JOB, "/disk/job.sh")
    assert argv[0] == "ssh"
    assert argv[-3:-1] == ("--", "a")
    assert "BatchMode=yes" in argv
    assert any(word.startswith("ConnectTimeout=") for word in argv)
    assert any(word.startswith("ServerAliveInterval=") for word in argv)
    assert not any("Control" in word for word in argv), "a shared connection is the user's affair"
    assert not set("\n!") & set(argv[-1])
    assert "set -- /py -m pilot 'a bag'\"'\"'s dir'\n" in script_of(argv)


@pytest.mark.parametrize("host", ["", "-oProxyCommand=x", "a b", "a\nb", "ssh://a"])
def test_what_is_no_name_of_a_host_is_not_given_to_ssh(host: str) -> None:
    with pytest.raises(LaunchError):
        ENGINE.submit(JOB._replace(host=host), "/disk/job.sh")


def test_options_for_a_job_are_refused_as_the_queries_would_not_have_them() -> None:
    with pytest.raises(MtError, match="takes no flags"):
        ENGINE.submit(JOB._replace(ask=Ask(flags=("-p", "22"))), "/disk/job.sh")


def test_the_id_is_found_in_whatever_a_login_shell_prints() -> None:
    printed = f"Welcome!\nmt-ssh-job is nothing\nmotd\nmt-ssh-job u@a:17:123456:{BOOT}\n"
    found = re.search(ENGINE.job_id, printed, re.MULTILINE)
    assert found
    assert found[1] == f"u@a:17:123456:{BOOT}"
    assert re.fullmatch(r"[\w@.:\[\]-]+", found[1])


def test_jobs_are_asked_for_and_ended_by_one_ssh_for_each_host() -> None:
    ids = [f"a:1:10:{BOOT}", f"u@b:2:20:{BOOT}", f"a:3:30:{BOOT}", f"::1:4:40:{BOOT}"]
    for commands in (ENGINE.poll("mt-area-1", ids), ENGINE.cancel(ids)):
        assert [argv[-2] for argv in commands] == ["a", "u@b", "::1"]
        assert f"set -- '1 10 {BOOT}' '3 30 {BOOT}'\n" in script_of(commands[0])
    assert [ENGINE.apart(one) for one in ids] == ["a", "u@b", "a", "::1"]


@pytest.mark.parametrize("job", ["", "17", "a:17", "a:x:1:0", "a:1:2:$(id)", "a:1:2:0; rm", f"a:1 2:3:{BOOT}"])
def test_what_is_no_id_is_not_taken_to_a_host(job: str) -> None:
    with pytest.raises(LaunchError, match="no id"):
        host_of(job)


def test_living_jobs_are_read_between_the_marks() -> None:
    said = "motd\nNo newline" + answer(f"mt-ssh-is 1:10:{BOOT} S", f"mt-ssh-is 3:30:{BOOT} T") + "bye\n"
    assert read(said) == {
        f"a:1:10:{BOOT}": Word("running", "running", "a"),
        f"a:3:30:{BOOT}": Word("suspended", "stopped", "a"),
    }


def test_what_a_job_does_at_the_moment_is_no_news() -> None:
    words = {state: read(answer(f"mt-ssh-is 1:10:{BOOT} {state}"))[f"a:1:10:{BOOT}"] for state in "RSDI"}
    assert set(words.values()) == {Word("running", "running", "a")}


def test_a_host_without_living_jobs_answers_all_the_same() -> None:
    assert read(answer()) == {}


@pytest.mark.parametrize(
    "said",
    [
        "",
        "Welcome to this host!\n",
        f"mt-ssh-is 1:10:{BOOT} S\nmt-ssh-end",  # no begin: the end alone proves nothing
        answer(f"mt-ssh-is 1:10:{BOOT} S").replace("mt-ssh-end", ""),
        answer(f"mt-ssh-is 1:10:{BOOT}"),
        answer("You have mail"),
        answer() + f"mt-ssh-host b {BOOT}\n",
    ],
)
def test_an_answer_that_is_not_whole_says_nothing_of_any_job(said: str) -> None:
    with pytest.raises(Unreadable):
        read(said)


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("u@a: Permission denied (publickey,gssapi-with-mic).", "ssh-add"),
        ("Received disconnect from 10.0.0.1 port 22:2: Too many authentication failures", "ssh-add"),
        ("sign_and_send_pubkey: signing failed: agent refused operation", "ssh-add"),
        ("Certificate invalid: expired certificate\nu@a: Permission denied (publickey).", "kinit"),
        ("GSSAPI: Ticket expired", "kinit"),
        ("Host key verification failed.", "ssh HOST true"),
        ("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.", "ssh HOST true"),
        ("ssh: Could not resolve hostname nope: Name or service not known", "name of the host"),
        ("mt: a: cannot see '/disk/out': is the disk shared?", "same place"),
        ("mt: a: cannot run '/py': command not found", "python="),
        ("This account is currently not available.", "by hand"),
    ],
)
def test_some_troubles_do_not_pass_by_themselves(said: str, hint: str) -> None:
    told, passing = trouble(said)
    assert hint in told
    assert not passing


@pytest.mark.parametrize(
    "said",
    [
        "ssh: connect to host a port 22: Connection refused",
        "ssh: connect to host a port 22: Connection timed out",
        "ssh: connect to host a port 22: No route to host",
        "Connection timed out during banner exchange",
        "kex_exchange_identification: Connection closed by remote host",
        "Connection to a closed by remote host.",
        "Timeout, server a not responding.",
        "client_loop: send disconnect: Broken pipe",
        "ssh: Could not resolve hostname a: Temporary failure in name resolution",
        '"System is booting up. Unprivileged users are not permitted to log in yet. See pam_nologin(8)."',
        "",
    ],
)
def test_a_host_that_cannot_be_reached_may_be_there_again(said: str) -> None:
    assert trouble(said)[1]


def test_the_host_with_most_free_slots_is_next() -> None:
    hosts = [("a", 2), ("b", 4), ("c", 4)]
    assert next_host(hosts, {}) == "b"
    assert next_host(hosts, {"b": 1}) == "c"
    assert next_host(hosts, {"b": 3, "c": 3}) == "a"
    assert next_host(hosts, {"a": 2, "b": 4, "c": 3}) == "c"


def test_no_host_is_next_when_all_are_full_or_away() -> None:
    assert next_host([], {}) == ""
    assert next_host([("a", 0), ("b", 1)], {"b": 1}) == ""
    assert next_host([("a", 1)], {"a": 5}) == ""


def test_jobs_fill_all_slots_and_no_more() -> None:
    hosts, busy = [("a", 3), ("b", 1), ("c", 2)], {"a": 0, "b": 0, "c": 0}
    while host := next_host(hosts, busy):
        busy[host] += 1
    assert busy == dict(hosts)
