"""The golden renders are read by the programs that they are meant for, down to the last line.

cron is asked through crontab(1) on a host of the rig, since only root may install a table.
"""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from provision.resources.server import PgSettings
from tests.support.golden import GOLDEN, hosts, members
from tests.support.postgres import find_binaries
from tests.support.rig.client import Host

FILES = [path for path in sorted(GOLDEN.rglob("*")) if path.is_file()]
SCRIPTS = [path for path in FILES if path.parent.name == "jobs"]
ENVDIRS = sorted({path.parent for path in FILES if path.parent.name == "env"})
TABLES = [path for path in FILES if path.parent.name == "cron.d"]
RULES = [path for path in FILES if path.name == "alert-rules.yml"]
ROTATIONS = [path for path in FILES if path.parent.name == "logrotate.d"]
UNITS = sorted({path.parent for path in FILES if path.parent.name == "system"})
SETTINGS = [path for path in FILES if path.name in ("50-pitr.conf", "60-pitr-recovery.conf")]
RECOVERY = [path for path in FILES if path.name == "recovery.conf"]
# Versions whose programs can be had; the files of older ones are read by the oldest of them.
MAJORS = (12, 13, 14, 15, 16, 17, 18)


def named(path: Path) -> str:
    """The path below tests/golden."""
    return path.relative_to(GOLDEN).as_posix()


