"""Optimizers, their update rules, Muon, and averages of weights."""
