"""Records of drills as values, for tests that take them and change what matters to them."""

from dataclasses import replace
from datetime import timedelta

from backup_core.repository.drills import CheckOutcome, DrillRecord, Phase
from tests.support.backups import BACKUP, NOON

SECRET_KEY = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF
-----END PRIVATE KEY-----
"""

PROVED = DrillRecord(
    drill="fresh",
    host="drill1",
    pitr_version="0.1.0",
    started=NOON,
    finished=NOON + timedelta(minutes=2),
    until="start",
    succeeded=True,
    system_identifier=BACKUP.system_identifier,
    pg_version=BACKUP.pg_version,
    backup=BACKUP.name,
    backup_finished=BACKUP.finish_time,
    timeline=1,
    stored_size=1000,
    restored_size=3000,
    wal_segments=2,
    recovery_seconds=60.5,
    data_lost_seconds=12.0,
    replayed_lsn="0/4000000",
    last_transaction=NOON,
    phases=(
        Phase(name="plan", state="passed", seconds=0.5),
        Phase(name="restore", state="passed", seconds=30.0),
        Phase(name="start", state="passed", seconds=10.0),
        Phase(name="replay", state="passed", seconds=20.0),
    ),
    checks=(CheckOutcome(name="rows", passed=True, seconds=0.1),),
)
FAILED = replace(
    PROVED,
    succeeded=False,
    failed_phase="plan",
    error="WAL is missing",
    system_identifier=None,
    pg_version=None,
    backup=None,
    backup_finished=None,
    timeline=None,
    stored_size=None,
    restored_size=None,
    wal_segments=None,
    recovery_seconds=None,
    data_lost_seconds=None,
    replayed_lsn=None,
    last_transaction=None,
    phases=(Phase(name="plan", state="failed", seconds=0.5),),
)
