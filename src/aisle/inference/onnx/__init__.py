"""Exported models: networks as ONNX graphs, which predict on CPUs without torch.

`export` writes one from a trained network, with torch; `predictor` reads one, without.
"""
