"""The keys of the encrypted seeds, and what is in them: nobody can make another text of it."""

from backup_core.stream.encrypt.age import recipient_of

IDENTITY = bytes(range(32))
RECIPIENT = recipient_of(IDENTITY)
SODIUM_KEY = bytes(range(32, 64))
PLAINTEXT = bytes(number * number % 251 for number in range(9000))
