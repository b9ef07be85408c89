"""What would change on hosts, decided without touching them."""
