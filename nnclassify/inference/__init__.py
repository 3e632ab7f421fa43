"""What starts from a run folder alone: evaluate, predict, compare, plots."""
