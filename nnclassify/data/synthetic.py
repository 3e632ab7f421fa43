"""Generated datasets: small problems whose solution is known. Training and test examples are drawn separately."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from nnclassify.data.base import Dataset, RawDataset
from nnclassify.data.names import TEST, TRAIN
from nnclassify.data.splitting import Labels, Values
from nnclassify.data.unsplit import UnsplitExamples
from nnclassify.errors import DataError
from nnclassify.process import available_memory
from nnclassify.seeds import numpy_rng, stream_seed
from nnclassify.settings import Fraction, NonNegativeFloat, PositiveInt

NumExamples = Annotated[int, Field(ge=4, le=10_000_000)]


class SyntheticDataset(Dataset):
    """A generated dataset."""

    num_examples: NumExamples = 1000
    """Number of training examples, before the validation split."""
    num_test: PositiveInt | None = None
    """Number of test examples. Default: `num_examples`."""
    validation: Fraction | str = 0.0
    """As for every dataset. Default: no validation split, since more examples can always be generated."""

    @abstractmethod
    def draw(self, num_examples: int, seed: int) -> tuple[Values, Labels]:
        """Draw inputs `(N, num_features)` and class indices `(N,)`, in random order."""

    def class_names(self) -> list[str]:
        """Return the names of the classes: their numbers, of which there are two if no option says otherwise."""
        return [str(index) for index in range(getattr(self, "num_classes", 2))]

    def feature_names(self) -> list[str]:
        """Return the names of the columns."""
        return ["x", "y"]

    def read(self, seed: int) -> RawDataset:
        """Draw the training and test examples together, then separate them.

        Some generators place their classes at random, so the test examples must come from the same call. Every
        example is drawn independently.
        """
        import torch

        num_test = self.num_test or self.num_examples
        self._check_memory(self.num_examples + num_test)
        inputs, targets = self.draw(self.num_examples + num_test, seed)
        values, labels = torch.from_numpy(inputs.astype(np.float64)), targets.astype(np.int64)
        return RawDataset(
            train=UnsplitExamples(labels[: self.num_examples], values[: self.num_examples], TRAIN),
            test=UnsplitExamples(labels[self.num_examples :], values[self.num_examples :], TEST),
            class_names=self.class_names(),
            feature_names=self.feature_names(),
        )

    def num_columns(self) -> int:
        """Return the number of values per example."""
        return len(self.feature_names())

    def _check_memory(self, num_examples: int) -> None:
        """Reject a size that does not fit into memory: float64, and once more for shuffling."""
        needed, available = 2 * 8 * num_examples * self.num_columns(), available_memory()
        if available is not None and needed > available:
            raise DataError(
                f"dataset: {num_examples} examples of {self.num_columns()} values take {needed / 1e9:.1f} GB of "
                f"memory, and {available / 1e9:.1f} GB are free; use fewer or smaller examples",
                ("dataset",),
            )


class Xor(SyntheticDataset):
    """The four corners of the unit square, taken in turn, with noise; the class is the XOR of the coordinates."""

    name: Literal["xor"] = "xor"
    num_examples: NumExamples = 100
    """Number of training examples, one quarter per corner."""
    noise: NonNegativeFloat = 0.01
    """Standard deviation of the Gaussian noise added to both coordinates."""

    def draw(self, num_examples: int, seed: int) -> tuple[Values, Labels]:
        """Draw the corners in turn, so that each has a quarter of any slice, and add Gaussian noise."""
        corner = np.arange(num_examples) % 4
        bits = np.stack([corner // 2, corner % 2], axis=1)
        noise = numpy_rng(seed, "xor").normal(0.0, self.noise, size=bits.shape)
        return bits + noise, bits[:, 0] ^ bits[:, 1]


class Rgb(SyntheticDataset):
    """Random RGB colors with values 0..255, labeled light or dark by their luma (ITU-R BT.601, threshold 128)."""

    name: Literal["rgb"] = "rgb"
    num_examples: NumExamples = 2000
    """Number of training colors."""

    def draw(self, num_examples: int, seed: int) -> tuple[Values, Labels]:
        """Draw uniform integer colors."""
        colors = numpy_rng(seed, "rgb").integers(0, 256, size=(num_examples, 3)).astype(np.float64)
        luma = colors @ np.array([0.299, 0.587, 0.114])
        return colors, (luma >= 128).astype(np.int64)

    def class_names(self) -> list[str]:
        """Return dark, then light."""
        return ["dark", "light"]

    def feature_names(self) -> list[str]:
        """Return the color channels."""
        return ["red", "green", "blue"]


class Moons(SyntheticDataset):
    """Two interleaving half circles (`sklearn.datasets.make_moons`)."""

    name: Literal["moons"] = "moons"
    noise: NonNegativeFloat = 0.1
    """Standard deviation of the Gaussian noise added to both coordinates."""

    def draw(self, num_examples: int, seed: int) -> tuple[Values, Labels]:
        """Draw with scikit-learn, which also shuffles."""
        from sklearn.datasets import make_moons

        inputs, targets = make_moons(num_examples, noise=self.noise, random_state=stream_seed(seed, "moons") % 2**32)
        return inputs, targets


class Circles(SyntheticDataset):
    """A large circle containing a smaller circle (`sklearn.datasets.make_circles`)."""

    name: Literal["circles"] = "circles"
    noise: NonNegativeFloat = 0.05
    """Standard deviation of the Gaussian noise added to both coordinates."""
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Ratio of the inner to the outer radius."""

    def draw(self, num_examples: int, seed: int) -> tuple[Values, Labels]:
        """Draw with scikit-learn, which also shuffles."""
        from sklearn.datasets import make_circles

        random_state = stream_seed(seed, "circles") % 2**32
        inputs, targets = make_circles(num_examples, noise=self.noise, factor=self.factor, random_state=random_state)
        return inputs, targets


