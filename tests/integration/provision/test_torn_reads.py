"""Programs that start while the environment is switched see all of one generation."""

import pytest

from provision.agent import call, functions
from tests.support.provisioning import wait_for
from tests.support.rig.client import Host, Rig

SWITCHES = 100
ENVDIR = "/etc/torn.d/env"
NAMES = ("ACCESS_KEY", "SECRET_KEY")
VALUES = " ".join(f"${name}" for name in NAMES)
READER = f"""
until [ -e /run/stop-reading ]; do
    envdir {ENVDIR} sh -c 'echo {VALUES}'
done >/run/read 2>/run/failed
touch /run/reader-ended
"""


@pytest.fixture
def reading(fresh_rig: Rig) -> Host:
    """A host without anything on it."""
    return fresh_rig.start("db1")


def switching() -> str:
    """The agent's own functions, making and switching generation after generation."""
    files = "\n".join(
        f"    echo $n | base64 | place {ENVDIR}.d/$n/{name} root postgres 0640" for name in NAMES
    )
    return f"""{functions("apply")}
main() {{
    {call("begin", "torn")}
    {call("directory", ENVDIR.rpartition("/")[0], "root", "postgres", "0750")}
    {call("directory", f"{ENVDIR}.d", "root", "postgres", "0750")}
    n=0
    while [ $n -le {SWITCHES} ]; do
        ID=torn-$n
        directory {ENVDIR}.d/$n root postgres 0750
{files}
        stage_link {ENVDIR} env.d/$n
        switch {ENVDIR}
        rm -f {ENVDIR.rpartition("/")[0]}/.provision-old-*
        touch /run/first
        n=$((n + 1))
    done
    trap - EXIT
}}
main
"""


def test_no_reader_sees_half_of_a_switch(reading: Host) -> None:
    """A key's name never comes with another key's secret, and no reader fails."""
    reading.write("/root/switching", switching())
    reading.sh("sh /root/switching >/run/said 2>&1 </dev/null &")
    wait_for(reading, "test -e /run/first")
    reading.write("/root/reading", READER)
    reading.sh("sh /root/reading </dev/null >/dev/null 2>&1 &")
    wait_for(reading, f'[ "$(readlink {ENVDIR})" = env.d/{SWITCHES} ]', seconds=120)
    reading.sh("touch /run/stop-reading")
    wait_for(reading, "test -e /run/reader-ended")
    assert reading.sh("cat /run/failed") == ""
    seen = [line.split() for line in reading.sh("cat /run/read").splitlines()]
    assert [values for values in seen if len(values) != len(NAMES) or len(set(values)) > 1] == []
    assert len({values[0] for values in seen}) > 10
