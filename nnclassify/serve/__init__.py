"""A web page and an HTTP API for a trained network."""
