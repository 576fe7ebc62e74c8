"""Clouds to measures and measures to distances: Lloyd on chunks, bounds, exact and linearised transport."""

from triptych.quantization.front import CloudMeasure, Distances, quantize, transport

__all__ = ["CloudMeasure", "Distances", "quantize", "transport"]
