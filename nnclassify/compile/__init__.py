"""Fast execution of a function of tensors: traced, compiled ahead of time and cached, or captured as a CUDA graph."""
