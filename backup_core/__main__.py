"""`python -m backup_core` is `pitr`: how a command starts another process of its kind."""

from backup_core.cli.program import program

program()
