import pytest
import torch

from nnclassify.training.nonfinite import Fault, find_fault

NAN = float("nan")


@pytest.mark.parametrize(
    ("spoiled", "fault"),
    [
        ((), None),
        (("inputs", "outputs", "losses"), Fault(1, "inputs")),
        (("losses",), Fault(1, "loss")),
        (("outputs", "losses"), Fault(1, "outputs")),
        (("weights",), Fault(3, "weights")),
    ],
)
def test_the_first_fault_is_found(spoiled: tuple[str, ...], fault: Fault | None) -> None:
    """Six examples in batches of two; example 3 is of batch 1."""
    model = torch.nn.Linear(2, 2)
    tensors = {
        "inputs": torch.ones(6, 2),
        "outputs": torch.ones(6, 2),
        "losses": torch.ones(6),
        "weights": model.weight,
    }
    for name in spoiled:
        tensors[name].data[1 if name == "weights" else 3] = NAN
    assert find_fault(tensors["inputs"], tensors["outputs"], tensors["losses"], 2, model) == fault


def test_weights_that_were_spoiled_by_an_update_name_that_update() -> None:
    outputs, losses = torch.ones(6, 2), torch.ones(6)
    outputs[4:], losses[4:] = NAN, NAN
    fault = find_fault(torch.ones(6, 2), outputs, losses, 2, torch.nn.Linear(2, 2))
    assert fault == Fault(2, "weights")
    assert fault.text(step=9).startswith("step 8: its gradient or its update made the weights NaN")
