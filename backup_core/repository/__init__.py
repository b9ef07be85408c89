"""What is stored under which name, in WAL-G's layout, and how it is read back."""
