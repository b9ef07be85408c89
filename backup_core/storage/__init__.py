"""Where bytes are kept: one module a store, all behind the five verbs of base."""
