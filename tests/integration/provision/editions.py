"""A host that is applied in editions: environment, settings and schedule say which one each is."""

from pathlib import Path

from tests.support.provisioning import Project, host_lines
from tests.support.rig.client import Host

CONF = "/etc/postgresql/15/main/conf.d/50-pitr.conf"
CRON = "/etc/cron.d/pitr-base-backup"
ENVDIR = "/etc/pitr.d/env"
REPOSITORY = "/srv/backup/main"
ROLE = """
name: database
run_list:
  - recipe[pitr::tooling]
  - recipe[pitr::archiving]
  - recipe[pitr::base_backup]
  - recipe[pitr::recovery]
  - recipe[pitr::logrotate]
default_attributes:
  postgresql:
    version: 15
    settings:
      work_mem: {edition}MB
{settings}
  pitr:
    repository: {repository}
    environment:
      AWS_REGION: edition-{edition}
    base_backup:
      schedule: "0 {edition} * * *"
"""
_EDITION = f"""
envdir {ENVDIR} printenv AWS_REGION | sed 's/edition-//'
sed -n "s/^work_mem = '\\(.*\\)MB'/\\1/p" {CONF}
sed -n 's/^0 \\([0-9]*\\) .*/\\1/p' {CRON}
"""
_PATHS = "/etc/pitr.d /etc/postgresql /etc/cron.d /opt/pitr/jobs /etc/logrotate.d"


class Database:
    """A host with a server, and the project that describes it."""

    def __init__(self, host: Host, directory: Path) -> None:
        self.host = host
        self.project = Project(directory, host.identity)
        host.sh(f"install -d -o postgres {REPOSITORY}")
        host.postgres()
        self.inventory()

    def inventory(self, *, user: str = "admin", text: str | None = None, head: str = "") -> None:
        """Write the inventory: the host as it is, unless its lines are given."""
        lines = text or host_lines(self.host, role="database")
        self.project.write("inventory.yml", f"defaults: {{user: {user}}}\n{head}hosts:\n{lines}")

    def edition(self, edition: int, *, repository: str = "", **settings: str) -> None:
        """Write the role in an edition, with more settings."""
        more = "".join(f"      {name}: {value}\n" for name, value in settings.items())
        where = repository or f"file://{REPOSITORY}"
        role = ROLE.format(edition=edition, settings=more.rstrip("\n"), repository=where)
        self.project.write("database.yml", role)

    def editions(self) -> list[int]:
        """The editions of environment, settings and schedule on the host."""
        return [int(line) for line in self.host.sh(_EDITION).splitlines()]

    def running(self, name: str = "work_mem") -> str:
        """A setting as new sessions get it."""
        return self.sql(f"show {name}")

    def sql(self, query: str) -> str:
        """Ask the server."""
        return self.host.sh(f'psql -XAtqc "{query}"', user="postgres")

    def contents(self) -> str:
        """Everything of ours on the host: owners, modes and contents."""
        return self.host.sh(
            f"find {_PATHS} -exec stat -c '%n %U %G %a %F %N' {{}} + | sort;"
            f" find {_PATHS} -type f -exec sha256sum {{}} + | sort;"
            " cat /var/lib/provision/journal.json"
        )

    def touched(self) -> str:
        """When each file of ours was written, and as which inode."""
        everything = f"{_PATHS} /var/lib/provision"
        return self.host.sh(
            f"find {everything} ! -name lock -exec stat -c '%n %i %y %z' {{}} + | sort"
        )

    def leftovers(self) -> str:
        """What an apply leaves only where it ended in the middle."""
        return self.host.sh(
            "find / -xdev -name '.provision-*' -print; ls /etc/cron.d | grep recover;"
            " ls /var/lib/provision | grep -vxE 'journal.json|lock|paths' || true"
        )
