"""Runs on disk: run folders, checkpoints, resuming, and the observers that record a run."""
