"""Bytes on their way between a data directory and a store."""
