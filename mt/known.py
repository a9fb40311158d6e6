"""The sections and keys that are read, for whoever looks for misspelled ones (spec/config.md 2.1, 4.1).

None in place of keys means that the section's keys are the user's own words,
or that somebody else looks at them.
Other sections are legal everywhere: they serve `#{get SECTION KEY}`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    Table = Mapping[str, frozenset[str] | None]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MEGATEST: Table = {
    "fields": None, "launchers": None, "host-types": None, "jobgroups": None, "disks": None, "tests-paths": None,
    "env-override": None, "triggers": None, "testrollup": None, "archive-disks": None, "graph": None,
    "areas": None, "contours": None, "access": None, "accesstypes": None, "listeners": None, "default": None,
    "semaphores": None, "launcher NAME": None,
    "setup": _words(
        "linktree max_concurrent_jobs launch-delay launch_delay inter-test-delay runqueue maxretries run-wait reruns"
        " allow-auto-rerun runtimelim testcopycmd minspace free-space-script dbdir-space-required executable launchwait"
        " blacklistvars area-name testsuite use-cache deadtime test-stats-update-period log-expire-days give-up-waiting"
        " waivercommentpatt nodot editor editor-regex num-tests-to-get htmlviewercmd monitordir dbdir sychronous"
        " use-wal pktsdirs pdbpath maxload incomplete-timeout pipefail csh secretvars lost-after retries retry"
    ),
    "jobtools": _words("launcher useshell maxload maxhomehostload waitdelay flexi-launcher"),
    "validvalues": _words("state status cleanrerun-states cleanrerun-statuses"),
    "runs": _words("pre-hook post-hook"),
    "archive": _words("minspace bup compress"),
    "clean": _words("keep older failed passed logs"),
    "infra": _words("exit signals log"),
    "server": _words(
        "homehost hostname lowport timeout runtime numservers force required daemonize delay-on-busy transport"
        " sync-stale-seconds minimum-intersync-delay"
    ),
    "client": _words("use-http_proxy"),
    "sync": _words("batchsize"),
    "db": _words("mode group"),
    "dashboard": _words(
        "cols btn-height btn-fontsz cell-width mode testsort poll-interval pre-command post-command use-viewscreen"
        " no-detachbox"
    ),
    "listener": _words("script"),
}  # fmt: skip

TESTCONFIG: Table = {
    "setup": None, "ezsteps": None, "logpro": None, "items": None, "itemstable": None, "itemmap": None,
    "waivers": None, "waiver_rules": None, "triggers": None, "disks": None, "pre-launch-env-vars": None,
    "pre-launch-env-overrides": None, "test_meta": None,
    "requirements": _words(
        "waiton waitor mode itemmap priority runtimelim diskspace memory jobgroup retries retry"
        " cores cpus mem time queue partition account project licences licenses flags"
    ),
    "infra": _words("exit signals log"),
    "skip": _words("prevrunning fileexists rundelay"),
    "subrun": _words(
        "runwait run-wait run-area start-dir target run-name test-patt mode-patt tag-expr contour msg log logpro"
        " passfail propagate"
    ),
}  # fmt: skip


def listed(section: str) -> str:
    """The name under which a table has a section: one for all that begin with `launcher`."""
    return "launcher NAME" if section.startswith("launcher ") else section


#: (section, key) -> what to say: keys that areas have and nothing ever read
UNREAD: Mapping[tuple[str, str], str] = {
    ("setup", "transport"): "", ("setup", "port"): "", ("setup", "faststart"): "", ("setup", "megatest-db"): "",
    ("setup", "throttle"): "", ("setup", "synchronous"): "", ("setup", "logviewer"): "", ("server", "port"): "",
    ("server", "server-query-threshold"): "", ("archive", "useflavors"): "", ("archive", "targsize"): "",
    ("setup", "launch_delay"): "Megatest reads only launch-delay, mt reads both",
}  # fmt: skip
