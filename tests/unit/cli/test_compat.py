"""Command lines of WAL-E and WAL-G, turned into ours."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup_core.cli import compat_wal_e, compat_wal_g
from backup_core.cli.foreign_call import Call
from backup_core.errors import ConfigError, PitrError, UsageError

Translate = Callable[[Sequence[str], Mapping[str, str]], Call]
SEGMENT = "000000010000000000000001"
SPEC = {"tablespaces": ["16384"], "16384": {"loc": "/new/fast/", "link": "pg_tblspc/16384"}}


def spec_file(directory: Path, document: object) -> str:
    """A file for --restore-spec."""
    file = directory / "spec.json"
    file.write_text(json.dumps(document))
    return str(file)


class TestWalE:
    """Global options, then a command with its own."""

    @pytest.mark.parametrize(
        ("line", "command", "arguments"),
        [
            (f"wal-push pg_wal/{SEGMENT}", "wal-push", (f"pg_wal/{SEGMENT}",)),
            (f"wal-push -p 8 pg_wal/{SEGMENT}", "wal-push", (f"pg_wal/{SEGMENT}",)),
            (f"wal-fetch -p 4 {SEGMENT} x", "wal-fetch", (SEGMENT, "x")),
            (f"wal-fetch --prefetch=0 {SEGMENT} x", "wal-fetch", (SEGMENT, "x")),
            ("backup-push /pg", "backup-push", ("/pg",)),
            ("backup-push -p 2 /pg", "backup-push", ("/pg", "--workers", "2")),
            (
                "backup-fetch --blind-restore --pool-size=8 /pg LATEST",
                "backup-fetch",
                ("/pg", "LATEST", "--workers", "8", "--no-recovery-config"),
            ),
            (
                "backup-fetch --restore-spec SOURCE /pg LATEST",
                "backup-fetch",
                ("/pg", "LATEST", "--no-recovery-config"),
            ),
            ("backup-list", "backup-list", ()),
            ("backup-list --detail LATEST", "backup-list", ("--detail", "LATEST")),
            ("--terse backup-list", "backup-list", ("--log-level", "warning")),
            (
                "--s3-prefix s3://b/p backup-list",
                "backup-list",
                ("--repository", "s3://b/p"),
            ),
            (
                "delete --confirm retain 3",
                "delete",
                ("retain", "3", "--confirm"),
            ),
            ("delete before NAME", "delete", ("before", "NAME")),
            ("delete --confirm everything", "delete", ("everything", "--confirm")),
            (
                "--file-prefix file://localhost/b backup-list",
                "backup-list",
                ("--repository", "file://localhost/b"),
            ),
        ],
    )
    def test_a_command_line_becomes_one_of_ours(
        self, line: str, command: str, arguments: tuple[str, ...]
    ) -> None:
        """What only tunes WAL-E falls away."""
        call = compat_wal_e.translate(line.split(), {})
        assert (call.command, call.arguments) == (command, arguments)

    def test_absence_has_wal_e_s_exit_code(self) -> None:
        """And nothing else has it."""
        assert compat_wal_e.translate(["wal-fetch", SEGMENT, "x"], {}).codes == {74: 1}
        assert compat_wal_e.translate(["wal-push", SEGMENT], {}).codes == {}

    def test_keys_given_as_options_outrank_the_environment(self) -> None:
        """As they do in WAL-E."""
        line = ["-k", "AKIA", "--gpg-key-id", "66B9829C", "wal-push", "x"]
        environ = {"AWS_ACCESS_KEY_ID": "other", "WALE_GPG_KEY_ID": "other"}
        assert compat_wal_e.translate(line, environ).environment == environ | {
            "PITR_S3_ACCESS_KEY_ID": "AKIA",
            "PITR_GPG_KEY_ID": "66B9829C",
        }

    def test_an_instance_profile_passes_over_the_keys_that_are_set(self) -> None:
        """The SDK would take them first."""
        environ = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "r"}
        call = compat_wal_e.translate(["--aws-instance-profile", "wal-push", "x"], environ)
        assert call.environment == {"AWS_REGION": "r"}

    def test_a_rate_limit_is_a_warning(self) -> None:
        """Backups go on, and the log says what is different."""
        call = compat_wal_e.translate(["backup-push", "--cluster-read-rate-limit=9", "/pg"], {})
        assert call.warnings == (
            "--cluster-read-rate-limit has no effect: pitr does not limit rates yet",
        )

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("-a account backup-list", "--wabs-account-name is for Azure"),
            ("--wabs-prefix wabs://c/p backup-list", "--wabs-prefix is for Azure"),
            ("--gs-access-key-id k backup-list", "--gs-access-key-id never had an effect"),
            ("backup-push --while-offline /pg", "--while-offline copies a stopped server"),
            ("--s3-prefix s3://b --gs-prefix gs://b backup-list", "exclude each other"),
            ("-k a --aws-instance-profile backup-list", "exclude each other"),
            ("delete old-versions", "invalid choice"),
            (f"wal-prefetch pg_wal {SEGMENT}", 'does not take over "wal-e wal-prefetch"'),
            ("--terse", "wal-e without a command"),
            ("wal-pusch x", "invalid choice"),
        ],
    )
    def test_what_is_not_done_is_refused_by_name(self, line: str, message: str) -> None:
        """With what to do instead."""
        with pytest.raises(UsageError, match=message) as caught:
            compat_wal_e.translate(line.split(), {})
        assert caught.value.hint

    def test_a_gs_prefix_has_wal_e_s_slash(self) -> None:
        """Its objects' names begin with one."""
        call = compat_wal_e.translate(["backup-list"], {"WALE_GS_PREFIX": "gs://b/p"})
        assert call.environment == {
            "WALE_GS_PREFIX": "gs://b//p",
            "PITR_GCS_NORMALIZE_PREFIX": "false",
        }

    def test_a_gs_prefix_as_an_option_has_it_too(self) -> None:
        """The bucket's root included."""
        call = compat_wal_e.translate(["--gs-prefix", "gs://b", "backup-list"], {})
        assert call.arguments == ("--repository", "gs://b//")
        assert call.environment == {"PITR_GCS_NORMALIZE_PREFIX": "false"}

    @pytest.mark.parametrize(
        "environ",
        [
            {"WALE_GS_PREFIX": "gs://b//p", "GCS_NORMALIZE_PREFIX": "false"},
            {"WALE_GS_PREFIX": "gs://b/p", "GCS_NORMALIZE_PREFIX": "true"},
            {"WALE_GS_PREFIX": "gs://b/p", "WALG_GS_PREFIX": "gs://b/p"},
            {"WALE_GS_PREFIX": "gs://b/p", "PITR_REPOSITORY": "gs://b/p"},
            {"WALE_S3_PREFIX": "s3://b/p"},
        ],
    )
    def test_a_place_that_was_said_otherwise_is_left(self, environ: dict[str, str]) -> None:
        """Whoever says how slashes count is heard."""
        assert compat_wal_e.translate(["backup-list"], environ).environment == environ


