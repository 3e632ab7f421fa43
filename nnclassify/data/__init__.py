"""The dataset family: where examples come from."""

from typing import Annotated

from pydantic import Field

from nnclassify.data.base import Dataset, Examples, Splits
from nnclassify.data.images.image_datasets import Cifar10, Cifar100, FashionMnist, Folder, Kmnist, Mnist
from nnclassify.data.synthetic import Blobs, Circles, Moons, Rgb, Spirals, Xor
from nnclassify.data.tables.table_datasets import BreastCancer, Csv, Digits, Iris, Wine
from nnclassify.data.tensor_files import Tensors
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
