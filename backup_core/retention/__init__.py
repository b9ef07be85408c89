"""Removing old backups and the WAL that only they need: planned with reasons, then carried out."""
