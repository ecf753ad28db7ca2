"""Placement: how many replicas of each workload in each cluster."""
