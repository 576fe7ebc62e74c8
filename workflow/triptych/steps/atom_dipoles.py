"""The dipole of each atom in a spherical head: sensors as the recording has them, the lead field by mne.

MEG channels go through Sarvas' formula, EEG channels through four shells (mne's radii and conductivities) at average
reference. Channels are divided by their scales, so that magnetometers, gradiometers and electrodes count alike.

References
----------
Sarvas: Basic mathematical and electromagnetic concepts of the biomagnetic inverse problem, Phys. Med. Biol. 1987.
Berg, Scherg: A fast method for forward computation of multiple-shell spherical head models, EEG Clin. Neurophysiol. 1994.
Gramfort et al.: MEG and EEG data analysis with MNE-Python, Front. Neurosci. 2013.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from triptych.dictionary.dipole import Dipoles, Sphere
    from triptych.stores.signal import SignalInfo

MAGNETIC = ("mag", "grad")
MODELLED = (*MAGNETIC, "eeg")
LEAST_CHANNELS = 8
DEFAULT_CENTER_M = (0.0, 0.0, 0.04)
DEFAULT_RADIUS_M = 0.095
HEAD_RADII_M = (0.03, 0.2)
INNER_SKULL = 0.9  # of the scalp's radius, as in mne
LEAST_DEPTH_M = 0.005  # below the inner skull, as in mne.fit_dipole


def modelled_rows(info: SignalInfo, rows: Sequence[int]) -> list[int]:
    """Which of these channels of a signal have a type and a place that a sphere can be computed for; places in ``rows``."""
    import numpy as np

    if not len(info.locations):
        return []
    in_head = np.isfinite(info.device_to_head).all()
    found = []
    for place, row in enumerate(rows):
        kind, location = info.types[row], info.locations[row]
        magnetic = kind in MAGNETIC and bool(in_head and np.isfinite(location).all() and info.coil_types[row])
        if magnetic or (kind == "eeg" and bool(np.isfinite(location[:3]).all())):
            found.append(place)
    return found


def head_positions(info: SignalInfo, rows: Sequence[int]) -> NDArray[np.float64]:
    """Places of channels in the frame of the head, (len(rows), 3) m; NaN where they are not known."""
    import numpy as np

    positions = info.positions[list(rows)].copy()
    magnetic = [i for i, row in enumerate(rows) if info.types[row] in MAGNETIC]
    turn = info.device_to_head
    positions[magnetic] = positions[magnetic] @ turn[:3, :3].T + turn[:3, 3]
    return np.asarray(positions, dtype=np.float64)


def head_sphere(info: SignalInfo) -> Sphere:
    """The sphere through the digitised head, else through the electrodes, else that of a common head."""
    import numpy as np

    from triptych.dictionary.dipole import Sphere

    center, radius = np.array(DEFAULT_CENTER_M), DEFAULT_RADIUS_M
    electrodes = info.positions[[kind == "eeg" for kind in info.types]]
    electrodes = electrodes[np.isfinite(electrodes).all(axis=1)]
    if np.isfinite(info.head_sphere).all():
        center, radius = info.head_sphere[:3], float(info.head_sphere[3])
    elif len(electrodes) >= LEAST_CHANNELS:
        # |p - c|^2 = r^2 is linear in c and r^2 - |c|^2.
        design = np.column_stack([2 * electrodes, np.ones(len(electrodes))])
        solved = np.linalg.lstsq(design, (electrodes**2).sum(axis=1), rcond=1e-6)[0]
        center, radius = solved[:3], float(np.sqrt(max(0.0, solved[3] + solved[:3] @ solved[:3])))
    return Sphere(center, radius, INNER_SKULL * radius - LEAST_DEPTH_M)


@dataclass(frozen=True)
class LeadField:
    """The lead field of sensors in a sphere.

    Attributes
    ----------
    info : mne's description of the sensors.
    model : mne's sphere.
    electric : rows of EEG channels.
    scales : (P,) divisors in SI units.
    """

    info: Any
    model: Any
    electric: NDArray[np.int64]
    scales: NDArray[np.float64]

    def __call__(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scaled field of unit dipoles along x, y, z at (N, 3) places in the head, (P, N, 3)."""
        import mne
        import numpy as np

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            upwards = np.tile([0.0, 0.0, 1.0], (len(places), 1))
            space = mne.setup_volume_source_space(pos={"rr": places, "nn": upwards}, verbose="ERROR")
            solution = mne.make_forward_solution(
                self.info,
                trans=None,
                src=space,
                bem=self.model,
                meg=True,
                eeg=True,
                mindist=0.0,
                verbose="ERROR",
            )
        order = [solution["sol"]["row_names"].index(name) for name in self.info["ch_names"]]
        gains = np.asarray(solution["sol"]["data"], dtype=np.float64)[order].reshape(
            len(order), len(places), 3
        )
        return self.scaled(gains)

    def scaled(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values in SI units (P, ...) at average reference, divided by the scales."""
        values = values.copy()
        if len(self.electric):
            values[self.electric] -= values[self.electric].mean(axis=0)
        return values / self.scales.reshape(-1, *[1] * (values.ndim - 1))


def lead_field(
    info: SignalInfo, rows: Sequence[int], scales: NDArray[np.float64], sphere: Sphere
) -> LeadField:
    """The lead field of channels of a signal that ``modelled_rows`` named."""
    import mne
    import numpy as np

    names, types = [info.names[row] for row in rows], [info.types[row] for row in rows]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sensors = mne.create_info(names, info.sampling_rate_hz, types, verbose="ERROR")
        for channel, row, kind in zip(sensors["chs"], rows, types, strict=True):
            if kind == "eeg":
                channel["loc"] = np.concatenate([info.locations[row, :3], np.zeros(9)])
            else:
                channel["loc"] = info.locations[row].copy()
                channel["coil_type"] = info.coil_types[row]
        with sensors._unlock():
            turn = info.device_to_head if np.isfinite(info.device_to_head).all() else np.eye(4)
            sensors["dev_head_t"] = mne.Transform("meg", "head", turn)
        model = mne.make_sphere_model(tuple(sphere.center), sphere.radius, verbose="ERROR")
    electric = np.flatnonzero([kind == "eeg" for kind in types])
    return LeadField(sensors, model, electric, scales)


def atom_dipoles(
    spatial: NDArray[np.float64],
    scales: NDArray[np.float64],
    info: SignalInfo,
    rows: Sequence[int],
    sphere: Sphere,
) -> Dipoles:
    """The dipole of each atom; NaN throughout where fewer than eight channels have a place, or no head has the sphere's size.

    Parameters
    ----------
    spatial : (K, P) maps on scaled channels.
    scales : (P,) of the channels, SI units.
    rows : (P,) the channels' rows in the signal.
    sphere : of ``head_sphere``.
    """
    import numpy as np

    from triptych.dictionary.dipole import Dipoles, fit_dipoles

    used = modelled_rows(info, rows)
    plausible = HEAD_RADII_M[0] <= sphere.radius <= HEAD_RADII_M[1]
    if len(used) < LEAST_CHANNELS or not plausible:
        return Dipoles(np.full((len(spatial), 3), np.nan), np.full(len(spatial), np.nan))
    field = lead_field(info, [rows[place] for place in used], scales[used], sphere)
    maps = field.scaled((spatial * scales)[:, used].T).T
    return fit_dipoles(maps, field, sphere)


def dipole_columns(
    spatial: NDArray[np.float64],
    scales: NDArray[np.float64],
    info: SignalInfo,
    rows: Sequence[int],
    sphere: Sphere,
) -> dict[str, NDArray[np.float64]]:
    """The dipoles as columns of the table of atoms; arguments of ``atom_dipoles``."""
    import numpy as np

    found = atom_dipoles(spatial, scales, info, rows, sphere)
    return {
        "dipole_fit": found.fits,
        **{f"dipole_{axis}_m": found.places[:, i].copy() for i, axis in enumerate("xyz")},
        "dipole_depth_m": sphere.radius - np.linalg.norm(found.places - sphere.center, axis=1),
    }
