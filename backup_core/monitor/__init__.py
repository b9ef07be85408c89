"""Is all well: facts gathered once, and judged (`check`) or measured (`metrics`) from them."""