class TestWalG:
    """A command with its flags, and settings as flags anywhere."""

    @pytest.mark.parametrize(
        ("line", "command", "arguments"),
        [
            (f"wal-push pg_wal/{SEGMENT}", "wal-push", (f"pg_wal/{SEGMENT}",)),
            (f"--turbo wal-push {SEGMENT}", "wal-push", (SEGMENT,)),
            (f"wal-fetch {SEGMENT} x --target-storage default", "wal-fetch", (SEGMENT, "x")),
            ("backup-push", "backup-push", ()),
            ("backup-push /pg -fp", "backup-push", ("/pg", "--permanent")),
            ("backup-push --permanent=false /pg", "backup-push", ("/pg",)),
            ("backup-push --permanent=true /pg", "backup-push", ("/pg", "--permanent")),
            ("backup-push /pg --add-user-data=1", "backup-push", ("/pg", "--add-user-data", "1")),
            (
                "backup-fetch /pg LATEST --reverse-unpack --skip-redundant-tars",
                "backup-fetch",
                ("/pg", "LATEST", "--no-recovery-config"),
            ),
            ("backup-list --pretty --json", "backup-list", ("--pretty", "--json")),
            ("backup-list --detail", "backup-list", ("--detail",)),
            ("backup-mark NAME", "backup-mark", ("NAME",)),
            ("backup-mark -i NAME", "backup-mark", ("NAME", "--impermanent")),
            ("delete retain FULL 5 --confirm", "delete", ("retain", "FULL", "5", "--confirm")),
            (
                "delete retain 5 -a NAME --use-sentinel-time",
                "delete",
                ("retain", "5", "--after", "NAME"),
            ),
            ("delete everything FORCE", "delete", ("everything", "FORCE")),
        ],
    )
    def test_a_command_line_becomes_one_of_ours(
        self, line: str, command: str, arguments: tuple[str, ...]
    ) -> None:
        """What only tunes wal-g falls away."""
        call = compat_wal_g.translate(line.split(), {})
        assert (call.command, call.arguments, call.codes) == (command, arguments, {})

    def test_settings_may_be_flags(self) -> None:
        """Before the command and after it, over the environment."""
        call = compat_wal_g.translate(
            ["--walg-s3-prefix=s3://b/p", "wal-push", "x", "--aws-region", "eu-west-1"],
            {"AWS_REGION": "us-east-1"},
        )
        assert call.environment == {"WALG_S3_PREFIX": "s3://b/p", "AWS_REGION": "eu-west-1"}

    def test_page_checksums_are_verified_on_request(self) -> None:
        """Even if the environment says not to."""
        environ = {"WALG_VERIFY_PAGE_CHECKSUMS": "false"}
        call = compat_wal_g.translate(["backup-push", "-v", "/pg"], environ)
        assert call.environment["PITR_VERIFY_PAGE_CHECKSUMS"] == "true"

    def test_what_has_no_effect_is_a_warning(self) -> None:
        """A name to each flag, and why."""
        call = compat_wal_g.translate(["backup-push", "-c", "--delta-from-name=base", "/pg"], {})
        assert call.warnings == (
            "--copy-composer has no effect: pitr distributes files over partitions by itself",
            "--delta-from-name has no effect: every backup is a full one",
        )

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("backup-fetch /pg LATEST --mask=*", "--mask restores some of the files"),
            ("backup-fetch /pg LATEST --restore-only app", "--restore-only restores some"),
            ("delete target --target-user-data x", "--target-user-data chooses by user data"),
            ("backup-fetch /pg --target-user-data x", "--target-user-data chooses by user data"),
            ("backup-fetch /pg", "needs a backup's name"),
            ("wal-push x --target-storage other", '--target-storage names "other"'),
            ("wal-push x --walg-s3-prefix", "--walg-s3-prefix needs a value"),
            ("wal-purge", 'does not take over "wal-g wal-purge"'),
            ("st ls", 'does not take over "wal-g st"'),
            ("wal-pusch x", 'no command "wal-g wal-pusch"'),
            ("", "wal-g without a command"),
            ("wal-push x --oss-region y", "unrecognized arguments"),
        ],
    )
    def test_what_is_not_done_is_refused_by_name(self, line: str, message: str) -> None:
        """With what to do instead."""
        with pytest.raises(UsageError, match=message) as caught:
            compat_wal_g.translate(line.split(), {})
        assert caught.value.hint


