"""The inventory, and the choice of hosts from it."""

from __future__ import annotations

import base64

import pytest

from provision.errors import InputError, UsageError
from provision.inventory import Inventory, read_inventory
from provision.selection import Selectors, select
from tests.unit.provision.projects import node

BLOB = base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(32)).decode()
KEY = f"ssh-ed25519 {BLOB}"
ENVIRONMENTS = ("production", "staging")
CONTRADICTION = (
    "{groups: {g: {hosts: [a], port: 1}, h: {hosts: [a], port: 2}}, hosts: {a: {run_list: []}}}"
)
ROLES_OF = {"db-01": ("base",), "db-02": ("base", "replica"), "drill-01": ("drill",)}
FLEET = """
    defaults: {user: deploy, gateway: bastion, environment: staging}
    gateways:
      bastion: {address: 203.0.113.9, port: 2222}
    groups:
      main:
        hosts: [db-01, db-02]
        cluster: main
        environment: production
        run_list: ["role[base]"]
      replicas:
        hosts: [db-02]
        port: 2200
        run_list: ["role[replica]"]
    hosts:
      db-01: {}
      db-02:
        address: 10.0.0.2
        user: root
        gateway: null
        run_list: ["recipe[pitr::monitoring]"]
      drill-01:
        run_list: ["role[drill]"]
"""


def read(text: str) -> tuple[Inventory, list[InputError]]:
    """Read an inventory, and all that is wrong with it."""
    problems: list[InputError] = []
    found = read_inventory(node(text, "inventory.yml"), ENVIRONMENTS, problems.append)
    return found, problems


@pytest.fixture(scope="module")
def fleet() -> Inventory:
    """Three hosts, two groups, one gateway."""
    found, problems = read(FLEET)
    assert problems == []
    return found


class TestReading:
    """What a host says goes before its groups, and these before the defaults."""

    def test_a_host_has_what_its_groups_say(self, fleet: Inventory) -> None:
        """Its address is its name if nothing else is said."""
        host = fleet.hosts["db-01"]
        assert (host.address, host.user, host.port) == ("db-01", "deploy", 22)
        assert (host.environment, host.cluster, host.groups) == ("production", "main", ("main",))

    def test_a_host_overrides_its_groups(self, fleet: Inventory) -> None:
        """A gateway of null is none."""
        host = fleet.hosts["db-02"]
        assert (host.address, host.user, host.port) == ("10.0.0.2", "root", 2200)
        assert host.gateways == ()

    def test_defaults_come_last(self, fleet: Inventory) -> None:
        """For a host without groups, too."""
        host = fleet.hosts["drill-01"]
        assert (host.environment, host.cluster) == ("staging", None)
        (gateway,) = host.gateways
        assert (gateway.address, gateway.port, gateway.user) == ("203.0.113.9", 2222, "deploy")

    def test_run_lists_of_groups_come_before_the_hosts(self, fleet: Inventory) -> None:
        """In the order of the groups in the file."""
        assert [str(item) for item in fleet.hosts["db-02"].run_list] == [
            "role[base]",
            "role[replica]",
            "recipe[pitr::monitoring]",
        ]

    def test_gateways_are_passed_from_the_outermost(self) -> None:
        """A gateway may have one itself."""
        found, _ = read("""
            gateways: {inner: {gateway: outer}, outer: {}}
            hosts: {a: {run_list: [], gateway: inner}}
        """)
        assert [each.name for each in found.hosts["a"].gateways] == ["outer", "inner"]

    @pytest.mark.parametrize("written", [f"{KEY} root@db-01", f"[{KEY}]"])
    def test_host_keys_are_kept_without_comments(self, written: str) -> None:
        """One, or a list."""
        found, _ = read(f"hosts: {{a: {{run_list: [], host_key: {written}}}}}")
        assert found.hosts["a"].host_keys == (KEY,)


