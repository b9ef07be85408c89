"""What an operator does on single hosts: check, back up, restore, pause, promote, hold.

Each operation is decided by a pure function: from a place (what the roles say of a host) and a
sight (what is there) to a plan, a value that is shown before anything happens, or to a RefusedError
when it is the wrong host or the wrong moment. One executor sends a plan's script to the host.

    place      a host as the roles have it
    sight      what is on it: one look, one round trip
    plan       what would be done; carrying it out
    check      is everything as it should be
    backup     a base backup now; the list of them
    drill      a restore drill now
    restore    another data directory, from the repository
    replay     pausing and resuming
    promote    a delayed replica becomes a primary, at a chosen position
    hold       keeping others away
    pins       the keys that a host shows
"""
