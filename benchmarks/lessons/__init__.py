"""Lessons on several seeds, and the tables that they come with."""
