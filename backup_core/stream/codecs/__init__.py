"""The codecs beside zstd, a module each, imported when an object needs it."""
