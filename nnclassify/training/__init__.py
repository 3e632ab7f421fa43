"""Training: build, plan, step, trainer, observers, history."""
