"""Resolving references: what can be had is had once, and the rest says why not."""

import pickle
import traceback
from pathlib import Path

import pytest
from hypothesis import given

from provision.content import SecretRef
from provision.errors import InputError, SecretError
from provision.secrets import bag, bag_file
from provision.secrets.keys import Identity
from provision.secrets.references import parse_reference
from provision.secrets.vault import Secrets
from tests.unit.provision.secrets.people import ALICE, BOB, CANARIES


def ref(text: str) -> SecretRef:
    return parse_reference(text)


def with_bag(project: Path, *people: Identity, **items: str) -> Path:
    """A project with a data bag `prod`."""
    opened = bag.create("prod", [person.recipient for person in people])
    for item, value in items.items():
        opened = bag.set_item(opened, item, value)
    bag_file.save(bag_file.path_of(project, "prod"), opened.bag, replacing=None)
    return project


def private(path: Path, data: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


class TestEnvironment:
    def test_a_variable_is_taken_as_it_is(self) -> None:
        """Its newline too."""
        assert Secrets({"KEY": "value\n"}, Path()).resolve(ref("env:KEY")) == "value\n"

    @pytest.mark.parametrize("environ", [{}, {"KEY": ""}])
    def test_one_that_is_not_set_or_empty_is_missing(self, environ: dict[str, str]) -> None:
        """CI systems set what they do not give to a branch to nothing."""
        with pytest.raises(SecretError, match="env:KEY is not set"):
            Secrets(environ, Path()).resolve(ref("env:KEY"))

    def test_one_that_is_no_text_is_refused(self) -> None:
        """It could not be written anywhere."""
        with pytest.raises(SecretError, match="not UTF-8"):
            Secrets({"KEY": "caf\udce9"}, Path()).resolve(ref("env:KEY"))


class TestFile:
    @pytest.mark.parametrize(
        ("data", "value"),
        [
            (b"value", "value"),
            (b"value\n", "value"),
            (b"value\n\n", "value\n"),
            (b" value \n", " value "),
            (b"one\ntwo\n", "one\ntwo"),
        ],
    )
    def test_one_newline_at_the_end_is_not_part_of_it(
        self, tmp_path: Path, data: bytes, value: str
    ) -> None:
        """Editors put it there; nothing else is changed."""
        private(tmp_path / "key", data)
        assert Secrets({}, tmp_path).resolve(ref("file:key")) == value

    @pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o602])
    def test_one_that_is_open_to_others_is_refused(self, tmp_path: Path, mode: int) -> None:
        """As ssh refuses such keys."""
        private(tmp_path / "key", b"value", mode)
        with pytest.raises(SecretError, match=f"its mode is {mode:04o}"):
            Secrets({}, tmp_path).resolve(ref("file:key"))

    def test_what_cannot_be_read_is_named(self, tmp_path: Path) -> None:
        """By its reference."""
        (tmp_path / "directory").mkdir(mode=0o700)
        private(tmp_path / "binary", b"\xff\xfe")
        for name in ("absent", "directory", "binary"):
            with pytest.raises(SecretError, match=f"file:{name}"):
                Secrets({}, tmp_path).resolve(ref(f"file:{name}"))


class TestBag:
    def test_an_item_is_read_with_an_identity(self, tmp_path: Path) -> None:
        """Newlines and all."""
        with_bag(tmp_path, ALICE, key="value\n")
        assert Secrets({}, tmp_path, [ALICE]).resolve(ref("bag:prod/key")) == "value\n"

    @pytest.mark.parametrize("identities", [[], [BOB]])
    def test_without_one_that_opens_it_there_is_no_value(
        self, tmp_path: Path, identities: list[Identity]
    ) -> None:
        """And it says so."""
        with_bag(tmp_path, ALICE, key="value")
        with pytest.raises(SecretError, match="no identity opens the data bag prod"):
            Secrets({}, tmp_path, identities).resolve(ref("bag:prod/key"))

    def test_what_is_not_there_is_named(self, tmp_path: Path) -> None:
        """The bag or the item."""
        with_bag(tmp_path, ALICE)
        secrets = Secrets({}, tmp_path, [ALICE])
        with pytest.raises(SecretError, match="the data bag prod has no item key"):
            secrets.resolve(ref("bag:prod/key"))
        with pytest.raises(SecretError, match="there is no data bag"):
            secrets.resolve(ref("bag:staging/key"))

    def test_a_file_that_is_no_bag_is_an_error_in_the_input(self, tmp_path: Path) -> None:
        """Somebody left conflict marks in it."""
        path = bag_file.path_of(with_bag(tmp_path, ALICE), "prod")
        path.write_text("<<<<<<<")
        with pytest.raises(InputError, match=str(path)):
            Secrets({}, tmp_path, [ALICE]).resolve(ref("bag:prod/key"))


