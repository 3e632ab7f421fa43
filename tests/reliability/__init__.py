"""Reliability tests, each of which counts its trials and failures."""
