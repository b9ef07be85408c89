"""The verbs keys and rewrap: who can decrypt what a repository holds."""