class TestWalGFile:
    """WAL-G's configuration file, which has its settings below the environment's."""

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("wal-g.json", '{"WALG_S3_PREFIX": "s3://b/p", "walg_zstd_level": 5, "PGPORT": 1}'),
            ("wal-g.toml", 'WALG_S3_PREFIX = "s3://b/p"\nwalg_zstd_level = 5\nPGPORT = 1\n'),
        ],
    )
    def test_it_is_read_for_libpq_too(self, tmp_path: Path, name: str, text: str) -> None:
        """Names in any case, numbers as text."""
        (tmp_path / name).write_text(text)
        call = compat_wal_g.translate(["wal-push", "x", "--config", f"{tmp_path}/{name}"], {})
        assert call.environment == {
            "WALG_S3_PREFIX": "s3://b/p",
            "WALG_ZSTD_LEVEL": "5",
            "PGPORT": "1",
        }

    def test_flags_outrank_the_environment_and_that_the_file(self, tmp_path: Path) -> None:
        """As wal-g ranks them."""
        file = tmp_path / "wal-g.json"
        file.write_text('{"WALG_A": "file", "WALG_B": "file", "WALG_C": "file"}')
        environ = {"WALG_B": "environment", "WALG_C": "environment", "WALG_CONFIG_PATH": str(file)}
        call = compat_wal_g.translate(["wal-push", "x", "--walg-c", "flag"], environ)
        assert call.environment == {"WALG_A": "file", "WALG_B": "environment", "WALG_C": "flag"}

    def test_the_one_in_the_home_directory_is_found(self, tmp_path: Path) -> None:
        """Nobody has to name it."""
        (tmp_path / ".walg.json").write_text('{"WALG_FILE_PREFIX": "/b"}')
        call = compat_wal_g.translate(["wal-push", "x"], {"HOME": str(tmp_path)})
        assert call.environment["WALG_FILE_PREFIX"] == "/b"

    def test_what_is_nested_is_left_to_the_rules_of_its_name(self, tmp_path: Path) -> None:
        """Failover storages are refused by name, tags of a monitoring are not."""
        file = tmp_path / "wal-g.json"
        file.write_text('{"WALG_FAILOVER_STORAGES": {"a": {"AWS_REGION": "r"}}}')
        call = compat_wal_g.translate(["--config", str(file), "wal-push", "x"], {})
        assert call.environment == {"WALG_FAILOVER_STORAGES": '{"a": {"AWS_REGION": "r"}}'}

    @pytest.mark.parametrize(
        ("name", "text", "message"),
        [
            (".walg.yaml", "WALG_LIBSODIUM_KEY: k\n", "neither JSON nor TOML"),
            (".walg.json", "{", "cannot be read"),
            (".walg.json", "[]", "not an object of settings"),
        ],
    )
    def test_one_that_cannot_be_read_is_an_error(
        self, tmp_path: Path, name: str, text: str, message: str
    ) -> None:
        """It may hold the place of the repository, or a key."""
        (tmp_path / name).write_text(text)
        with pytest.raises(ConfigError, match=message):
            compat_wal_g.translate(["wal-push", "x"], {"HOME": str(tmp_path)})


