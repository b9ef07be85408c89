"""`provision secrets`: values come by standard input or editor, and go to terminals only."""

import argparse
import io
import os
import pty
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from provision.cli import secrets as command
from provision.errors import ProvisionError, RefusedError, SecretError
from provision.secrets import bag_file, editing


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a bag `prod`, whose one recipient's identity is at hand."""
    identity = tmp_path / "identity"
    call(tmp_path, "keygen", str(identity))
    monkeypatch.setenv("PROVISION_IDENTITY_FILE", str(identity))
    monkeypatch.delenv("VISUAL", raising=False)
    call(tmp_path, "create", "prod", recipient_in(identity))
    return tmp_path


def recipient_in(identity: Path) -> str:
    return identity.read_text().split()[2]


def call(project: Path, *words: str, stdin: bytes = b"") -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    with standing_in(stdin):
        environ = argparse.Namespace(variables=os.environ)
        return command.run(parser.parse_args(["--project", str(project), *words], environ))


@contextmanager
def standing_in(stdin: bytes) -> Iterator[None]:
    before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(stdin))
    try:
        yield
    finally:
        sys.stdin = before


def value(project: Path, item: str, capfd: pytest.CaptureFixture[str]) -> str:
    capfd.readouterr()
    call(project, "get", "--force", item)
    return capfd.readouterr().out


def editor(project: Path, script: str) -> str:
    """An editor that is a shell script; the file is its first argument."""
    path = project / "editor"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_a_new_identity_is_private_and_its_recipient_is_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The secret key is in the file alone."""
    path = tmp_path / "identity"
    assert call(tmp_path, "keygen", str(path)) == 0
    assert path.stat().st_mode & 0o777 == 0o600
    comment, secret = path.read_text().splitlines()
    output = capfd.readouterr()
    assert output.out == f"{recipient_in(path)}\n"
    assert comment == f"# recipient: {recipient_in(path)}"
    assert secret not in output.out + output.err
    with pytest.raises(SecretError, match="File exists"):
        call(tmp_path, "keygen", str(path))


@pytest.mark.parametrize(
    ("typed", "kept"), [(b"value\n", "value"), (b"value", "value"), (b"a\nb\n\n", "a\nb\n")]
)
def test_a_value_is_set_from_standard_input(
    project: Path, capfd: pytest.CaptureFixture[str], typed: bytes, kept: str
) -> None:
    """Without the one newline that ends it."""
    assert call(project, "set", "prod/key", stdin=typed) == 0
    assert value(project, "prod/key", capfd) == kept


def test_names_are_listed_without_any_key(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """They are not secret."""
    call(project, "set", "prod/key", stdin=b"value")
    call(project, "set", "prod/another", stdin=b"more")
    monkeypatch.delenv("PROVISION_IDENTITY_FILE")
    capfd.readouterr()
    call(project, "list")
    call(project, "list", "prod")
    assert capfd.readouterr().out == "prod/another\nprod/key\n" * 2


def test_a_value_is_not_printed_into_a_pipe(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """CI keeps what goes there."""
    call(project, "set", "prod/key", stdin=b"value")
    with pytest.raises(RefusedError, match="not a terminal"):
        call(project, "get", "prod/key")
    assert "value" not in capfd.readouterr().out


def test_a_value_is_printed_to_a_terminal(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where somebody looks at it."""
    call(project, "set", "prod/key", stdin=b"value")
    controller, terminal = pty.openpty()
    with os.fdopen(terminal, "w") as file, os.fdopen(controller, "rb", buffering=0) as screen:
        monkeypatch.setattr(sys, "stdout", file)
        call(project, "get", "prod/key")
        file.flush()
        assert screen.read(100) == b"value\r\n"


def test_an_item_is_removed(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """By its reference."""
    call(project, "set", "prod/key", stdin=b"value")
    call(project, "remove", "prod/key")
    capfd.readouterr()
    call(project, "list")
    assert capfd.readouterr().out == ""


def test_nothing_is_written_where_nothing_changes(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """And it says so."""
    call(project, "set", "prod/key", stdin=b"value")
    path = bag_file.path_of(project, "prod")
    before = path.stat().st_mtime_ns, path.read_bytes()
    call(project, "set", "prod/key", stdin=b"value")
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before
    assert "nothing changes in prod" in capfd.readouterr().err


def test_a_bag_is_not_made_twice(project: Path) -> None:
    """What is in it would be lost."""
    with pytest.raises(RefusedError, match="there is a data bag"):
        call(project, "create", "prod", recipient_in(project / "identity"))


class TestPeople:
    def test_one_who_is_added_reads_and_one_who_is_removed_does_not(
        self, project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """The removal warns that the values were known."""
        call(project, "set", "prod/key", stdin=b"value")
        other = project / "other"
        call(project, "keygen", str(other))
        first, second = recipient_in(project / "identity"), recipient_in(other)
        call(project, "add-recipient", "prod", second)
        capfd.readouterr()
        call(project, "show-recipients", "prod")
        assert capfd.readouterr().out.split() == sorted([first, second])
        monkeypatch.setenv("PROVISION_IDENTITY_FILE", str(other))
        assert value(project, "prod/key", capfd) == "value"
        call(project, "remove-recipient", "prod", first)
        assert f"warning: who holds {first}" in capfd.readouterr().err
        assert value(project, "prod/key", capfd) == "value"
        monkeypatch.setenv("PROVISION_IDENTITY_FILE", str(project / "identity"))
        with pytest.raises(SecretError, match="no identity opens"):
            call(project, "get", "--force", "prod/key")

    def test_rotation_keeps_the_values(
        self, project: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """And changes every byte that seals them."""
        call(project, "set", "prod/key", stdin=b"value")
        path = bag_file.path_of(project, "prod")
        before = bag_file.load(path)
        call(project, "rotate", "prod")
        assert bag_file.load(path).items["key"] != before.items["key"]
        assert value(project, "prod/key", capfd) == "value"


class TestEdit:
    def test_an_editor_changes_what_it_is_given(
        self, project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """With arguments of its own, as EDITOR may have them."""
        call(project, "set", "prod/key", stdin=b"value")
        script = editor(project, '[ "$1" = --wait ] && sed -i s/value/changed/ "$2"')
        monkeypatch.setenv("EDITOR", f"{script} --wait")
        call(project, "edit", "prod")
        assert value(project, "prod/key", capfd) == "changed"

    @pytest.mark.parametrize("script", ['echo "key: changed" > "$1"; exit 1', 'echo x > "$1"'])
    def test_nothing_changes_when_it_fails_or_leaves_nonsense(
        self,
        project: Path,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
        script: str,
    ) -> None:
        """And the plain text is gone."""
        call(project, "set", "prod/key", stdin=b"value")
        place = project / "tmp"
        place.mkdir()
        monkeypatch.setattr(editing, "MEMORY", place)
        monkeypatch.setenv("EDITOR", editor(project, f'echo "$1" > {project}/seen; {script}'))
        with pytest.raises(ProvisionError):
            call(project, "edit", "prod")
        assert Path((project / "seen").read_text()).is_relative_to(place)
        assert list(place.iterdir()) == []
        assert value(project, "prod/key", capfd) == "value"

    def test_an_editor_that_is_not_there_is_named(
        self, project: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """With the variable to set."""
        monkeypatch.setenv("EDITOR", "no-such-editor")
        with pytest.raises(SecretError, match="cannot run the editor no-such-editor"):
            call(project, "edit", "prod")
