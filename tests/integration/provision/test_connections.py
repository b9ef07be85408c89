"""`provision plan` and `apply` over connections that are not as they should be."""

from collections.abc import Iterator

import pytest

from tests.support.provisioning import Project, host_lines
from tests.support.rig.client import GUEST, OPERATOR, PASSWORD, Host, Rig

OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDd7XhJ3yUeBmzSxTSuyQ0FZ2Y0b7kI4cUaG8gqJ9h3n"
STATE = "/var/lib/provision"
ROLE = """
name: small
run_list: ["recipe[pitr::logrotate]", "recipe[pitr::recovery]"]
default_attributes:
  postgresql: {version: 15}
"""
QUESTION = "sudo password: "


@pytest.fixture(scope="module")
def project(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with one small host."""
    project = Project(tmp_path_factory.mktemp("connections"), host.identity)
    project.write("small.yml", ROLE)
    return project


@pytest.fixture(autouse=True)
def nothing_applied(host: Host) -> Iterator[None]:
    """Each test begins with a bare host."""
    yield
    host.sh(f"rm -rf {STATE} /etc/logrotate.d/pitr")


def describe(project: Project, host: Host, *, user: str = "admin", key: str | None = None) -> None:
    """Write the inventory."""
    lines = host_lines(host, role="small", key=key)
    project.write("inventory.yml", f"defaults: {{user: {user}}}\nhosts:\n{lines}")


def behind(project: Project, host: Host, bastion: Host, *, hop: str, key: str | None) -> None:
    """Write an inventory in which the host stands behind a gateway that is known by a key."""
    gateway = f"    address: {bastion.address}\n" + (f"    host_key: {hop}\n" if hop else "")
    lines = host_lines(host, role="small", key=key, more=("gateway: bastion",))
    text = f"defaults: {{user: admin}}\ngateways:\n  bastion:\n{gateway}hosts:\n{lines}"
    project.write("inventory.yml", text)


def refused(project: Project, host: Host, said: str) -> None:
    """Neither plan nor apply reaches the host, and both say why."""
    for words in (("plan",), ("apply", "--yes"), ("drift",)):
        assert said in project.run(*words, code=4)
    assert host.run(f"test -e {STATE} -o -e /etc/logrotate.d/pitr").returncode == 1


@pytest.mark.parametrize(
    ("key", "said"), [(OTHER_KEY, "but its known key is"), ("", "no key of it is known")]
)
def test_a_host_that_does_not_prove_itself_is_left_alone(
    project: Project, host: Host, key: str, said: str
) -> None:
    """Whether its key is another one or unknown."""
    describe(project, host, key=key)
    refused(project, host, said)


def test_a_host_whose_key_has_changed_is_left_alone(project: Project, fresh_rig: Rig) -> None:
    """It was applied before, and a new key proves nothing."""
    host = fresh_rig.start("db1")
    describe(project, host)
    project.run("apply", "--yes")
    host.sh(f"rm -rf {STATE} /etc/logrotate.d/pitr")
    host.sh("cd /etc/ssh && rm ssh_host_*; ssh-keygen -qt ed25519 -N '' -f ssh_host_ed25519_key")
    host.restart_sshd("HostKey=/etc/ssh/ssh_host_ed25519_key")
    refused(project, host, "but its known key is")


def test_a_host_is_applied_through_a_gateway(project: Project, host: Host, bastion: Host) -> None:
    """Both prove who they are."""
    behind(project, host, bastion, hop=bastion.host_keys[0], key=None)
    assert "db1: applied" in project.run("apply", "--yes")
    assert "no changes on 1 host" in project.run("plan")


@pytest.mark.parametrize("hop", [OTHER_KEY, ""])
def test_a_gateway_that_does_not_prove_itself_leads_nowhere(
    project: Project, host: Host, bastion: Host, hop: str
) -> None:
    """Though the host behind it would."""
    behind(project, host, bastion, hop=hop, key=None)
    refused(project, host, "bastion: ")


def test_a_gateway_does_not_vouch_for_the_host_behind_it(
    project: Project, host: Host, bastion: Host
) -> None:
    """It could lead to any host."""
    behind(project, host, bastion, hop=bastion.host_keys[0], key=OTHER_KEY)
    refused(project, host, "but its known key is")


def test_a_password_for_sudo_is_asked_for_once(project: Project, host: Host) -> None:
    """For all hosts, on the terminal, without showing it."""
    describe(project, host, user=OPERATOR)
    said = project.talk(
        "apply",
        "--yes",
        "--ask-sudo-password",
        question=QUESTION,
        answer=lambda: PASSWORD,
    )
    assert "1 applied" in said
    assert said.count(QUESTION) == 1
    assert PASSWORD not in said
    assert host.sh("stat -c %U /etc/logrotate.d/pitr") == "root"


def test_a_wrong_password_is_tried_once_and_not_shown(project: Project, host: Host) -> None:
    """Whoever locks accounts after three mistakes counts one."""
    describe(project, host, user=OPERATOR)
    said = project.talk(
        "plan", "--ask-sudo-password", question=QUESTION, answer=lambda: "tr0ub4dor", code=4
    )
    assert "sudo refuses the password of operator" in said
    assert "tr0ub4dor" not in said


def test_an_account_without_its_password_or_without_sudo_is_refused(
    project: Project, host: Host
) -> None:
    """Each with what to do about it."""
    describe(project, host, user=OPERATOR)
    refused(project, host, "sudo asks for the password of operator")
    assert "--ask-sudo-password" in project.run("plan", code=4)
    describe(project, host, user=GUEST)
    refused(project, host, "asks for the password of guest")
    said = project.talk(
        "plan", "--ask-sudo-password", question=QUESTION, answer=lambda: PASSWORD, code=4
    )
    assert "guest may not use sudo" in said
