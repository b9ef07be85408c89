"""What was extracted has to agree with itself before a server may start on it."""

from dataclasses import replace
from pathlib import Path

import pytest

from backup_core.errors import ClusterMismatchError, CorruptError, PitrError
from backup_core.postgres.control import STATES
from backup_core.postgres.lsn import Lsn
from backup_core.repository.sentinel import Backup
from backup_core.restore.check import check_essentials, check_held, check_size
from backup_core.restore.plan import TablespacePlacement
from tests.support.backups import BACKUP
from tests.unit.postgres.test_control import VALUES, control_file

SYSTEM = VALUES["system_identifier"]
OF_WAL_G = replace(BACKUP, pg_version=150002, uncompressed_size=3000)
OF_WAL_E = replace(OF_WAL_G, origin="wal-e", system_identifier=None)
OFFLINE = replace(OF_WAL_E, finish_lsn=OF_WAL_E.start_lsn)
LABEL = b"START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\nBACKUP METHOD: pg_start\n"
PLACED = TablespacePlacement(oid=16384, original="/old", location="/new")


def check(
    backup: Backup,
    *,
    label: bytes | None = LABEL,
    tablespace_map: bytes = b"",
    system_identifier: int | None = SYSTEM,
    state: str = "in production",
) -> None:
    """Check the files of a backup of PostgreSQL 15."""
    held = {
        "global/pg_control": control_file(state=STATES.index(state)),
        "tablespace_map": tablespace_map,
    }
    if label is not None:
        held["backup_label"] = label
    check_held(backup, held, (PLACED,), system_identifier=system_identifier)


@pytest.mark.parametrize("backup", [OF_WAL_G, OF_WAL_E])
@pytest.mark.parametrize("system_identifier", [SYSTEM, None])
def test_a_backup_that_agrees_passes(backup: Backup, system_identifier: int | None) -> None:
    """An archive may not tell whose it is."""
    check(backup, system_identifier=system_identifier, tablespace_map=b"16384 /old\\\\ one\n")


def test_another_clusters_backup_is_refused() -> None:
    """Its WAL would not fit."""
    with pytest.raises(ClusterMismatchError, match="the archived WAL of 4711"):
        check(OF_WAL_G, system_identifier=4711)


def test_another_version_than_the_sentinels_is_corrupt() -> None:
    """Recovery would be set up for the wrong one."""
    with pytest.raises(CorruptError, match="said to be of PostgreSQL 14"):
        check(replace(OF_WAL_E, pg_version=140001))


def test_without_pg_control_nothing_can_be_started() -> None:
    """Nor with a damaged one."""
    with pytest.raises(CorruptError, match="lacks its pg_control"):
        check_held(OF_WAL_G, {"backup_label": LABEL}, (), system_identifier=None)
    held = {"global/pg_control": b"\0" * 8192, "backup_label": LABEL}
    with pytest.raises(PitrError):
        check_held(OF_WAL_G, held, (), system_identifier=None)


class TestLabel:
    """Where recovery begins."""

    def test_only_wal_e_may_leave_it_out(self) -> None:
        """A backup of a running server is nothing without it."""
        with pytest.raises(CorruptError, match="lacks its backup_label"):
            check(OF_WAL_G, label=None, state="shut down")

    @pytest.mark.parametrize("backup", [OF_WAL_E, OFFLINE])
    @pytest.mark.parametrize("state", STATES)
    def test_without_it_the_server_was_shut_down(self, backup: Backup, state: str) -> None:
        """Cleanly, as a primary or as a standby."""
        if state in ("shut down", "shut down in recovery"):
            check(backup, label=None, state=state)
            return
        with pytest.raises(CorruptError, match=f'was not shut down: "{state}"'):
            check(backup, label=None, state=state)

    def test_it_begins_where_wal_es_name_says(self) -> None:
        """For the WAL was looked for from there on."""
        with pytest.raises(CorruptError, match="and not where its name says"):
            check(replace(OF_WAL_E, start_lsn=Lsn(0x1000028)))
        with pytest.raises(CorruptError, match="and not where its name says"):
            check(OFFLINE)

    def test_it_is_the_backups_own(self) -> None:
        """Another one's would begin recovery after changes that the pages lack."""
        with pytest.raises(CorruptError, match="and not where its sentinel says"):
            check(replace(OF_WAL_G, start_lsn=Lsn(0x2000060)))

    def test_one_without_a_start_is_corrupt(self) -> None:
        """Whatever else it says."""
        with pytest.raises(CorruptError, match="no START WAL LOCATION"):
            check(OF_WAL_E, label=b"LABEL: x\n")


@pytest.mark.parametrize("tablespace_map", [b"16385 /old\n", b"16384 /old\n17 /x\n", b"x", b"1 /x"])
def test_every_mapped_tablespace_is_placed(tablespace_map: bytes) -> None:
    """Or the server would link to the old host's, or to nothing."""
    with pytest.raises(CorruptError, match="tablespace_map"):
        check(OF_WAL_E, tablespace_map=tablespace_map)


class TestSize:
    """Where nothing lists the files, their sizes have to add up to what was stored."""

    def test_all_of_them(self) -> None:
        """Or a tool that does not record it."""
        assert check_size(OF_WAL_E, 3000, force=False) is None
        assert check_size(replace(OF_WAL_G, uncompressed_size=0), 1, force=False) is None

    @pytest.mark.parametrize("backup", [OF_WAL_E, OF_WAL_G])
    def test_fewer_are_refused_unless_forced(self, backup: Backup) -> None:
        """A file may have been deleted meanwhile; both numbers are told."""
        with pytest.raises(
            CorruptError, match="2999 bytes of files, its sentinel says 3000"
        ) as error:
            check_size(backup, 2999, force=False)
        assert "--force" in str(error.value.hint)
        assert "2999" in str(check_size(backup, 2999, force=True))

    def test_the_size_of_a_stream_is_told_only(self) -> None:
        """A wal-g that streams counts tar's headers too, and does not know the catalogue's size."""
        streamed = replace(OF_WAL_G, data_catalog_size=0)
        assert "2999" in str(check_size(streamed, 2999, force=False))

    @pytest.mark.parametrize("backup", [OF_WAL_E, OF_WAL_G])
    def test_more_are_always_refused(self, backup: Backup) -> None:
        """Nothing explains them."""
        with pytest.raises(CorruptError):
            check_size(backup, 3001, force=True)


@pytest.mark.parametrize("lacking", ["PG_VERSION", "global/pg_filenode.map"])
def test_what_every_data_directory_has_is_there(tmp_path: Path, lacking: str) -> None:
    """A list of files that is another backup's would not miss it."""
    (tmp_path / "global").mkdir()
    for name in {"PG_VERSION", "global/pg_filenode.map"} - {lacking}:
        (tmp_path / name).touch()
    with pytest.raises(CorruptError, match=f"lacks {lacking}"):
        check_essentials(OF_WAL_G, tmp_path)
    (tmp_path / lacking).touch()
    check_essentials(OF_WAL_G, tmp_path)
