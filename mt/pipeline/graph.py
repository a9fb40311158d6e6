"""Counters and edges of a plan: which case may start once which others have ended.

A case has one counter: how many things it still waits for.  What ends feeds
its outcome along its edges; a counter that reaches zero lets its case start,
or closes it with the worst outcome that was fed.  Nothing is ever scanned
again, so the work of a whole run is linear in its edges.

A *join* stands between tests, so that n items that wait for a test of m items
cost n + m edges rather than n * m: the m items are counted by a join of their
test, and the join feeds the *gate* of the waiting test, a join that feeds all
its cases.  Cases know their test, so these edges are not stored at all.

Ids are ints in arrays.  A node is `case << 1` or `join << 1 | 1`; an edge is
`node << 1`, plus 1 when only the end counts and not how it went (mode toplevel).

What is fed does not depend on the order of endings: FAIL closes at once and
nothing undoes it; every other outcome waits for the last counter and the worst
one wins.
"""

from __future__ import annotations

from array import array

#: outcomes, better to worse
OK, BLOCKED, DISCARD, FAIL = range(4)
#: kinds of join: all ended, the first FAIL at once; all ended, however; one is OK; one ended
ALL, OVER, ANY, FIRST = range(4)
#: states of a case in the plan
WAITING, ISSUED, ENDED, CLOSED = range(4)

#: what a case that was closed by an outcome means to those that wait for it (spec/runs.md 4.3, chains)
AFTER = (OK, BLOCKED, FAIL, FAIL)


class Join:
    """One join: how many feeds are missing, the worst so far, and where it feeds to."""

    __slots__ = ("fired", "gate", "kind", "left", "outs", "worst")

    def __init__(self, kind: int, left: int, gate: int = -1) -> None:
        self.kind = kind
        self.left = left
        self.gate = gate
        self.worst = OK
        self.fired = -1
        self.outs: list[int] = []


