"""The attributes of a host: all layers, in Chef's order, made into one typed value.

Two families stand on one another, and in each the levels: default attributes go file, environment,
role, node; override attributes go file, role, environment, node, so that an environment can insist
on what a role only prefers (docs.chef.io, "Attribute Precedence"). How lists meet is a property of
the attribute in the schema and not, as in Chef, of where they meet. `null` takes back what lower
layers say. What each layer said is kept, for `explain` and for the line that a plan names.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import cast

from provision import pgsettings
from provision.errors import InputError
from provision.layers import RESET, Given, Layer, LayerName, Layers, path_text
from provision.schema import ROOT, Attribute, Attributes, Path, RecordsLine, Section, SectionLine
from provision.source import Origin, wrong

_SETTINGS = ("postgresql", "settings")
_TARGETS = ("time", "lsn", "xid", "name", "immediate")


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerValue:
    """What one layer says of one attribute."""

    layer: LayerName
    given: Given


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """A host's attributes.

    By path, `given` is what holds of all that layers say, and `provenance` what each of them says,
    the lowest first; where only the schema speaks, neither has the path. `missing` are the required
    attributes that no layer sets.
    """

    attributes: Attributes
    given: Mapping[Path, Given]
    provenance: Mapping[Path, tuple[LayerValue, ...]]
    missing: tuple[str, ...] = ()

    def origin(self, path: str) -> Origin | None:
        """Return the line that decides an attribute; None where the schema's default holds."""
        given = self.given.get(tuple(path.split(".")))
        return None if given is None else given.origin


def ladder(
    *,
    files: Iterable[Layers] = (),
    environment: Layers | None = None,
    roles: Iterable[Layers] = (),
    node: Layers | None = None,
) -> tuple[Layer, ...]:
    """Return all layers, the lowest first; files and roles come in the order of application."""
    files, roles = tuple(files), tuple(roles)
    around = () if environment is None else (environment,)
    own = () if node is None else (node,)
    defaults = (*files, *around, *roles, *own)
    overrides = (*files, *roles, *around, *own)
    return (*(each.default for each in defaults), *(each.override for each in overrides))


def resolve(layers: Iterable[Layer]) -> Resolved:
    """Merge layers, the lowest first, over the schema's defaults.

    Raises InputError for values that only together, or only with this version of PostgreSQL, are
    wrong; the message names the line of the value that wins.
    """
    live, history = _merged(layers)
    attributes = cast(Attributes, _Builder(live).section(ROOT, ()))
    resolved = Resolved(
        attributes=attributes,
        given=MappingProxyType(live),
        provenance=MappingProxyType({path: tuple(values) for path, values in history.items()}),
        missing=tuple(_missing(ROOT, (), live)),
    )
    _check_settings(resolved)
    _check_recovery(resolved)
    return resolved


def _merged(
    layers: Iterable[Layer],
) -> tuple[dict[Path, Given], dict[Path, list[LayerValue]]]:
    live: dict[Path, Given] = {}
    history: dict[Path, list[LayerValue]] = defaultdict(list)
    for layer in layers:
        for path, given in layer.given.items():
            said = LayerValue(layer=layer.name, given=given)
            if given.value is RESET:
                for below in _forgotten(path, live) or [path]:
                    history[below].append(said)
            else:
                history[path].append(said)
                live[path] = _joined(live.get(path), given)
    return live, history


def _forgotten(path: Path, live: dict[Path, Given]) -> list[Path]:
    """Take the path and all below it out of `live`; return what was there."""
    found = [each for each in live if each[: len(path)] == path]
    for each in found:
        del live[each]
    return found


def _joined(lower: Given | None, higher: Given) -> Given:
    if not higher.appends:
        return higher
    below = () if lower is None else _items(lower)
    return replace(higher, value=tuple(dict.fromkeys((*below, *_items(higher)))))


def _items(given: Given) -> tuple[object, ...]:
    return cast("tuple[object, ...]", given.value)


