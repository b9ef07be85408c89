"""What others wrote is untrusted: parsers under a coverage-guided fuzzer."""
