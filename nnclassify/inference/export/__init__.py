"""Export a trained network for other runtimes: ONNX, safetensors, torch.export, and a page for the browser."""
