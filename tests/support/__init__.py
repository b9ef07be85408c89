"""The rig that tests, demo and benchmarks share: real PostgreSQL servers, started and ended."""
