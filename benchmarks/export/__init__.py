"""Whether exported networks answer as the trained ones do, over every kind of model and dataset."""
