"""Whether a run loses anything: each test counts its trials and what went wrong in them."""
