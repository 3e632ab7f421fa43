"""From outputs to figures: metrics, and the baselines that a network is held against."""
