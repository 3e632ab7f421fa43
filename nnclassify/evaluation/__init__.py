"""From outputs to metrics, and the baselines that a network is compared with."""
