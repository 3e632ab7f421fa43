"""Tests of the server: its API, its processes, its page."""
