"""A network's twin in ONNX, answering on CPUs without torch.

`export` writes one from a trained model (that needs torch); `load` reads one (that does not).
"""
