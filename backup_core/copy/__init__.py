"""Copying backups with their WAL from one repository to another."""
