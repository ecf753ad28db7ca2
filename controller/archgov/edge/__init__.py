"""How we see the clusters, how we touch them."""
