"""`report.html`: one page about a run, or about several side by side, made from their run folders alone."""
