"""Training: building from a config, execution plan, step, trainer, observers, history."""