class TestWrongInventories:
    """All that is wrong is said, with file and line."""

    @pytest.mark.parametrize(
        ("text", "message", "hint"),
        [
            ("hosts: {a: {}}", "neither the host nor a group has a run list", "run_list: []"),
            ("hosts: {a: {run_lst: []}}", "hosts.a.run_lst does not exist", "run_list"),
            ("hosts: {-a: {run_list: []}}", "hosts", ""),
            ("hosts: {a: {run_list: [], address: -oProxy}}", "hosts.a.address", ""),
            ("hosts: {a: {run_list: [], address: 'a b'}}", "hosts.a.address", ""),
            ("hosts: {a: {run_list: [], user: -l}}", "hosts.a.user", ""),
            ("hosts: {a: {run_list: [], port: 0}}", "hosts.a.port", ""),
            ("hosts: {a: {run_list: [], environment: prod}}", "no environment prod", "production"),
            ("hosts: {a: {run_list: [], gateway: b}}", "no gateway b", "gateways:"),
            ("hosts: {a: {run_list: [], host_key: ssh-rsa}}", "not a public key", "ssh-keyscan"),
            (f"hosts: {{a: {{run_list: [], host_key: ssh-rsa {BLOB}}}}}", "not a public key", ""),
            ("hosts: {a: {run_list: ['role[b c]']}}", "hosts.a.run_list", ""),
            ("hosts: {a: {run_list: [], default_attributes: {x: 1}}}", "x does not exist", "pitr"),
            ("{groups: {g: {hosts: [b]}}, hosts: {a: {run_list: []}}}", "no host b", ""),
            ("{groups: {g: {}}, hosts: {a: {run_list: []}}}", "no hosts are named", "hosts:"),
            (
                "{groups: {g: {hosts: [], default_attributes: {}}}, hosts: {a: {run_list: []}}}",
                "a group has no attributes",
                "role",
            ),
            (
                "{gateways: {g: {gateway: g}}, hosts: {a: {run_list: [], gateway: g}}}",
                "only reached through itself",
                "",
            ),
            (
                CONTRADICTION,
                "the group g says 1, and the group h 2",
                "at the host",
            ),
        ],
    )
    def test_a_wrong_inventory_is_refused(self, text: str, message: str, hint: str) -> None:
        """With the words to write."""
        _, (error,) = read(text)
        assert error.message.startswith("inventory.yml:1: ")
        assert message in error.message
        assert hint in (error.hint or "")

    def test_an_inventory_has_hosts(self) -> None:
        """Nothing can be made of one without."""
        with pytest.raises(InputError, match="hosts: there are none"):
            read("groups: {}")

    def test_a_wrong_host_does_not_hide_the_others(self) -> None:
        """All errors in one go."""
        found, problems = read("hosts: {a: {}, b: {run_list: []}, c: {port: x}}")
        assert list(found.hosts) == ["b"]
        assert len(problems) == 2


class TestSelection:
    """Words of one kind widen, kinds narrow."""

    @pytest.mark.parametrize(
        ("selectors", "names"),
        [
            (Selectors(), ["db-01", "db-02", "drill-01"]),
            (Selectors(hosts=("db-*",)), ["db-01", "db-02"]),
            (Selectors(hosts=("drill-01", "db-01")), ["db-01", "drill-01"]),
            (Selectors(roles=("replica",)), ["db-02"]),
            (Selectors(environments=("production",), roles=("base",)), ["db-01", "db-02"]),
            (Selectors(groups=("main",), hosts=("*-02",)), ["db-02"]),
        ],
    )
    def test_hosts_are_selected(
        self, fleet: Inventory, selectors: Selectors, names: list[str]
    ) -> None:
        """In the order of the inventory."""
        assert [host.name for host in select(fleet, selectors, ROLES_OF)] == names

    @pytest.mark.parametrize(
        ("selectors", "message", "hint"),
        [
            (Selectors(hosts=("db-*", "dril-01")), "no host fits --host dril-01", "drill-01"),
            (Selectors(roles=("replicas",)), "no host fits --role replicas", "replica"),
            (Selectors(groups=("x",)), "no host fits --group x", "main"),
            (Selectors(hosts=("db-01",), roles=("drill",)), "no host fits all", ""),
        ],
    )
    def test_a_word_that_fits_nothing_is_refused(
        self, fleet: Inventory, selectors: Selectors, message: str, hint: str
    ) -> None:
        """A typing mistake is not "nothing to do"."""
        with pytest.raises(UsageError, match=message) as caught:
            select(fleet, selectors, ROLES_OF)
        assert hint in (caught.value.hint or "")
