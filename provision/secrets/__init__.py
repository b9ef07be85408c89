"""Where secrets are kept, and the only place where a reference becomes a value."""
