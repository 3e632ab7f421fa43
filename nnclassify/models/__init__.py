"""The model family: the networks."""

from typing import Annotated

from pydantic import Field

from nnclassify.models.base import Model
from nnclassify.models.cnn import Cnn
from nnclassify.models.mlp import Mlp
from nnclassify.models.python import PythonModel
from nnclassify.models.resnet import Resnet
from nnclassify.models.timm import Timm
from nnclassify.models.torchvision import Torchvision
from nnclassify.settings import ByName

AnyModel = Annotated[Mlp | Cnn | Resnet | Torchvision | Timm | PythonModel, Field(discriminator="name"), ByName]

__all__ = ["AnyModel", "Model"]