class Graph:
    """Cases, joins and edges; `done` and `opened` collect what follows from what was fed."""

    __slots__ = ("after", "cases_of", "counts", "done", "head", "home", "joins", "late", "left", "need", "opened",
                 "outcome", "state", "target", "worst")  # fmt: skip

    def __init__(self) -> None:
        self.home = array("i")  # case -> its test
        self.state = bytearray()
        self.outcome = bytearray()
        self.left = 0
        self.cases_of: list[array[int]] = []  # test -> its cases
        self.done: list[tuple[int, int]] = []  # cases that may start (OK), or closed by an outcome
        self.opened: list[tuple[int, int]] = []  # tests without cases yet whose gate fired
        self.cut()

    def cut(self) -> None:
        """Forget all edges and joins; cases keep their states."""
        size = len(self.home)
        self.need = array("i", bytes(4 * size))
        self.worst = bytearray(size)
        self.head = array("i", b"\xff" * (4 * size))
        self.after = array("i")
        self.target = array("i")
        self.joins: list[Join] = []
        self.counts: list[list[int]] = [[] for _ in self.cases_of]  # test -> joins that its cases feed
        self.late: list[tuple[int, int]] = []  # edges whose source had ended before they were made

    def add_test(self) -> int:
        """A new test, without cases yet."""
        self.cases_of.append(array("i"))
        self.counts.append([])
        return len(self.cases_of) - 1

    def add_cases(self, test: int, n: int) -> range:
        """The numbers of n new cases of a test."""
        first = len(self.home)
        made = range(first, first + n)
        self.home.extend([test] * n)
        self.state.extend(bytes(n))
        self.outcome.extend(bytes(n))
        self.worst.extend(bytes(n))
        self.need.frombytes(bytes(4 * n))
        self.head.frombytes(b"\xff" * (4 * n))
        self.cases_of[test].extend(made)
        self.left += n
        return made

    def mark(self, case: int, state: int, outcome: int = OK) -> None:
        """Set where a case is, feeding nobody."""
        self.left += (state < ENDED) - (self.state[case] < ENDED)
        self.state[case] = state
        self.outcome[case] = outcome

    # -- making edges ------------------------------------------------------------------------------------------

    def join(self, kind: int, left: int = 0, gate: int = -1) -> int:
        """A new join that waits for `left` feeds."""
        self.joins.append(Join(kind, left, gate))
        return len(self.joins) - 1

    def count(self, test: int, kind: int) -> int:
        """A new join over all cases of a test; a test without cases yet counts as one that is missing."""
        cases = self.cases_of[test]
        made = self.join(kind, len(cases) or 1)
        self.counts[test].append(made)
        edge = (made << 1 | 1) << 1
        for case in cases:
            if self.state[case] >= ENDED:
                self.late.append((edge, self.outcome[case]))
        return made

    def gate(self, test: int) -> int:
        """The node of a new join in front of all cases of a test."""
        made = self.join(ALL, 0, test)
        for case in self.cases_of[test]:
            self.need[case] += 1
        return made << 1 | 1

    def grown(self, test: int) -> None:
        """The cases of a test have become known: its joins count them in place of the missing one."""
        for n in self.counts[test]:
            self.joins[n].left += len(self.cases_of[test]) - 1

    def link(self, source: int, node: int, lax: int = 0) -> None:
        """A node waits for a case."""
        self._more(node)
        edge = node << 1 | lax
        if self.state[source] >= ENDED:
            self.late.append((edge, self.outcome[source]))
            return
        self.after.append(self.head[source])
        self.head[source] = len(self.target)
        self.target.append(edge)

    def link_join(self, source: int, node: int) -> None:
        """A node waits for a join."""
        self._more(node)
        join = self.joins[source]
        if join.fired >= 0:
            self.late.append((node << 1, join.fired))
        else:
            join.outs.append(node << 1)

    def hold(self, node: int) -> None:
        """A node waits for something outside; `release` ends that."""
        self._more(node)

    def release(self, node: int) -> None:
        """What `hold` waited for has come."""
        self.late.append((node << 1, OK))

    def _more(self, node: int) -> None:
        if node & 1:
            self.joins[node >> 1].left += 1
        else:
            self.need[node >> 1] += 1

    # -- feeding -----------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Feed what new edges had missed."""
        late, self.late = self.late, []
        queue: list[int] = []
        for edge, outcome in late:
            self._feed(edge, outcome, queue)
        self._spread(queue)

    def start(self, cases: range | array[int]) -> None:
        """Let those of the cases start that wait for nothing."""
        state, need = self.state, self.need
        for case in cases:
            if not state[case] and not need[case]:
                state[case] = ISSUED
                self.done.append((case, OK))

    def end(self, case: int, outcome: int) -> None:
        """A case has ended."""
        self.mark(case, ENDED, outcome)
        self._spread([case])

    def close(self, case: int, outcome: int) -> None:
        """A case will not run, because of an outcome."""
        queue: list[int] = []
        self._close(case, outcome, queue)
        self._spread(queue)

    def _spread(self, queue: list[int]) -> None:
        head, after, target = self.head, self.after, self.target
        for case in queue:  # grows while it is walked
            outcome = self.outcome[case]
            for n in self.counts[self.home[case]]:
                self._feed_join(n, outcome, queue)
            edge = head[case]
            while edge >= 0:
                self._feed(target[edge], outcome, queue)
                edge = after[edge]

    def _feed(self, edge: int, outcome: int, queue: list[int]) -> None:
        if edge & 1:
            outcome = OK
        if edge & 2:
            self._feed_join(edge >> 2, outcome, queue)
        else:
            self._feed_case(edge >> 2, outcome, queue)

    def _feed_case(self, case: int, outcome: int, queue: list[int]) -> None:
        if self.state[case]:
            return
        if outcome == FAIL:
            self._close(case, FAIL, queue)
            return
        if outcome > self.worst[case]:
            self.worst[case] = outcome
        self.need[case] -= 1
        if self.need[case]:
            return
        if self.worst[case]:
            self._close(case, self.worst[case], queue)
        else:
            self.state[case] = ISSUED
            self.done.append((case, OK))

    def _close(self, case: int, outcome: int, queue: list[int]) -> None:
        self.mark(case, CLOSED, AFTER[outcome])
        self.done.append((case, outcome))
        queue.append(case)

    def _feed_join(self, n: int, outcome: int, queue: list[int]) -> None:
        join = self.joins[n]
        if join.fired >= 0:
            return
        join.left -= 1
        if join.kind == FIRST or join.kind == OVER:
            outcome = OK
        elif outcome > join.worst:
            join.worst = outcome
        if join.kind == FIRST or (join.kind == ANY and outcome == OK):
            self._fire(join, OK, queue)
        elif join.kind == ALL and outcome == FAIL:
            self._fire(join, FAIL, queue)
        elif join.left == 0:
            self._fire(join, join.worst, queue)

    def _fire(self, join: Join, outcome: int, queue: list[int]) -> None:
        join.fired = outcome
        for edge in join.outs:
            self._feed(edge, outcome, queue)
        join.outs = []
        if join.gate < 0:
            return
        cases = self.cases_of[join.gate]
        if not cases:
            self.opened.append((join.gate, outcome))
        for case in cases:
            self._feed_case(case, outcome, queue)