class Blobs(SyntheticDataset):
    """Gaussian blobs around random centers (`sklearn.datasets.make_blobs`)."""

    name: Literal["blobs"] = "blobs"
    num_classes: Annotated[int, Field(ge=2, le=1000)] = 3
    """Number of classes, one blob each."""
    num_features: PositiveInt = 2
    """Number of features."""
    std: Annotated[float, Field(gt=0)] = 1.0
    """Standard deviation of each blob. Centers lie in -10..10."""

    def draw(self, num_examples: int, seed: int) -> tuple[Values, Labels]:
        """Draw with scikit-learn, which also shuffles."""
        from sklearn.datasets import make_blobs

        inputs, targets = make_blobs(
            num_examples,
            n_features=self.num_features,
            centers=self.num_classes,
            cluster_std=self.std,
            random_state=stream_seed(seed, "blobs") % 2**32,
        )
        return inputs, targets

    def num_columns(self) -> int:
        """Return `num_features` without building the names, of which there may be billions."""
        return self.num_features

    def feature_names(self) -> list[str]:
        """Return `x` and `y`, or numbered names."""
        return ["x", "y"] if self.num_features == 2 else [f"x{index}" for index in range(self.num_features)]


class Spirals(SyntheticDataset):
    """Spiral arms that wind around the origin, one per class."""

    name: Literal["spirals"] = "spirals"
    num_classes: Annotated[int, Field(ge=2, le=20)] = 2
    """Number of classes, one arm each."""
    noise: NonNegativeFloat = 0.05
    """Standard deviation of the Gaussian noise added to both coordinates; the radius is 1."""
    turns: Annotated[float, Field(gt=0, le=10)] = 1.5
    """Number of turns of each arm around the origin."""

    def draw(self, num_examples: int, seed: int) -> tuple[Values, Labels]:
        """Draw uniformly along the radius, classes in random order."""
        rng = numpy_rng(seed, "spirals")
        targets = rng.permutation(np.arange(num_examples) % self.num_classes)
        radius = np.sqrt(rng.uniform(0.01, 1.0, size=num_examples))
        angle = 2 * np.pi * (self.turns * radius + targets / self.num_classes)
        inputs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        return inputs + rng.normal(0.0, self.noise, size=inputs.shape), targets
