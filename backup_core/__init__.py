"""The engine of pitr: archives WAL, takes base backups and restores them to a point in time."""

__version__ = "0.1.0"
