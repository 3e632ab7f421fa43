"""Trials: short training runs that prove or dismiss a suspicion, and the search for a change that helps."""
