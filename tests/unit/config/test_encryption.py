"""Which scheme encrypts, and what is refused before a key file is opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from backup_core.config.keyring import age_recipients
from backup_core.errors import ConfigError
from tests.unit.config.arrange import REPOSITORY, from_environment, with_repository

RECIPIENT = "age1" + "q" * 58
OTHER_RECIPIENT = "age1" + "p" * 58
IDENTITY = "AGE-SECRET-KEY-1" + "Q" * 58
PUBLIC_KEY = (
    "-----BEGIN PGP PUBLIC KEY BLOCK-----\\n\\nmDMEZQ==\\n-----END PGP PUBLIC KEY BLOCK-----"
)
TEXT_KEY = "twenty-five bytes at the least"
HEX_KEY = "0f" * 32


class TestChoice:
    """The scheme for what is written."""

    def test_without_keys_nothing_is_encrypted(self) -> None:
        """Encryption is something to ask for."""
        assert with_repository().encryption == "none"

    @pytest.mark.parametrize(
        ("name", "value", "scheme"),
        [
            ("PITR_AGE_RECIPIENTS", RECIPIENT, "age"),
            ("PITR_AGE_RECIPIENTS_FILE", "/etc/pitr/recipients", "age"),
            ("WALG_LIBSODIUM_KEY", TEXT_KEY, "libsodium"),
            ("WALG_LIBSODIUM_KEY_PATH", "/etc/key", "libsodium"),
            ("WALG_PGP_KEY", PUBLIC_KEY, "openpgp"),
            ("WALG_PGP_KEY_PATH", "/etc/key.asc", "openpgp"),
            ("WALG_GPG_KEY_ID", "66B9829C", "openpgp"),
            ("WALE_GPG_KEY_ID", "66B9829C", "openpgp"),
            ("GPG_KEY_ID", "66B9829C", "openpgp"),
        ],
    )
    def test_the_keys_of_one_scheme_choose_it(self, name: str, value: str, scheme: str) -> None:
        """An envdir that makes WAL-E or WAL-G encrypt makes pitr encrypt."""
        assert with_repository(**{name: value}).encryption == scheme

    @pytest.mark.parametrize("name", ["PITR_AGE_IDENTITY", "PITR_AGE_IDENTITY_FILE"])
    def test_a_secret_key_chooses_its_scheme_too(self, name: str) -> None:
        """A restored host does not begin to write plaintext when it is promoted."""
        assert with_repository(**{name: IDENTITY}).encryption == "age"

    def test_the_origin_is_that_of_the_key(self) -> None:
        """`pitr config` shows what turned encryption on."""
        loaded = from_environment(**REPOSITORY, WALE_GPG_KEY_ID="66B9829C")
        assert loaded.origins["encryption"] == "environment WALE_GPG_KEY_ID"
        assert from_environment(**REPOSITORY).origins["encryption"] == "default"

    def test_two_schemes_without_a_choice_are_refused(self) -> None:
        """WAL-G would silently take OpenPGP; the owner of the other key would believe in it."""
        with pytest.raises(ConfigError) as caught:
            with_repository(WALG_PGP_KEY_PATH="/a.asc", WALG_LIBSODIUM_KEY_PATH="/key")
        assert caught.value.message == (
            "environment WALG_LIBSODIUM_KEY_PATH and environment WALG_PGP_KEY_PATH "
            "ask for different encryption"
        )

    def test_a_choice_decides_between_two_schemes(self) -> None:
        """The keys of the other are kept, to read what they encrypted."""
        settings = with_repository(
            PITR_ENCRYPTION="age", PITR_AGE_RECIPIENTS=RECIPIENT, WALG_LIBSODIUM_KEY=TEXT_KEY
        )
        assert (settings.encryption, settings.libsodium_key) == ("age", TEXT_KEY)

    def test_none_keeps_the_keys_for_reading(self) -> None:
        """Plaintext is written only where it was asked for by name."""
        settings = with_repository(PITR_ENCRYPTION="none", WALE_GPG_KEY_ID="66B9829C")
        assert (settings.encryption, settings.gpg_key_id) == ("none", "66B9829C")


class TestRefusals:
    """Settings of encryption that cannot work."""

    @pytest.mark.parametrize(
        ("variables", "message"),
        [
            ({"PITR_ENCRYPTION": "age"}, "asks for age, but none of its keys is set"),
            ({"PITR_ENCRYPTION": "rot13"}, '"rot13" is not one of age, libsodium, openpgp, none'),
            ({"PITR_KEY_COMMAND": "vault read key"}, "but not what its key is for"),
            ({"PITR_REQUIRE_ENCRYPTION": "true"}, "but nothing would be encrypted"),
            (
                {"PITR_COMPAT": "wal-g", "PITR_AGE_RECIPIENTS": RECIPIENT},
                "environment PITR_COMPAT is set, but wal-g cannot read age",
            ),
            ({"PITR_AGE_RECIPIENTS": "age1short"}, "is not a list of age recipients"),
            ({"PITR_AGE_RECIPIENTS": IDENTITY}, "is not a list of age recipients"),
            ({"WALG_LIBSODIUM_KEY": "short"}, "the libsodium key is shorter than 25 bytes"),
            (
                {"WALG_LIBSODIUM_KEY": TEXT_KEY, "WALG_LIBSODIUM_KEY_TRANSFORM": "hex"},
                "environment WALG_LIBSODIUM_KEY: the libsodium key is not hex of 32 bytes",
            ),
            (
                {"WALG_LIBSODIUM_KEY": HEX_KEY[2:], "WALG_LIBSODIUM_KEY_TRANSFORM": "hex"},
                "the libsodium key is not hex of 32 bytes",
            ),
            (
                {"WALG_LIBSODIUM_KEY": HEX_KEY, "WALG_LIBSODIUM_KEY_TRANSFORM": "base64"},
                "the libsodium key is not base64 of 32 bytes",
            ),
            ({"WALG_LIBSODIUM_KEY_TRANSFORM": "md5"}, '"md5" is not one of none, base64, hex'),
            ({"WALE_GPG_KEY_ID": "--output=/etc/passwd"}, "reads as an option"),
        ],
    )
    def test_what_cannot_work_is_refused_at_once(
        self, variables: dict[str, str], message: str
    ) -> None:
        """One line says which setting is wrong."""
        with pytest.raises(ConfigError) as caught:
            with_repository(**variables)
        assert message in caught.value.message
        assert caught.value.hint

    @pytest.mark.parametrize("value", ["", " ", "\n"])
    @pytest.mark.parametrize(
        "name", ["PITR_AGE_RECIPIENTS", "WALG_PGP_KEY_PATH", "WALE_GPG_KEY_ID", "PITR_ENCRYPTION"]
    )
    def test_one_that_is_set_to_nothing_does_not_mean_plaintext(
        self, name: str, value: str
    ) -> None:
        """As a template leaves it that found no value; whoever wants plaintext says so."""
        with pytest.raises(ConfigError, match=f"environment {name} is empty"):
            with_repository(**{name: value})
        if name != "PITR_ENCRYPTION":
            assert with_repository(**{name: value, "PITR_ENCRYPTION": "none"}).encryption == "none"

    @pytest.mark.parametrize(
        "name",
        [
            "PITR_AGE_RECIPIENTS",
            "PITR_AGE_IDENTITY",
            "WALG_PGP_KEY",
            "WALG_LIBSODIUM_KEY",
            "PITR_LIBSODIUM_KEY",
        ],
    )
    def test_a_secret_that_is_wrong_is_not_repeated(self, name: str) -> None:
        """Neither message nor hint has it."""
        with pytest.raises(ConfigError) as caught:
            with_repository(**{name: "hunter2"})
        assert "hunter2" not in f"{caught.value.message} {caught.value.hint}"


class TestValues:
    """Keys as they are written in an environment."""

    def test_recipients_are_separated_by_commas_or_blanks(self) -> None:
        """Several people may hold a key each."""
        settings = with_repository(PITR_AGE_RECIPIENTS=f"{RECIPIENT}, {OTHER_RECIPIENT}")
        assert settings.age_recipients == (RECIPIENT, OTHER_RECIPIENT)

    def test_an_armoured_key_may_have_its_newlines_spelled(self) -> None:
        """An envdir's file has one line."""
        key = with_repository(WALG_PGP_KEY=PUBLIC_KEY).pgp_key
        assert (key or "").splitlines()[0] == "-----BEGIN PGP PUBLIC KEY BLOCK-----"

    @pytest.mark.parametrize(
        ("key", "transform"), [(TEXT_KEY, "none"), (HEX_KEY, "hex"), ("A" * 43 + "=", "base64")]
    )
    def test_libsodium_s_key_is_as_wal_g_takes_it(self, key: str, transform: str) -> None:
        """Text of 25 bytes or more, or exactly 32 bytes encoded."""
        settings = with_repository(WALG_LIBSODIUM_KEY=key, WALG_LIBSODIUM_KEY_TRANSFORM=transform)
        assert settings.libsodium_key == key

    def test_a_key_that_another_outranks_is_a_warning(self) -> None:
        """WAL-G passes over it in silence."""
        (warning,) = from_environment(
            **REPOSITORY, WALG_LIBSODIUM_KEY=TEXT_KEY, WALG_LIBSODIUM_KEY_PATH="/etc/key"
        ).warnings
        assert warning.startswith("environment WALG_LIBSODIUM_KEY_PATH has no effect:")


class TestRecipients:
    """age's public keys, of the setting and of a file."""

    def test_each_counts_once(self, tmp_path: Path) -> None:
        """Or what is encrypted for them would be rewrapped at each run."""
        path = tmp_path / "recipients"
        path.write_text(f"# Ann\n{RECIPIENT}\n\n{OTHER_RECIPIENT}\n{OTHER_RECIPIENT}\n")
        settings = with_repository(
            PITR_AGE_RECIPIENTS=RECIPIENT, PITR_AGE_RECIPIENTS_FILE=str(path)
        )
        assert age_recipients(settings) == (RECIPIENT, OTHER_RECIPIENT)

    def test_a_line_that_is_none_is_named(self, tmp_path: Path) -> None:
        """By file and number, for it may be a secret key."""
        path = tmp_path / "recipients"
        path.write_text(f"{RECIPIENT}\n{IDENTITY}\n")
        settings = with_repository(PITR_AGE_RECIPIENTS_FILE=str(path))
        with pytest.raises(ConfigError) as caught:
            age_recipients(settings)
        assert caught.value.message == f"{path} line 2: this is not a list of age recipients"
