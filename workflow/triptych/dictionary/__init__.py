"""Convolutional dictionary learning: rank-1 atoms and the sparse, positive activations that rebuild a recording.

>>> import numpy as np
>>> import triptych.dictionary as dictionary
>>> signal = np.random.default_rng(0).standard_normal((4, 2000))
>>> learned = dictionary.learn(signal, n_atoms=2, atom_length=20, max_iterations=2)
>>> learned.spatial.shape, learned.temporal.shape
((2, 4), (2, 20))
>>> atom, sample, amplitude = dictionary.encode(signal, learned.spatial, learned.temporal, regularization=0.3)
>>> bool((amplitude > 0).all())
True
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from triptych.dictionary.front import Learned, encode, learn
    from triptych.dictionary.textures.front import Textures, encode_image, learn_textures

__all__ = ["Learned", "Textures", "encode", "encode_image", "learn", "learn_textures"]

_HOMES = {
    "Learned": "front",
    "encode": "front",
    "learn": "front",
    "Textures": "textures.front",
    "encode_image": "textures.front",
    "learn_textures": "textures.front",
}


def __getattr__(name: str) -> Any:
    """Load a front door at its first use: its kernels are heavy to import."""
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
