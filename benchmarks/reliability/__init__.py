"""Whether a run loses anything: R1 to R13, each a module, each counting what it did and what went wrong."""
