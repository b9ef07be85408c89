"""A row of the table of settings: all that is to be known of one setting but its value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from backup_core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Row:
    """How one setting is called, read and shown.

    `walg` is WAL-G's name without its prefix, `also` are names without one, such as PGDATA; `flag`
    is the option of the commands that take the setting, where it is not the field's name;
    `default` says in words what a default value would not; `unit` follows a number when shown.
    """

    parse: Callable[[str], object]
    about: str
    walg: str = ""
    also: tuple[str, ...] = ()
    flag: str = ""
    default: str = ""
    unit: str = ""
    secret: bool = False

    def environment_names(self, name: str) -> tuple[str, ...]:
        """List the variables that set the field `name`, the strongest first."""
        walg = (f"WALG_{self.walg}", f"WALE_{self.walg}") if self.walg else ()
        return (f"PITR_{name.upper()}", *walg, *self.also)

    def read(self, text: str, origin: str) -> object:
        """Parse a value; a ConfigError says where it came from, and never what a secret is."""
        try:
            return self.parse(text)
        except ConfigError as error:
            reason = "the value cannot be used" if self.secret else error.message
            raise ConfigError(f"{origin}: {reason}", hint=error.hint) from None

    def show(self, value: object) -> str:
        """Write a value as text that `parse` reads back; empty for None, masked if secret."""
        if value is None:
            return ""
        if self.secret:
            return "********"
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, tuple):
            return ",".join(value)
        return f"{value:.15g}{self.unit}" if isinstance(value, float) else f"{value}{self.unit}"
