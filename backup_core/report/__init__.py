"""One page on what can be recovered: the facts as a value, and the value as a page to look at."""
