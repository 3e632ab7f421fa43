"""How fast a training epoch is, beside a bare loop and other tools: `python -m benchmarks.speed`."""
