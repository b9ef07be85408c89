"""What to ask a host, and what its answer means; pure.

The script only reads. Files come as one tar archive, so that owners, modes, links and contents of
forty files cost the host three processes and not a hundred. An answer without its last line was cut
and is refused: a path that is missing from it would look absent.
"""

from __future__ import annotations

import io
import tarfile
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TypeVar

from provision.agent import call, functions
from provision.catalog import Catalog, paths_of
from provision.errors import UnreachableError
from provision.journal import (
    HOLD,
    JOURNAL,
    LOCK,
    PATHS,
    UNFINISHED,
    parse_hold,
    parse_journal,
)
from provision.resources.account import Package, User, Venv
from provision.resources.base import Resource
from provision.resources.envdir import Envdir
from provision.resources.schedule import Timer
from provision.resources.server import Block, PgSettings
from provision.state import ABSENT, HostState, PathKind, PathState, ServerState, SettingState

_Kind = TypeVar("_Kind", bound=Resource)

LARGEST_FILE = 1 << 20
_NEWLINE_ONLY = ["set -f", "IFS='\n'"]
_USUAL = ["IFS=' \t\n'", "set +f"]
_KINDS: Mapping[bytes, PathKind] = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.DIRTYPE: "directory",
    tarfile.SYMTYPE: "link",
}
# One line a fact; texts in base64 on one line (manual, sections 54.24 and 54.11).
_SQL = """
with facts (kind, name, value, unit, source, pending) as (
    select 'version', current_setting('server_version_num'), pg_is_in_recovery()::text, '', '', ''
    union all
    select 'setting', name, setting, unit, sourcefile, case when pending_restart then '!' end
    from pg_settings where name in ({names})
    union all
    select 'auto', s.name, f.setting, '', '', ''
    from pg_file_settings f join pg_settings s on s.name = lower(f.name)
    where s.name in ({names})
    and f.sourcefile = current_setting('data_directory') || '/postgresql.auto.conf'
    union all
    select 'error', '', concat(f.sourcefile, ' line ', f.sourceline, ': ', f.name, ' ', f.error),
        '', '', ''
    from pg_file_settings f left join pg_settings s on s.name = lower(f.name)
    where f.error is not null
    and not (f.error = 'setting could not be applied' and s.context = 'postmaster')
    and not (f.name is null and f.error like '% cannot be changed without restarting the server')
)
select kind, name, translate(encode(convert_to(coalesce(value, ''), 'UTF8'), 'base64'), E'\\n', ''),
    coalesce(unit, ''), coalesce(pending, ''),
    translate(encode(convert_to(coalesce(source, ''), 'UTF8'), 'base64'), E'\\n', '')
from facts
"""


@dataclass(frozen=True, kw_only=True)
class ServerAddress:
    """How a host's own PostgreSQL is asked, as which user, and where its data is."""

    user: str
    psql: str
    sockets: str
    port: int
    data_directory: str

    @property
    def version_file(self) -> str:
        """Where a data directory says of which major version it is."""
        return f"{self.data_directory}/PG_VERSION"

    @property
    def auto_conf(self) -> str:
        """What ALTER SYSTEM writes; it is read last and beats every other file."""
        return f"{self.data_directory}/postgresql.auto.conf"


def observation_script(catalog: Catalog, server: ServerAddress) -> str:
    """Return the script that reads all that the catalogue and the host's journal speak of."""
    lines = [functions("observe"), "main() {", *_path_calls(catalog, server)]
    lines.append(call("busy", LOCK))
    lines.append(call("users", *_names(catalog, User)))
    lines.append(call("packages", *_names(catalog, Package)))
    lines.append("section venvs")
    lines += [call("venv", v.name, v.project) for v in _of(catalog, Venv)]
    lines.append("section guards")
    lines += [call("guard", str(n), *argv) for n, argv in enumerate(_guards(catalog))]
    lines.append("section timers")
    lines += [call("timer", timer.name) for timer in _of(catalog, Timer)]
    lines.append(_server_call(catalog, server))
    return "\n".join([*lines, "section end", "}", "main", ""])


def parse_observation(answer: bytes, catalog: Catalog, server: ServerAddress) -> HostState:
    """Return what the answer says; raises UnreachableError if it is cut or is none."""
    sections = _sections(answer)
    paths = dict(_paths(sections))
    statuses = dict(_fields(line) for line in sections["guards"])
    busy = bool(sections["busy"])
    unfinished = any(paths.get(path, ABSENT).kind != "absent" for path in UNFINISHED)
    return HostState(
        paths=paths,
        users={name: name in sections["users"] for name in _names(catalog, User)},
        packages={name: name in sections["packages"] for name in _names(catalog, Package)},
        venvs=dict(_fields(line) for line in sections["venvs"]),
        guards={argv: statuses.get(str(n)) == "0" for n, argv in enumerate(_guards(catalog))},
        timers={name: name in sections["timers"] for name in _names(catalog, Timer)},
        server=_server_state(sections["server"], _text(paths, server.version_file).strip()),
        journal=parse_journal(_text(paths, JOURNAL)),
        hold=parse_hold(_text(paths, HOLD)),
        interrupted=unfinished and not busy,
        busy=busy,
    )


