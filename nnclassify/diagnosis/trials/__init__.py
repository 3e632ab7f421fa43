"""Trials: short real runs that prove a suspicion, and the search for a change that helps."""
