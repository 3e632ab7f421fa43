"""How weights change: optimizers, their update rules, Muon, averages of weights."""
