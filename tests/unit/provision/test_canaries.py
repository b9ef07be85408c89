"""No secret comes out: of plans in any format, of values, of errors, of what is written here.

Hosts have yesterday's secrets in the same places, and know today's as little as the outputs do. The
scrubber, the last line of defence, is not in the way: what is searched is what it would be given.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from provision.application import Application, apply_script, journal_after
from provision.cli.fleet import Member, members_of, rules_of
from provision.compile import server_of
from provision.content import Content, Resolve, SecretRef
from provision.errors import ProvisionError
from provision.journal import dump_journal
from provision.layout import layout_of
from provision.observe import Eyes, Observed
from provision.plan.compare import compare_host
from provision.plan.document import json_of
from provision.plan.drift import drift_of
from provision.plan.junit import junit_of
from provision.plan.markdown import markdown_of
from provision.plan.model import HostPlan, Plan
from provision.plan.paths import Comparison
from provision.plan.text import text_of
from provision.plan.trees import compare_trees
from provision.redaction import Fingerprints, redacted_diff
from provision.resources.base import Entry
from provision.resources.envdir import Envdir
from provision.secrets import bag, bag_file
from provision.secrets.vault import Secrets
from provision.selection import Selectors
from provision.state import HostState, PathState
from provision.tree import read_tree, tree_of, write_tree
from tests.support.canaries import Canary, keys, lines, seen
from tests.unit.provision.projects import project
from tests.unit.provision.secrets.people import ALICE

ROLE = """
    run_list: ["recipe[pitr::tooling]", "recipe[pitr::archiving]", "recipe[pitr::recovery]"]
    default_attributes:
      postgresql: {version: 15}
      pitr:
        repository: s3://bucket/main
        environment:
          FROM_ENV: {secret: "env:LINE"}
          FROM_FILE: {secret: "file:line"}
          FROM_BAG: {secret: "bag:main/line"}
        files:
          env.key: {secret: "env:KEY"}
          file.key: {secret: "file:key"}
          bag.key: {secret: "bag:main/key"}
        encryption:
          scheme: openpgp
          identity: {secret: "bag:main/key"}
        recovery:
          mode: streaming
          primary: {host: db1, password: {secret: "env:LINE"}}
