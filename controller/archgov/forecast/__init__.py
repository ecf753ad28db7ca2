"""What is coming: a history in, quantiles out."""
