"""From YAML to a checked `RunConfig`, and back. Nothing here imports torch."""