"""
REFERENCES = ("env:LINE", "file:line", "bag:main/line", "env:KEY", "file:key", "bag:main/key")
ENDINGS = ("\nmore", " ", "\t", "\0", "\x1b", "\ud800", "\r")
FINGERPRINTS = Fingerprints(b"a key of this test")


@dataclass(frozen=True)
class Planted:
    """A canary for every reference."""

    by_reference: dict[str, Canary]

    @property
    def all(self) -> tuple[Canary, ...]:
        """The canaries."""
        return tuple(self.by_reference.values())

    def resolve(self, ref: SecretRef) -> str:
        """What the reference stands for, as `Secrets` reads it."""
        return self.by_reference[str(ref)].value.removesuffix("\n")

    def secrets(self, directory: Path) -> Secrets:
        """The same from the places themselves."""
        opened = bag.create("main", [ALICE.recipient])
        environ = {}
        for reference, canary in self.by_reference.items():
            scheme, _, name = reference.partition(":")
            value = canary.value.removesuffix("\n")
            if scheme == "env":
                environ[name] = value
            elif scheme == "file":
                path = directory / name
                path.touch(mode=0o600)
                path.write_text(f"{value}\n")
            else:
                opened = bag.set_item(opened, name.partition("/")[2], value)
        path = bag_file.path_of(directory, "main")
        path.parent.mkdir(parents=True, exist_ok=True)
        bag_file.save(path, opened.bag, replacing=None)
        return Secrets(environ, directory, [ALICE])


def planted(when: str) -> st.SearchStrategy[Planted]:
    """One line where one line has to be, and a key of several where that is possible."""
    kinds = {
        reference: (lines if "line" in reference.lower() else keys)(f"{when} {reference}")
        for reference in REFERENCES
    }
    return st.fixed_dictionaries(kinds).map(Planted)


def member() -> Member:
    """A host with secrets wherever one can be."""
    return members_of(project(base=ROLE), Selectors())[0]


def state(member: Member, resolve: Resolve) -> HostState:
    """A host on which the same was applied with other secrets."""
    entries: list[Entry] = []
    for resource in member.catalog.resources:
        entries += resource.generation(1) if isinstance(resource, Envdir) else resource.entries()
        if isinstance(resource, Envdir):
            entries.append(Entry(path=resource.store, kind="directory", mode="0750"))
    paths = {entry.path: path_state(entry, resolve) for entry in entries}
    return HostState(paths={path: each for path, each in paths.items() if each.kind != "absent"})


def reveal_all(member: Member, secrets: Secrets) -> None:
    """Write every file of a host, in memory."""
    for resource in member.catalog.resources:
        found = resource.generation(1) if isinstance(resource, Envdir) else resource.entries()
        for entry in found:
            if entry.content is not None:
                entry.content.reveal(secrets.resolve)


def path_state(entry: Entry, resolve: Resolve) -> PathState:
    """What the host says of one object."""
    data = None if entry.content is None else entry.content.reveal(resolve)
    return PathState(
        kind=entry.kind,
        owner=entry.owner,
        group=entry.group,
        mode=entry.mode,
        digest="" if data is None else sha256(data).hexdigest(),
        content=data,
        target=entry.target,
    )


@dataclass(frozen=True)
class Looked:
    """A host that was looked at, and all values that are at hand then."""

    member: Member
    state: HostState
    plan: HostPlan
    eyes: Eyes
    secrets: Secrets

    def outputs(self) -> Iterator[str]:
        """Everything that is ever printed of it, and what a debugger or a log would show."""
        plan = Plan(hosts=(self.plan,))
        yield from (form(plan) for form in (text_of, json_of, markdown_of, junit_of))
        for value in (plan, self.member, self.state, self.eyes, self.secrets):
            yield repr(value)
            yield str(value)
        yield repr(Observed(plan=self.plan, state=self.state))
        yield repr(drift_of("db1", self.state, self.plan.warnings))

    def application(self) -> Application:
        """What an apply makes of it."""
        return Application(
            id="0123456789ab",
            at=datetime(2026, 1, 1, tzinfo=UTC),
            by="me",
            revision="",
            catalog=self.member.catalog,
            state=self.state,
            server=server_of(layout_of(self.member.node)),
            resolve=self.eyes.resolve,
        )


def look(new: Planted, old: Planted, directory: Path) -> Looked:
    """Compare a host that has the old secrets with roles that have the new ones."""
    secrets = new.secrets(directory)

    def diff(before: str | None, after: Content, private: bool) -> tuple[str, ...]:
        return redacted_diff(before, after, secrets, FINGERPRINTS, sensitive=private)

    eyes = Eyes(resolve=secrets.resolve, diff=diff, now=datetime(2026, 1, 1, tzinfo=UTC))
    host, was = member(), state(member(), old.resolve)
    comparison = Comparison(state=was, resolve=secrets.resolve, diff=diff)
    plan = compare_host(host.catalog, comparison, rules_of(15))
    return Looked(member=host, state=was, plan=plan, eyes=eyes, secrets=secrets)


@settings(max_examples=25)
@given(new=planted("new"), old=planted("old"))
def test_no_output_of_a_plan_holds_todays_or_yesterdays_secret(new: Planted, old: Planted) -> None:
    """In no format and no repr, though every one of them has changed and is said to."""
    with TemporaryDirectory() as directory:
        looked = look(new, old, Path(directory))
        text = text_of(Plan(hosts=(looked.plan,)))
        assert not seen((*new.all, *old.all), *looked.outputs())
        changed = {change.path for change in looked.plan.pending}
    files = {f"/etc/pitr.d/{name}" for name in ("env.key", "file.key", "bag.key", "pgpass")}
    assert changed >= {"/etc/pitr.d/env", *files}
    for name in ("FROM_ENV", "FROM_FILE", "FROM_BAG", "WALG_PGP_KEY"):
        assert f"@@ {name} @@" in text
    assert text.count(FINGERPRINTS.of(new.resolve(SecretRef(scheme="file", name="line")))) == 1


@settings(max_examples=10)
@given(new=planted("new"), old=planted("old"))
def test_only_the_script_for_the_hosts_shell_holds_them(new: Planted, old: Planted) -> None:
    """And nothing that is shown of it; the journal that stays on the host has digests."""
    with TemporaryDirectory() as directory:
        looked = look(new, old, Path(directory))
        application = looked.application()
        script = apply_script(looked.plan, application)
        assert len(set(seen(new.all, script))) >= len(new.all)
        assert not seen(old.all, script)
        journal = dump_journal(journal_after(looked.plan, application))
        assert not seen((*new.all, *old.all), repr(application), journal)


@settings(max_examples=10)
@given(canaries=planted("new"))
def test_nothing_that_is_written_here_holds_them(canaries: Planted) -> None:
    """A rendered tree can be kept and shown, and so can what it differs in."""
    with TemporaryDirectory() as directory:
        looked = look(canaries, canaries, Path(directory))
        out = Path(directory) / "out"
        out.mkdir()
        write_tree(tree_of(looked.member.catalog), out)
        written = [path.read_bytes() for path in out.rglob("*") if path.is_file()]
        assert len(written) > 15
        against = Plan(hosts=(compare_trees(looked.member.catalog, {}, lambda _: False),))
        outputs = (form(against) for form in (text_of, json_of, markdown_of, junit_of))
        assert not seen(canaries.all, *written, *outputs, repr(read_tree(out)))


@settings(max_examples=15)
@given(
    canary=lines("new"), ending=st.sampled_from(["\nmore", " ", "\t", "\0", "\x1b", "\ud800", "\r"])
)
@example(canary=Canary("zqaaaaaaaaaaaa", ("zqaaaaaaaaaaaa",)), ending="\nzqaaaaaaaaaaaa")
def test_an_error_about_a_secret_does_not_repeat_it(canary: Canary, ending: str) -> None:
    """One that cannot stand where it is wanted is named, and the rest is compared all the same."""
    others = {name: Canary("long enough", ()) for name in REFERENCES}
    good = Planted(others)
    host = member()
    secrets = Secrets({"LINE": canary.value + ending, "KEY": "long enough"}, Path("/nowhere"))

    def diff(before: str | None, after: Content, private: bool) -> tuple[str, ...]:
        return redacted_diff(before, after, secrets, FINGERPRINTS, sensitive=private)

    comparison = Comparison(state=state(host, good.resolve), resolve=secrets.resolve, diff=diff)
    plan = compare_host(host.catalog, comparison, rules_of(15))
    unknown = {change.path or change.id: change.notes for change in plan.changes}
    assert "/etc/pitr.d/env" in unknown
    assert not seen([canary], text_of(Plan(hosts=(plan,))), repr(plan))
    with pytest.raises(ProvisionError) as caught:
        reveal_all(host, secrets)
    shown = "".join(traceback.format_exception(caught.value))
    assert not seen([canary], shown, repr(caught.value), caught.value.hint or "")


def test_a_canary_is_found_in_whatever_form() -> None:
    """So that the tests of this file can fail."""
    canary = Canary("zqabcdefghijkl'", ("zqabcdefghijkl",))
    assert seen([canary], "key='zqabcdefghijkl'\\'''")
    assert seen([canary], "xx" + "enFhYmNkZWZnaGlqa2wn")
    assert seen([canary], b"\x00".join(bytes([c]) for c in b"zqabcdefghijkl") + b"\x00")
    assert not seen([canary], "zqabcdefghijk")
