"""What may be: rules that return findings."""
