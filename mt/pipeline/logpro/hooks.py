"""Commands that rules run on their hits: `hook:add` (spec/config.md 6.4)."""

from __future__ import annotations

import re
import shlex
import subprocess

from mt.pipeline.logpro.rules import Rule, RuleSet
from mt.pipeline.logpro.scan import Hit


class Hooks:
    """Runs the hook of a hit; one-time hooks only once."""

    def __init__(self, rules: RuleSet) -> None:
        self.hooks = rules.hooks
        self.done: set[str] = set()

    def run(self, rule: Rule, hit: Hit, line: str) -> None:
        """Run the command with `#{msg}`, `#{line}`, `#{m1}`... put in as shell words."""
        hook = self.hooks.get(rule.hook)
        if hook is None or (hook.one_time and rule.hook in self.done):
            return
        self.done.add(rule.hook)
        facts = {"msg": rule.desc, "message": rule.desc, "line": line}
        facts.update({f"m{n}": text or "" for n, text in enumerate(hit.groups, 1)})
        if hit.measured is not None:
            facts.update(expected=f"{rule.value:g}", measured=f"{hit.measured:g}", tolerance=f"{rule.number:g}")
        command = re.sub(
            r"#\{(?:escaped\s+)?(\w+)\}",
            lambda m: shlex.quote(facts.get(m.group(1), "").replace("\0", "")),
            hook.command,
        )
        subprocess.run(["/bin/sh", "-c", command], stdin=subprocess.DEVNULL, check=False)