@pytest.mark.parametrize("translate", [compat_wal_e.translate, compat_wal_g.translate])
class TestRestoreSpec:
    """--restore-spec, which both tools have."""

    def test_it_maps_tablespaces(self, translate: Translate, tmp_path: Path) -> None:
        """By OID, to the place it gives."""
        line = ["backup-fetch", "--restore-spec", spec_file(tmp_path, SPEC), "/pg", "LATEST"]
        call = translate(line, {})
        assert call.arguments[-2:] == ("--tablespace-mapping", "16384=/new/fast")

    def test_the_data_directory_may_be_repeated(self, translate: Translate, tmp_path: Path) -> None:
        """But not be another one."""
        line = ["backup-fetch", "--restore-spec"]
        same = spec_file(tmp_path, SPEC | {"base_prefix": "/pg/"})
        assert "--tablespace-mapping" in translate([*line, same, "/pg", "X"], {}).arguments
        other = spec_file(tmp_path, SPEC | {"base_prefix": "/live"})
        with pytest.raises(UsageError, match="has base_prefix /live"):
            translate([*line, other, "/pg", "X"], {})

    @pytest.mark.parametrize("document", [[], {}, {"tablespaces": ["1"]}, {"tablespaces": 1}, "x"])
    def test_anything_else_is_refused(
        self, translate: Translate, document: object, tmp_path: Path
    ) -> None:
        """Nothing of it is guessed."""
        line = ["backup-fetch", "--restore-spec", spec_file(tmp_path, document), "/pg", "LATEST"]
        with pytest.raises(PitrError, match="is not a specification of tablespaces"):
            translate(line, {})


WORDS = st.one_of(
    st.sampled_from(
        [
            *("wal-push", "wal-fetch", "backup-list", "backup-push", "backup-fetch", "delete"),
            *("-p", "4", "-k", "--terse", "--detail", "--config", "--turbo", "--walg-s3-prefix"),
            *("--gs-prefix", "gs://b/p", "--restore-spec", "SOURCE", "LATEST", "--", SEGMENT),
        ]
    ),
    st.text(max_size=5),
)


@pytest.mark.parametrize("translate", [compat_wal_e.translate, compat_wal_g.translate])
@given(words=st.lists(WORDS, max_size=6))
def test_a_call_is_understood_or_refused(translate: Translate, words: list[str]) -> None:
    """Whatever stands in a setting of a server, it is one call of ours or one error."""
    with suppress(PitrError, SystemExit):  # the latter after --help
        call = translate(words, {})
        assert call.says or call.command in words
