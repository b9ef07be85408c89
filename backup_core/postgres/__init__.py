"""What PostgreSQL is: names, files and rules of the server, without any repository."""