def _path_calls(catalog: Catalog, server: ServerAddress) -> list[str]:
    fixed = {JOURNAL, HOLD, *UNFINISHED, server.version_file}
    fixed |= {
        path
        for resource in catalog.resources
        if not isinstance(resource, Envdir)
        for path in paths_of(resource)
    }
    fixed |= {block.name for block in _of(catalog, Block)}
    asked = call("files", str(LARGEST_FILE), *sorted(fixed))
    found = [f"$({call('generations', envdir.name)})" for envdir in _of(catalog, Envdir)]
    return [*_NEWLINE_ONLY, " ".join((asked, *found, f"$({call('known', PATHS)})")), *_USUAL]


def _server_call(catalog: Catalog, server: ServerAddress) -> str:
    names = sorted({s.name for r in _of(catalog, PgSettings) for s in r.settings})
    sql = _SQL.format(names=", ".join(f"'{name}'" for name in names) or "''")
    return call("server", server.user, server.psql, server.sockets, str(server.port), sql)


def _sections(answer: bytes) -> dict[str, list[str]]:
    lines = answer.decode("utf-8", "surrogateescape").splitlines()
    if not lines or lines[-1] != "== end":
        raise UnreachableError(
            "the answer to the question what is on the host is cut",
            hint="Try again; if it stays so, look at the disk and the memory of the host.",
        )
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in lines:
        if line.startswith("== "):
            current = found.setdefault(line.removeprefix("== "), [])
        else:
            current.append(line)
    return found


def _paths(sections: Mapping[str, list[str]]) -> Iterator[tuple[str, PathState]]:
    for path in sections["large"]:
        yield path, PathState(kind="file")
    try:
        data = b64decode("".join(sections["files"]), validate=True)
        if not data:
            return
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:", errorlevel=2) as archive:
            for member in archive:
                yield _path_of(member), _path_state(member, archive)
    except (Base64Error, tarfile.TarError, OSError) as error:
        raise UnreachableError(f"the host's list of files is damaged: {error}") from None


def _path_of(member: tarfile.TarInfo) -> str:
    return member.name if member.name.startswith("/") else f"/{member.name}"


def _path_state(member: tarfile.TarInfo, archive: tarfile.TarFile) -> PathState:
    kind = _KINDS.get(member.type, "other")
    stream = archive.extractfile(member) if kind == "file" else None
    content = stream.read() if stream is not None else None
    return PathState(
        kind=kind,
        owner=member.uname or str(member.uid),
        group=member.gname or str(member.gid),
        mode=f"{member.mode & 0o7777:04o}" if kind != "link" else "",
        digest=sha256(content).hexdigest() if content is not None else "",
        content=content,
        target=member.linkname if kind == "link" else "",
    )


def _server_state(lines: Iterable[str], data_version: str) -> ServerState:
    settings: dict[str, SettingState] = {}
    errors: list[str] = []
    automatic: dict[str, str] = {}
    version, in_recovery = 0, False
    for kind, name, value, unit, pending, source in (line.split("\t") for line in lines):
        if kind == "version":
            version, in_recovery = int(name), _decoded(value) == "true"
        elif kind == "setting":
            settings[name] = SettingState(
                value=_decoded(value),
                unit=unit,
                source_file=_decoded(source),
                pending_restart=bool(pending),
            )
        elif kind == "auto":
            automatic[name] = _decoded(value)
        else:
            errors.append(_decoded(value))
    for name, value in automatic.items():
        settings[name] = replace(settings[name], automatic=value)
    return ServerState(
        answers=version > 0,
        version=version,
        in_recovery=in_recovery,
        data_version=data_version,
        settings=settings,
        errors=tuple(errors),
    )


def _text(paths: Mapping[str, PathState], path: str) -> str:
    content = paths.get(path, ABSENT).content
    return "" if content is None else content.decode("utf-8", "replace")


def _decoded(text: str) -> str:
    return b64decode(text).decode("utf-8", "replace")


def _fields(line: str) -> tuple[str, str]:
    name, _, value = line.partition("\t")
    return name, value


def _guards(catalog: Catalog) -> tuple[tuple[str, ...], ...]:
    found = (guard.argv for resource in catalog.resources for guard in resource.guards)
    return tuple(dict.fromkeys(found))


def _of(catalog: Catalog, kind: type[_Kind]) -> list[_Kind]:
    return [resource for resource in catalog.resources if isinstance(resource, kind)]


def _names(catalog: Catalog, kind: type[Resource]) -> list[str]:
    return [resource.name for resource in _of(catalog, kind)]
