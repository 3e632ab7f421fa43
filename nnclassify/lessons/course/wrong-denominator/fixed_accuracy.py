"""The accuracy of a network on test examples."""

import torch


@torch.no_grad()
def accuracy(model, train_loader, test_loader):
    """Return the fraction of test examples that are predicted correctly."""
    correct = total = 0
    for inputs, targets in test_loader:
        correct += (model(inputs).argmax(dim=1) == targets).sum().item()
        total += len(targets)
    return correct / total
