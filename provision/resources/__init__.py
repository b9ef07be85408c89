"""What a host should have, named as Chef names it: values, and nothing of SSH or Ruby."""
