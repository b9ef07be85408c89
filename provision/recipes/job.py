"""A job that runs at its times: a script, and a line of cron or a timer that starts it.

The times are spread over hosts by their names, so that a fleet does not begin at once, and the
script holds a lock, so that a job that takes longer than its interval is skipped and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from provision.content import Content
from provision.cron_schedule import CronSchedule
from provision.errors import InputError
from provision.layout import Layout
from provision.node import Node
from provision.recipes.alert_rules import labels
from provision.resources.base import Origin, Resource
from provision.resources.file import File
from provision.resources.schedule import CronD, Timer
from provision.templates import render

MAIL_TO = "root"  # jobs write to their log; what reaches cron is that one could not even begin
_GRACE = 120  # seconds that a service has beyond the script's own limit


@dataclass(frozen=True, kw_only=True)
class Job:
    """What runs, when, and on which server; times in seconds, `spread` in minutes.

    `gate` is "t" for standbys only, "f" for primaries only, "" for any. With `after` the command
    gets, as its option --after, the moment that many seconds before it runs.
    """

    name: str
    title: str
    schedule: CronSchedule
    scheduler: str
    spread: int
    command: Sequence[str]
    timeout: int
    max_age: int
    nice: int
    gate: str = ""
    after: int = 0


@dataclass(frozen=True, kw_only=True)
class Start:
    """What starts the script `command` at its times; `timeout` in seconds."""

    name: str
    title: str
    command: str
    schedule: CronSchedule
    scheduler: str
    timeout: int
    nice: int


def job_resources(node: Node, layout: Layout, job: Job, *, recipe: str) -> tuple[Resource, ...]:
    """Return the script and what starts it."""
    origin = Origin(recipe=recipe)
    path = f"{layout.jobs}/{job.name}"
    script = File(
        name=path,
        content=_script(node, layout, job),
        mode="0755",
        verify=("sh", "-n"),
        origin=origin,
    )
    begin = Start(
        name=job.name,
        title=job.title,
        command=path,
        schedule=_spread(node, job),
        scheduler=job.scheduler,
        timeout=job.timeout + _GRACE,
        nice=job.nice,
    )
    return (script, start(layout, begin, origin))


def _spread(node: Node, job: Job) -> CronSchedule:
    """Many a schedule cannot be moved, and without a spread none has to be."""
    if job.spread <= 0:
        return job.schedule
    try:
        return job.schedule.delayed(delay(node.name, job.name, job.spread))
    except InputError as error:
        hint = "Name one minute and the hours, or leave the spread out."
        raise InputError(f"{job.name}: {error.message}", hint=hint) from None


def delay(host: str, job: str, spread: int) -> int:
    """Minutes by which a host begins later, fewer than `spread`: the same every time."""
    digest = sha256(f"{host}/{job}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % spread


def _script(node: Node, layout: Layout, job: Job) -> Content:
    return render(
        "job.sh.j2",
        title=job.title,
        user=layout.user,
        sockets=layout.sockets,
        port=layout.port,
        database_user=layout.user,
        job=job.name,
        labels=labels(node, resource=job.name),
        job_file=job.name.replace("-", "_"),
        log=f"{layout.log_directory}/{job.name}.log",
        metrics=node.attributes.pitr.monitoring.textfile_directory,
        lock=f"{layout.state_directory}/{job.name}.lock",
        gate=job.gate,
        psql=layout.psql,
        nice=job.nice,
        timeout=job.timeout,
        max_age=job.max_age,
        command=list(job.command),
        after=job.after,
    )


def start(layout: Layout, wanted: Start, origin: Origin) -> Resource:
    """Return the line of cron or the timer that starts a script at its times."""
    if wanted.scheduler == "systemd":
        return _timer(layout, wanted, origin)
    content = render(
        "cron.d.j2",
        title=wanted.title,
        mailto=MAIL_TO,
        schedule=wanted.schedule.text,
        user=layout.user,
        command=[wanted.command],
    )
    name = f"{layout.profile}-{wanted.name}"
    return CronD(name=name, content=content, phase="schedule", origin=origin)


def _timer(layout: Layout, wanted: Start, origin: Origin) -> Resource:
    service = render(
        "job.service.j2",
        title=wanted.title,
        user=layout.user,
        command=[wanted.command],
        nice=wanted.nice,
        timeout=wanted.timeout,
    )
    timer = render("job.timer.j2", title=wanted.title, calendar=wanted.schedule.on_calendar())
    return Timer(
        name=f"{layout.profile}-{wanted.name}",
        service=service,
        timer=timer,
        phase="schedule",
        notifies=("daemon_reload",),
        origin=origin,
    )
