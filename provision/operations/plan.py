"""What an operation would do, as a value; and the one function that does it.

The script runs on although the connection is cut. It ends with a line that says how it ended:
without that line nobody knows, and the message says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from provision.agent import call, functions
from provision.errors import ApplyError, ProvisionError, RefusedError
from provision.transport import Session, Target

MINUTE = 60.0
DAY = 86400.0
_SPARE = 600.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One operation on one host.

    `facts` are what it was decided on, `steps` what is done in which order, `afterwards` what is
    left to the operator. With `confirm` the host's name has to be typed first. `calls` are lines of
    shell for operate.sh; `seconds` is how long they may take.
    """

    host: str
    title: str
    facts: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    afterwards: tuple[str, ...] = ()
    confirm: bool = False
    calls: tuple[str, ...] = field(default=(), repr=False)
    seconds: float = MINUTE

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterable[str]:
        yield f"{self.host}: {self.title}"
        width = max((len(name) for name, _ in self.facts), default=0)
        for name, value in self.facts:
            first, *rest = value.splitlines() or [""]
            yield f"  {name:{width}}  {first}"
            yield from (f"  {'':{width}}  {line}" for line in rest)
        yield from (f"  warning: {warning}" for warning in self.warnings)
        yield from (f"  {number}. {step}" for number, step in enumerate(self.steps, 1))
        yield from (f"  then: {line}" for line in self.afterwards)


def patient(target: Target, seconds: float) -> Target:
    """Return the target for a session that may last that long."""
    longer = max(target.timeouts.whole, seconds + _SPARE)
    return replace(target, timeouts=replace(target.timeouts, whole=longer))


def check_confirmation(plan: Plan, typed: str) -> None:
    """Raise RefusedError unless the host's name was typed where the plan wants it."""
    if plan.confirm and typed != plan.host:
        raise RefusedError(
            f"{plan.host}: not confirmed; nothing was changed",
            hint=f"Only the host's name, {plan.host}, confirms it.",
        )


def carry_out(session: Session, plan: Plan) -> tuple[str, ...]:
    """Do it; return what the host has to say about it.

    Raises ProvisionError if it failed and the host is as it was, ApplyError if it is not or if
    nobody knows.
    """
    script = script_of(plan.calls)
    answer = session.run_as_root(script, timeout=plan.seconds).stdout
    lines = [line.partition("\t")[::2] for line in answer.decode("utf-8", "replace").splitlines()]
    notes = tuple(text for kind, text in lines if kind == "note")
    ending, message = lines[-1] if lines else ("", "")
    if ending == "failed":
        raise ProvisionError(_told(plan, notes, f"{message}; nothing was changed"))
    if ending == "broken":
        raise ApplyError(
            _told(plan, notes, message), hint="The host is not as it was: look at it before more."
        )
    if ending != "done":
        raise ApplyError(
            f"{plan.host}: {plan.title}: the answer is cut",
            hint="What was begun goes on there; look at the host again.",
        )
    return notes


def script_of(calls: Sequence[str]) -> bytes:
    """Return a script that makes the calls, and nothing at all if it arrives cut."""
    body = "\n".join(("main() {", *calls, call("say", "done", ""), "}", "main", ""))
    return f"{functions('operate')}\n{body}".encode()


def _told(plan: Plan, notes: Sequence[str], message: str) -> str:
    done = f" (before that: {'; '.join(notes)})" if notes else ""
    return f"{plan.host}: {plan.title}: {message}{done}"
