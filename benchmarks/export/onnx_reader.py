"""Run an ONNX file on stored inputs in a process that cannot import nnclassify; print the largest difference."""

import sys

sys.path.append(sys.argv[1])
sys.modules["nnclassify"] = None  # type: ignore[assignment] # importing it fails

import numpy as np  # noqa: E402 - nnclassify is shut out before
import onnxruntime  # noqa: E402

session = onnxruntime.InferenceSession(sys.argv[2])
names = [given.name for given in session.get_inputs()]
worst = 0.0
with np.load(sys.argv[3]) as stored:
    for place in range(sum(name.endswith("answers") for name in stored)):
        columns = [name for name in stored if name.startswith(f"{place} column")]
        values = [stored[name] for name in columns] or [stored[f"{place} inputs"]]
        feed = {
            name: value.astype(object) if value.dtype.kind == "U" else value
            for name, value in zip(names, values, strict=True)
        }
        found = session.run(["probabilities"], feed)[0]
        worst = max(worst, float(np.abs(found - stored[f"{place} answers"]).max()))
print(worst)
