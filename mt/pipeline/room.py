"""How much of a run may go on at once: what was asked, what the area says, what make allows."""

from __future__ import annotations

import os

from mt.area import Area
from mt.db import Store
from mt.pipeline.limits import Limits, job_server, slots
from mt.pipeline.request import Request
from mt.pipeline.sharing import Shared


def limits_of(area: Area, store: Store, request: Request) -> Limits:
    """Slots, groups, load and make's tokens for a request."""
    server = None if request.jobs else job_server(os.environ.get("MAKEFLAGS", ""))
    groups = {k: int(float(v)) for k, v in area.config.items("jobgroups") if v.replace(".", "", 1).strip().isdigit()}
    configured = area.setting("setup", "max_concurrent_jobs") or ("50" if request.manner.old else None)
    load = request.max_load if request.max_load is not None else load_of(area)
    together = area.limits.max_jobs if request.jobs is None else None
    locks, what = os.path.join(store.root, "locks"), f"run {request.run}"
    shared = Shared(locks, together, groups, nested=is_nested(area), what=what)
    spacing = area.limits.launch_delay
    many = slots(request.jobs, configured, served=server is not None)
    return Limits(many, groups, load, server, shared=shared if together or groups else None, spacing=spacing)


def is_nested(area: Area) -> bool:
    """Whether we were started by a running test of this very area."""
    above = os.environ.get("MT_RUN_AREA_HOME", "")
    return "MT_CMDINFO" in os.environ and os.path.realpath(above) == os.path.realpath(area.home)


def load_of(area: Area) -> float | None:
    """`[jobtools] maxload` in load per processor, for the whole machine; none when it is not set."""
    per_core = area.setting("jobtools", "maxload")
    try:
        return max(float(per_core), 0.5) * (os.cpu_count() or 1) if per_core else None
    except ValueError:
        return None
