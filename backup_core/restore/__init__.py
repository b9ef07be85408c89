"""The verb backup-fetch."""
