"""The monitor: what goes wrong while a network trains, and how a finished run compares with its baselines."""
