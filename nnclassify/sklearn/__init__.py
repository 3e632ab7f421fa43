"""The scikit-learn estimator: `from nnclassify.sklearn import NNClassifier`."""

from nnclassify.sklearn.estimator import NNClassifier as NNClassifier
