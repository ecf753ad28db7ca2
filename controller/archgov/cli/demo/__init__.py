"""A fleet of clusters on this machine, governed by YAML, that loses a region and gets it back."""
