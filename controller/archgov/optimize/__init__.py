"""What is best: one folder a problem, each with a judge that never met its solver."""
