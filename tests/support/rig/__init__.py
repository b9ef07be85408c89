"""Real hosts on this machine: each with its own root, network, processes, sshd, cron, PostgreSQL.

They are plain Linux namespaces and not containers of some engine: nothing has to be installed or
to run beforehand, and a host is there after a tenth of a second. Everything stands in one network,
mount and process namespace that a root process makes for one command (`python -m
tests.support.rig --user nobody -- pytest ...`; `make test` does it), and the command itself runs
in that network, unprivileged. So hosts are reached by their addresses as real ones are, nothing
is seen from outside, and the kernel removes all of it with the process, however that one ends.

    image    what hosts are made of: layers, built once and cached
    inside   the network; the server and the command as its two children
    server   makes, kills and enters hosts for the unprivileged command, over a unix socket
    client   what tests use: `Rig` and `Host`
"""
