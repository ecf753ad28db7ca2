"""How a person asks: one file a command."""
