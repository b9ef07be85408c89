"""Keys come from texts, closed files and commands, and never show in an error."""

import os
import time
from pathlib import Path

import pytest

from backup_core.errors import ConfigError, EncryptionError
from backup_core.stream.encrypt.keys import (
    LONGEST_KEY,
    KeySource,
    is_open,
    read_key,
    read_openpgp_key,
)

SETTING = "PITR_KEY_COMMAND"
SECRET = "the-secret-that-nobody-may-see"


def from_command(command: str, timeout: float = 10) -> str:
    return read_key(KeySource(setting=SETTING, command=command), timeout=timeout)


def key_file(tmp_path: Path, mode: int, text: str = SECRET) -> KeySource:
    path = tmp_path / "key"
    path.write_text(text)
    path.chmod(mode)
    return KeySource(setting="PITR_AGE_IDENTITY_FILE", path=path)


class TestSource:
    def test_one_place_and_only_one(self) -> None:
        """Two could disagree."""
        with pytest.raises(ConfigError):
            KeySource(setting=SETTING)
        with pytest.raises(ConfigError):
            KeySource(setting=SETTING, text=SECRET, command="cat key")

    def test_a_text_is_itself(self) -> None:
        """From the environment, for example, and not shown."""
        source = KeySource(setting=SETTING, text=SECRET)
        assert read_key(source) == SECRET
        assert SECRET not in repr(source)

    @pytest.mark.parametrize("text", ["", " \n"])
    def test_an_empty_key_is_none(self, text: str) -> None:
        """An unset variable in a command's script gives one."""
        with pytest.raises(ConfigError, match="empty"):
            read_key(KeySource(setting=SETTING, text=text))


class TestFile:
    @pytest.mark.parametrize("mode", [0o400, 0o600, 0o700])
    def test_a_closed_file_is_read(self, tmp_path: Path, mode: int) -> None:
        """Whatever the owner may do."""
        assert read_key(key_file(tmp_path, mode)) == SECRET

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610, 0o644, 0o666])
    def test_an_open_file_is_refused(self, tmp_path: Path, mode: int) -> None:
        """The error tells how to close it."""
        source = key_file(tmp_path, mode)
        with pytest.raises(ConfigError, match=f"its mode is {mode:04o}") as caught:
            read_key(source)
        assert f"chmod 600 {source.path}" in (caught.value.hint or "")

    def test_a_public_key_may_be_open(self, tmp_path: Path) -> None:
        """A file with a secret OpenPGP key may not."""
        assert read_openpgp_key(key_file(tmp_path, 0o644, "PGP PUBLIC KEY")) == "PGP PUBLIC KEY"
        with pytest.raises(ConfigError, match="open to others"):
            read_openpgp_key(key_file(tmp_path, 0o644, "-----BEGIN PGP PRIVATE KEY BLOCK-----"))

    def test_escaped_newlines_of_an_openpgp_key(self) -> None:
        """An envdir has one line a setting."""
        assert read_openpgp_key(KeySource(setting=SETTING, text="a\\nb")) == "a\nb"

    def test_only_regular_files(self, tmp_path: Path) -> None:
        """A named pipe would wait for ever."""
        os.mkfifo(tmp_path / "pipe", 0o600)
        for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
            with pytest.raises(ConfigError, match="not a regular file"):
                read_key(KeySource(setting=SETTING, path=path))

    def test_a_missing_file(self, tmp_path: Path) -> None:
        """It is named."""
        with pytest.raises(ConfigError, match=f"{tmp_path}/none"):
            read_key(KeySource(setting=SETTING, path=tmp_path / "none"))

    def test_a_key_in_the_place_of_its_path_is_not_repeated(self) -> None:
        """The message ends in the server's log at every retry."""
        source = KeySource(setting="libsodium_key_file", path=Path("0123456789abcdef" * 4))
        with pytest.raises(ConfigError) as caught:
            read_key(source)
        assert "0123" not in f"{caught.value.message} {caught.value.hint}"

    @pytest.mark.parametrize(
        ("owner", "mode", "open_to_others"),
        [
            (0, 0o640, False),
            (0, 0o440, False),
            (0, 0o644, True),
            (0, 0o660, True),
            (5, 0o640, True),
        ],
    )
    def test_a_file_of_roots_may_be_for_a_group(
        self, owner: int, mode: int, open_to_others: bool
    ) -> None:
        """As it is for a server's TLS key, and where a cluster manager mounts a secret."""
        status = os.stat_result((0o100000 | mode, 0, 0, 1, owner, 5, 0, 0, 0, 0))
        assert is_open(status) == open_to_others

    def test_an_endless_file(self, tmp_path: Path) -> None:
        """A key has an end."""
        with pytest.raises(ConfigError, match="longer than"):
            read_key(key_file(tmp_path, 0o600, "x" * (LONGEST_KEY + 1)))


class TestCommand:
    def test_its_output_is_the_key(self) -> None:
        """Words are as in a shell, but there is none."""
        assert from_command("printf '%s $HOME' the-key") == "the-key $HOME"

    def test_a_pipeline_asks_for_its_shell(self) -> None:
        """By name."""
        assert from_command("sh -c 'echo key | tr k K'") == "Key\n"

    def test_what_it_complains_is_shown_and_what_it_prints_is_not(self) -> None:
        """A half key may be in its output."""
        with pytest.raises(EncryptionError, match="code 3: no such vault") as caught:
            from_command(f"sh -c 'echo {SECRET}; echo no such vault >&2; exit 3'")
        assert SECRET not in str(caught.value)

    def test_one_that_hangs_is_ended(self) -> None:
        """With all that it has started."""
        began = time.monotonic()
        with pytest.raises(EncryptionError, match=r"no key within 1 s"):
            from_command("sh -c 'sleep 60 & sleep 60'", timeout=1)
        assert time.monotonic() - began < 10

    def test_one_that_reads_gets_nothing(self) -> None:
        """It cannot ask the operator's terminal."""
        assert from_command("sh -c 'cat; echo key'") == "key\n"

    @pytest.mark.parametrize("command", ["", "   ", "unbalanced '", "/nowhere/program"])
    def test_one_that_cannot_run(self, command: str) -> None:
        """The setting is named."""
        with pytest.raises(ConfigError, match=SETTING):
            from_command(command)

    def test_an_endless_output(self) -> None:
        """It does not fill the memory."""
        with pytest.raises(EncryptionError, match="longer than"):
            from_command("cat /dev/zero", timeout=20)

    @pytest.mark.parametrize("command", ["true", "echo", "sh -c 'echo; echo'"])
    def test_one_that_prints_nothing(self, command: str) -> None:
        """A vault without the entry, say; the hint tells what was expected."""
        with pytest.raises(EncryptionError, match="is empty") as caught:
            from_command(command)
        assert "must print the secret key" in (caught.value.hint or "")
