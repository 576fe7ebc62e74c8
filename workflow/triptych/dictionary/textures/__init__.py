"""Atoms of images: planes or volumes coded by full 2-D or 3-D patterns, block by block, exact at the borders of blocks.

All arrays have the axes (z, y, x); a plane has one voxel along z, and so has an atom of planes. F is that of the coder of
signals, with full atoms in place of rank-1 ones:

    F(D, z) = 1/2 || X - sum_k D_k * z_k ||^2 + lambda sum_k |z_k|_1,   ||D_k|| <= 1,   z >= 0.

Activations are positive because contrast has a polarity: a dark membrane on bright cytoplasm is not the same thing as a
bright one on dark, so that an activation says what lies there, and activations can be counted.

References
----------
Moreau, Gramfort: DiCoDiLe: Distributed Convolutional Dictionary Learning, IEEE TPAMI 2022.
"""
