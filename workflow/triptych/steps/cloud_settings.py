"""Settings of import_cloud, which its plan and its quality masks read too."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from triptych.engine.step import Settings

MaskName = Literal["margin", "doublet", "debris", "dead", "drift"]
MASKS: tuple[MaskName, ...] = ("margin", "doublet", "debris", "dead", "drift")


class ImportCloudSettings(Settings):
    """Settings of import_cloud.

    Parameters of transforms hold for the whole cohort: parameters of single files would make distances false.
    """

    compensation: Literal["auto", "none", "required"] = Field(
        "auto",
        description="auto: apply the file's spillover matrix unless it was applied already; "
        "none: never; required: an error where the file has none.",
    )
    transform: Literal["auto", "logicle", "arcsinh", "none"] = Field(
        "auto",
        description="Transform of marker channels; auto: none where they are transformed already, arcsinh for mass "
        "cytometry, else logicle.",
    )
    logicle_top: float = Field(262144.0, gt=0, description="Top of the linear scale that logicle maps to 1.")
    logicle_decades: float = Field(4.5, gt=0, le=20, description="Decades of the logicle scale.")
    logicle_width: float = Field(0.5, ge=0, le=5, description="Decades of its nearly linear part.")
    logicle_negative: float = Field(0.0, ge=0, le=5, description="Additional decades of negative values.")
    cofactor_mass: float = Field(5.0, gt=0, description="Cofactor of arcsinh for mass cytometry.")
    cofactor_flow: float = Field(150.0, gt=0, description="Cofactor of arcsinh for flow cytometry.")
    include: tuple[str, ...] = Field(
        (), description="Channels or markers to keep besides the default ones, e.g. FSC-A."
    )
    exclude: tuple[str, ...] = Field((), description="Channels or markers to leave out.")
    data_set: int = Field(1, ge=1, description="Which data set of an FCS or LMD file to read, from 1.")
    masks: tuple[MaskName, ...] = Field(
        MASKS,
        description="Quality masks to compute: margin, doublet, debris, dead, drift. No event is deleted.",
    )
    doublet_deviations: float = Field(
        5.0,
        gt=0,
        description="Robust standard deviations by which the area of forward scatter exceeds what is usual for its "
        "height in a doublet.",
    )
    dead_above: float | None = Field(
        None,
        description="Compensated brightness of a viability dye, on the linear scale, above which a cell is dead; none: "
        "the valley between dim and bright cells.",
    )
    drift_deviations: float = Field(
        6.0,
        gt=0,
        description="Robust standard deviations by which the median of a marker jumps in a window of time that is masked.",
    )
    chunk_events: int = Field(
        65536, ge=1024, le=4194304, description="Events of a chunk: one block, one file."
    )
