"""A run on disk: its folder, its checkpoints, how it resumes, and what records it while it trains."""
