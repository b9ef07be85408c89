"""The metrics are those that docs/monitoring.md has, and Prometheus reads them as meant."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from backup_core.monitor import exposition
from backup_core.monitor.samples import METRICS, Sample, samples
from tests.support.backups import BACKUP
from tests.unit.monitor.test_judge import ARCHIVER, FAILING, HOUR, MINUTE, NOW, WELL

ROOT = Path(__file__).parents[3]


def all_samples() -> list[Sample]:
    """What a host on which all is well says."""
    found = samples(WELL, server=True, repository=True, encrypts=True, generation=3)
    return list(found)


def test_the_manual_lists_every_metric() -> None:
    """With kind, labels and meaning, in the order in which they are written."""
    page = (ROOT / "docs/monitoring.md").read_text()
    rows = re.findall(r"^\| `(pitr_\w+)` \| (\w+) \| ([^|]*) \| (.*) \|$", page, re.MULTILINE)
    listed = [row for row in rows if not row[0].startswith("pitr_job_")]
    assert listed == [
        (each.name, each.kind, ", ".join(f"`{label}`" for label in each.labels), each.about)
        for each in METRICS
    ]


def test_every_sample_is_of_a_metric_with_its_labels() -> None:
    """And every metric has a sample where there is something to say."""
    tables = {metric.name: metric for metric in METRICS}
    found = all_samples()
    for sample in found:
        assert tuple(sample.labels) == tables[sample.name].labels
    silent = {"pitr_wal_ready_oldest_timestamp_seconds", "pitr_wal_stored_timestamp_seconds"}
    assert {metric.name for metric in METRICS} - {sample.name for sample in found} == silent


def test_pushing_fails_until_something_is_archived() -> None:
    """What a spool tells of a failure is of the past then, and on a standby."""
    name = "pitr_wal_push_failing_timestamp_seconds"

    def failing_since(**changes: Any) -> list[float]:
        server = None if WELL.server is None else replace(WELL.server, **changes)
        facts = replace(WELL, server=server, pushing=FAILING)
        found = samples(facts, server=True, repository=False, encrypts=True, generation=None)
        return [sample.value for sample in found if sample.name == name]

    since = [(NOW - HOUR).timestamp()]
    assert failing_since() == since
    assert failing_since(archiver=replace(ARCHIVER, last_archived=NOW + MINUTE)) == [0]
    assert failing_since(in_recovery=True) == [0]
    assert failing_since(in_recovery=True, settings={"archive_mode": "always"}) == since


@pytest.mark.parametrize("part", ["server", "repository"])
def test_a_part_can_be_left_out(part: str) -> None:
    """Each is written by a schedule of its own, into a file of its own."""
    only = {"server": part == "server", "repository": part == "repository"}
    found = samples(WELL, **only, encrypts=False, generation=3)
    mine = {metric.name for metric in METRICS if metric.part == part}
    assert {sample.name for sample in found} <= mine


def test_what_prometheus_reads_is_what_was_said() -> None:
    """By its own parser: names, labels and values."""
    text = exposition.as_text(all_samples)
    read = {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    said = {(item.name, tuple(item.labels.values())): item.value for item in all_samples()}
    assert read == said
    assert read["pitr_backup_stored_bytes", ()] == BACKUP.compressed_size


def test_labels_of_the_host_go_to_every_metric() -> None:
    """Before its own."""
    text = exposition.as_text(all_samples, {"host": "db1"})
    assert 'pitr_drill_success{drill="fresh",host="db1"} 1.0\n' in text or (
        'pitr_drill_success{host="db1",drill="fresh"} 1.0\n' in text
    )
    assert 'pitr_server_answers{host="db1"} 1.0\n' in text


def test_a_file_is_whole_and_readable_for_others(tmp_path: Path) -> None:
    """node_exporter is another user; nothing but the file is left."""
    path = tmp_path / "pitr.prom"
    exposition.write(path, all_samples)
    exposition.write(path, all_samples)
    assert path.read_text() == exposition.as_text(all_samples)
    assert path.stat().st_mode & 0o777 == 0o644
    assert [each.name for each in tmp_path.iterdir()] == ["pitr.prom"]
