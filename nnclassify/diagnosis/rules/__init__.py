"""Rules: what looks wrong in a config, its data, or the untrained network. Each suspicion awaits its proof."""
