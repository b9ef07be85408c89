"""The verbs wal-push and wal-fetch."""