class _Builder:
    """Makes the schema's dataclasses of flat values; what nobody touched is the shared default."""

    def __init__(self, live: Mapping[Path, Given]) -> None:
        self._live = live
        self._below: dict[Path, dict[Path, Given]] = defaultdict(dict)
        self._touched: set[Path] = set()
        for path, given in live.items():
            self._below[given.attribute][path[len(given.attribute) :]] = given
            self._touched.update(path[:end] for end in range(len(given.attribute) + 1))

    def section(self, section: Section, above: Path) -> object:
        values = dict(section.defaults)
        for name, line in section.lines.items():
            path = (*above, name)
            if path not in self._touched:
                continue
            match line:
                case SectionLine():
                    values[name] = self.section(line.section, path)
                case RecordsLine():
                    values[name] = self._records(line.record, path)
                case Attribute(merge="merge"):
                    found = {key[0]: given.value for key, given in self._below[path].items()}
                    # Sorted, so that moving an attribute to another layer changes no file.
                    values[name] = MappingProxyType(dict(sorted(found.items())))
                case Attribute():
                    values[name] = self._live[path].value
        return section.make(**values)

    def _records(self, record: Section, path: Path) -> tuple[object, ...]:
        by_name: dict[str, dict[str, Given]] = defaultdict(dict)
        for (name, key), given in self._below[path].items():
            by_name[name][key] = given
        return tuple(_record(record, path, name, found) for name, found in by_name.items())


def _record(record: Section, path: Path, name: str, found: Mapping[str, Given]) -> object:
    for key, line in record.lines.items():
        if isinstance(line, Attribute) and line.required and key not in found:
            origin = next(iter(found.values())).origin
            raise wrong(origin, f"{path_text((*path, name))}: {key} is missing")
    values = {key: given.value for key, given in found.items()}
    return record.make(**{**record.defaults, **values})


def _missing(section: Section, above: Path, live: Mapping[Path, Given]) -> Iterable[str]:
    for name, line in section.lines.items():
        path = (*above, name)
        if isinstance(line, SectionLine):
            yield from _missing(line.section, path, live)
        elif isinstance(line, Attribute) and line.required and path not in live:
            yield path_text(path)


def _check_settings(resolved: Resolved) -> None:
    if resolved.missing:
        return
    server = resolved.attributes.postgresql
    for name, value in server.settings.items():
        trouble = _setting_trouble(name, value, server.version.major)
        if trouble is not None:
            origin = resolved.given[(*_SETTINGS, name)].origin
            raise wrong(origin, f"{path_text(_SETTINGS)}: {trouble.message}", trouble.hint)


@lru_cache(maxsize=4096, typed=True)
def _setting_trouble(name: str, value: pgsettings.Value, major: int) -> InputError | None:
    try:
        pgsettings.check(pgsettings.lookup(name, major), value)
    except InputError as error:
        return InputError(error.message, hint=error.hint)
    return None


def _check_recovery(resolved: Resolved) -> None:
    recovery, at = resolved.attributes.pitr.recovery, "pitr.recovery"
    targets = [name for name in _TARGETS if getattr(recovery.target, name)]
    if len(targets) > 1:
        raise _conflict(
            resolved,
            f"{at}.target.{targets[-1]}",
            f"{' and '.join(targets)} are given, of which recovery takes one",
            "Write null for those that a lower layer gives.",
        )
    if recovery.mode == "delayed" and recovery.delay is None:
        raise _conflict(resolved, f"{at}.mode", "delayed without a delay", f"Set {at}.delay.")
    if recovery.mode != "delayed" and recovery.delay is not None:
        hint = f"Set {at}.mode to delayed, or {at}.delay to null."
        raise _conflict(resolved, f"{at}.delay", f"a delay in mode {recovery.mode}", hint)


def _conflict(resolved: Resolved, path: str, message: str, hint: str) -> InputError:
    origin = resolved.origin(path)
    where = f"{origin}: " if origin else ""
    return InputError(f"{where}{path}: {message}", hint=hint)
