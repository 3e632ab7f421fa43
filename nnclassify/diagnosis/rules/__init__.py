"""Rules: what looks wrong in a config, its data, or the untrained network. Suspicions are then tested by trials."""
