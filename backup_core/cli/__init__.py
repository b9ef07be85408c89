"""The command line: parses, composes, prints and exits."""
