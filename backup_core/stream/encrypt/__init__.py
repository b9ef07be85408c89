"""Encryption: age, libsodium's secretstream and OpenPGP, each a module that is imported on use."""
