"""Several processes, one batch: who they are, what each computes, and how they add it up."""
