"""The verb backup-push."""
