"""Training with several processes that share each batch."""
