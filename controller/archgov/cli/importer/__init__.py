"""Fleets from elsewhere as snapshots."""