def test_values_are_read_once(tmp_path: Path) -> None:
    """A run shows and sends the same value, whatever happens to the file meanwhile."""
    path = private(tmp_path / "key", b"value")
    secrets = Secrets({}, tmp_path)
    assert secrets.resolve(ref("file:key")) == "value"
    path.unlink()
    assert secrets.resolve(ref("file:key")) == "value"


def test_what_is_missing_stays_missing(tmp_path: Path) -> None:
    """Half of a fleet is not compared with a secret and half without."""
    secrets = Secrets({}, tmp_path)
    assert not secrets.available(ref("file:key"))
    private(tmp_path / "key", b"value")
    assert not secrets.available(ref("file:key"))
    assert secrets.problem(ref("file:key")) == (
        "cannot read the secret file:key: No such file or directory"
    )


def test_what_is_there_has_no_problem() -> None:
    """So it can be compared."""
    secrets = Secrets({"KEY": "value"}, Path())
    assert secrets.available(ref("env:KEY"))
    assert secrets.problem(ref("env:KEY")) is None


@pytest.mark.parametrize("value", ["abc", "x"])
def test_what_is_too_short_to_be_secret_is_refused(value: str) -> None:
    """It could not be kept out of an output, and would be guessed."""
    with pytest.raises(SecretError, match="fewer than 4 characters"):
        Secrets({"KEY": value}, Path()).resolve(ref("env:KEY"))


def test_each_value_is_told_of_before_anyone_has_it() -> None:
    """So that it can be kept out of outputs."""
    learnt = list[str]()
    secrets = Secrets({"KEY": "value", "OTHER": "more"}, Path(), learn=learnt.append)
    secrets.resolve(ref("env:KEY"))
    secrets.resolve(ref("env:KEY"))
    assert learnt == ["value"]


class TestCanaries:
    """A secret is planted in each place; nothing that a program prints by accident shows it."""

    @given(canary=CANARIES)
    def test_nothing_shows_a_value_that_was_resolved(self, canary: str) -> None:
        """Not the vault, and not what it refers to."""
        secrets = Secrets({"KEY": canary}, Path(), [ALICE])
        reference = ref("env:KEY")
        secrets.resolve(reference)
        for shown in (f"{secrets!r} {secrets}", repr(reference), str(reference)):
            assert canary not in shown
        with pytest.raises(TypeError):
            pickle.dumps(secrets)

    @given(canary=CANARIES)
    def test_no_bag_shows_what_is_in_it(self, canary: str) -> None:
        """Nor its data key, open as it is."""
        opened = bag.set_item(bag.create("prod", [ALICE.recipient]), "key", canary)
        for shown in (repr(opened), str(opened), bag_file.render(opened.bag)):
            assert canary not in shown
            assert repr(opened.key)[2:-1] not in shown

    @given(canary=CANARIES)
    def test_no_exception_holds_the_value_that_it_is_about(self, canary: str) -> None:
        """Neither its text, nor its arguments, nor those of what it was raised from."""
        secrets = Secrets({"KEY": canary + "\udc80"}, Path())
        with pytest.raises(SecretError) as caught:
            secrets.resolve(ref("env:KEY"))
        assert canary not in told(caught.value)
        opened = bag.create("prod", [ALICE.recipient])
        with pytest.raises(SecretError) as caught:
            bag.set_item(opened, "key", canary + "\ud800")
        assert canary not in told(caught.value)

    def test_no_exception_holds_a_file_that_is_no_text(self, tmp_path: Path) -> None:
        """The decoder's error would."""
        private(tmp_path / "key", b"canary-5521\xff")
        with pytest.raises(SecretError) as caught:
            Secrets({}, tmp_path).resolve(ref("file:key"))
        assert "canary-5521" not in told(caught.value)


def told(error: BaseException | None) -> str:
    """All that an exception and everything behind it tells."""
    text = ""
    while error is not None:
        text += "".join(traceback.format_exception(error)) + repr(vars(error)) + repr(error.args)
        error = error.__context__
    return text
