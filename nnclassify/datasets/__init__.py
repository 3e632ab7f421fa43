"""The dataset family: where examples come from."""

from typing import Annotated

from pydantic import Field

from nnclassify.datasets.base import Dataset, Examples, Splits
from nnclassify.datasets.files import Tensors
from nnclassify.datasets.pictures import Cifar10, Cifar100, FashionMnist, Folder, Kmnist, Mnist
from nnclassify.datasets.tables import BreastCancer, Csv, Digits, Iris, Wine
from nnclassify.datasets.toy import Blobs, Circles, Moons, Rgb, Spirals, Xor
from nnclassify.settings import ByName

AnyDataset = Annotated[
    Xor
    | Rgb
    | Moons
    | Circles
    | Blobs
    | Spirals
    | Csv
    | Iris
    | Digits
    | Wine
    | BreastCancer
    | Mnist
    | FashionMnist
    | Kmnist
    | Cifar10
    | Cifar100
    | Folder
    | Tensors,
    Field(discriminator="name"),
    ByName,
]

__all__ = ["AnyDataset", "Dataset", "Examples", "Splits"]
