"""Restore drills: a backup is restored, recovered and asked, and what was proved is recorded."""
