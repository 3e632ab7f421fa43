"""nnclassify: train, evaluate and use classifiers in PyTorch from one YAML file."""

__version__ = "0.1.0"