def ran(*argv: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a program, whatever comes of it."""
    env = {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", **environ}
    return subprocess.run(argv, capture_output=True, text=True, env=env, check=False)


def test_there_is_something_of_every_kind() -> None:
    """A test over no files would pass."""
    kinds = (SCRIPTS, ENVDIRS, TABLES, RULES, ROTATIONS, UNITS, SETTINGS, RECOVERY)
    assert all(kinds)


def taken(major: int, text: str, name: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """What a server reads as the value of one setting, if it takes the whole file."""
    directory.mkdir(exist_ok=True)
    (directory / "postgresql.conf").write_text(text)
    program = find_binaries(major).program("postgres")
    return ran(str(program), "-D", str(directory), "-C", name)


def settings_of(major: int) -> Iterator[PgSettings]:
    """The files of settings of all golden hosts for one version."""
    for member in members(major):
        yield from (each for each in member.catalog.resources if isinstance(each, PgSettings))


@pytest.mark.parametrize("major", MAJORS)
def test_servers_take_the_settings_of_their_version(major: int, tmp_path: Path) -> None:
    """Every line, and the commands with all their quotes."""
    for resource in settings_of(major):
        names = [each.name for each in resource.settings]
        read = taken(major, str(resource.content), names[0], tmp_path)
        assert read.returncode == 0, f"{resource.name}: {read.stderr}"
        for each in resource.settings:
            if each.name.endswith(("_command", "_conninfo")):
                read = taken(major, str(resource.content), each.name, tmp_path)
                assert read.stdout == f"{each.value}\n"


@pytest.mark.parametrize("path", RECOVERY, ids=named)
def test_a_recovery_conf_has_the_same_syntax(path: Path, tmp_path: Path) -> None:
    """What the first version without it takes, but for the one name that is gone."""
    text = path.read_text().replace("standby_mode", "hot_standby")
    read = taken(12, text, "restore_command", tmp_path)
    assert read.returncode == 0, read.stderr
    assert "wal-fetch" in read.stdout


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_shells_parse_the_scripts(shell: str) -> None:
    """All of them."""
    wrong = {named(path): ran(shell, "-n", str(path)).stderr for path in SCRIPTS}
    assert not {name: said for name, said in wrong.items() if said}


def test_shellcheck_has_nothing_to_say() -> None:
    """Not even about style."""
    assert ran("shellcheck", "--shell=sh", *map(str, SCRIPTS)).stdout == ""


@pytest.mark.parametrize("path", ENVDIRS, ids=named)
def test_envdir_sets_each_variable_to_what_its_file_says(path: Path) -> None:
    """And nothing else; a secret stands there as its reference."""
    variables = ran("envdir", str(path), "env", "-0").stdout.split("\0")
    expected = {f"{file.name}={file.read_text().removesuffix(chr(10))}" for file in path.iterdir()}
    assert expected <= set(variables)


@pytest.mark.parametrize("path", UNITS, ids=named)
def test_systemd_takes_the_units(path: Path, tmp_path: Path) -> None:
    """With the scripts where they will be, here a directory of the test."""
    script = tmp_path / "script"
    script.touch(mode=0o755)
    for unit in path.iterdir():
        pairs = (line.partition("=") for line in unit.read_text().splitlines())
        lines = (
            f"{name}{equals}{script if name == 'ExecStart' else value}"
            for name, equals, value in pairs
            if name != "User"  # one of this machine's would be refused as another one's
        )
        (tmp_path / unit.name).write_text("\n".join([*lines, ""]))
    units = sorted(str(each) for each in tmp_path.iterdir() if each != script)
    said = ran(
        *("systemd-analyze", "verify", "--user", "--man=no", *units),
        HOME=str(tmp_path),
        XDG_RUNTIME_DIR=str(tmp_path),
    )
    assert said.returncode == 0
    ours = [line for line in said.stderr.splitlines() if line.startswith((str(tmp_path), "pitr-"))]
    assert not ours


@pytest.mark.parametrize("path", ROTATIONS, ids=named)
def test_logrotate_takes_its_file(path: Path, tmp_path: Path) -> None:
    """With a log there that is due, and a user and a group that exist here."""
    user, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "base-backup.log").write_text("began\n")
    text = path.read_text().replace("postgres postgres", f"{user} {group}")
    directory = text.split('"')[1].rpartition("/")[0]
    copy = tmp_path / "ours"
    copy.write_text(text.replace(directory, str(logs)))
    copy.chmod(0o644)
    said = ran("logrotate", "-d", "-f", "-s", str(tmp_path / "state"), str(copy))
    assert said.returncode == 0, said.stderr
    assert "error" not in said.stderr
    assert "rotating pattern" in said.stderr
    assert "base-backup.log" in said.stderr


@pytest.mark.parametrize("path", RULES, ids=named)
def test_alert_rules_are_yaml_in_the_shape_of_prometheus(path: Path) -> None:
    """Each with an expression that asks for the host alone."""
    (group,) = yaml.safe_load(path.read_text())["groups"]
    host = path.relative_to(GOLDEN).parts[0]
    assert group["name"] == f"pitr {host}"
    for rule in group["rules"]:
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
        selectors = [part.partition("}")[0] for part in rule["expr"].split("{")[1:]]
        assert selectors
        assert all(f'host="{host}"' in selector for selector in selectors)


def test_cron_takes_the_tables(host: Host) -> None:
    """Each line without its user, as crontab(1) wants it, which reads it with cron's own code."""
    for number, path in enumerate(TABLES):
        lines = path.read_text().splitlines()
        *above, line = lines
        fields = line.split(" ", 6)
        assert fields[5] == "postgres"
        table = "\n".join([*above, " ".join([*fields[:5], fields[6]])])
        host.write(f"/tmp/table-{number}", f"{table}\n")
        said = host.run(f"crontab -u root /tmp/table-{number} && crontab -u root -r")
        assert (said.returncode, said.stderr) == (0, ""), f"{named(path)}: {said.stderr}"


def test_cron_would_have_refused_a_wrong_table(host: Host) -> None:
    """So that the test before can fail."""
    host.write("/tmp/wrong", "61 4 * * * true\n")
    assert "bad minute" in host.run("crontab -u root /tmp/wrong").stderr


@pytest.mark.parametrize("name", hosts())
def test_the_names_of_tables_are_ones_that_cron_reads(name: str) -> None:
    """A dot in the name, and the file is silently ignored."""
    for path in TABLES:
        if path.relative_to(GOLDEN).parts[0] == name:
            assert set(path.name) <= set("abcdefghijklmnopqrstuvwxyz-_0123456789")


@pytest.mark.parametrize("path", SETTINGS, ids=named)
def test_what_the_server_hands_to_the_shell_parses(path: Path) -> None:
    """Commands in settings are written in sh, which only runs them."""
    for line in path.read_text().splitlines():
        name, _, value = line.partition(" = ")
        if name.endswith("_command"):
            command = value.strip("'").replace("''", "'").replace("\\\\", "\\")
            assert ran("sh", "-n", "-c", command).stderr == ""
            assert shlex.split(command)


def test_nothing_is_needed_that_is_not_here() -> None:
    """A missing program would leave its files unread."""
    needed = ("dash", "bash", "shellcheck", "envdir", "systemd-analyze")
    assert all(shutil.which(name) for name in needed)
