"""What to do: a Snapshot in, Decisions out."""
