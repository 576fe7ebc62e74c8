"""What described things say: scaling, correlation, components, clusters, differences. Arrays in, arrays out."""

from triptych.analysis.clustering import Choice
from triptych.analysis.front import Analysis, analyze
from triptych.analysis.scaling import Scaling, scale

__all__ = ["Analysis", "Choice", "Scaling", "analyze", "scale"]
