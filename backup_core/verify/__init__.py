"""What can be said about an archive without restoring it."""
