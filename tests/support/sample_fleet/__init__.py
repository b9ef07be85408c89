"""The sample fleet of roles/ on machines: the scripts that the Vagrantfile and its test run.

packages.sh  on each host: what comes from the network, and pitr's own wheels
host.sh      on each host: the administrator, and PostgreSQL as the roles expect it
store.sh     on the store: an S3 server
project      the project of roles/, with these machines' addresses and host keys
fleet.sh     beside the project: from PostgreSQL alone to a fleet that archives and follows
"""
