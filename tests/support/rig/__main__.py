"""`python -m tests.support.rig [--user NAME] -- COMMAND ...`: run a command beside real hosts.

As root. The command runs as NAME (default: root), in a network of its own in which it can have
hosts; PITR_TEST_RIG in its environment says where to ask for them. Its exit code is this one's.
Without a command the layers of the hosts are built, for which the machine's network is needed.
"""

import argparse
import os
import sys

from tests.support.rig.image import layers

SYSTEM_DIRECTORIES = "/usr/local/sbin:/usr/sbin:/sbin"


def main() -> None:
    """Build what is missing, then become `inside` in a network namespace."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.rig")
    parser.add_argument("--user", default="root")
    parser.add_argument("command", nargs="*")
    chosen = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("the rig needs root: it makes network and mount namespaces")
    users_path = os.environ["PATH"]
    os.environ["PATH"] = f"{users_path}:{SYSTEM_DIRECTORIES}"
    lowers = ":".join(map(str, layers()))
    if chosen.command:
        inside = (sys.executable, "-m", "tests.support.rig.inside", lowers, chosen.user, users_path)
        os.execvp("unshare", ["unshare", "--net", *inside, *chosen.command])


if __name__ == "__main__":
    main()
