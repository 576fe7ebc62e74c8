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

from triptych.dictionary.front import Learned, encode, learn

__all__ = ["Learned", "encode", "learn"]
