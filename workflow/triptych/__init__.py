"""triptych: large-scale analysis of SEM volumes, flow-cytometry clouds and MEG/EEG signals.

Front doors for notebooks are ``triptych.segmentation``, ``triptych.quantization``, ``triptych.dictionary``,
``triptych.morphometry`` and ``triptych.analysis`` on plain arrays, and ``run_step`` for the chunked form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

__version__ = "0.1.0"


def run_step(
    name: str, inputs: Mapping[str, Path | Mapping[str, Path]], out: Path | str, **settings: Any
) -> Mapping[str, Any]:
    """Run one step in its chunked form and return its manifest.

    Parameters
    ----------
    name : name of the step, e.g. ``"quantize_cloud"``.
    inputs : input name -> path of a store, a result folder or a raw file; sample -> path for inputs of cohort steps.
    out : result folder.
    settings : settings of the step; ``workers``, ``executor`` and ``device`` say how it is executed, ``sheet`` (sample ->
        group, batch, subject, session) and ``kind`` what a cohort step runs on.

    Raises
    ------
    triptych.errors.UsageError, triptych.errors.InputError, triptych.errors.StepError

    Examples
    --------
    >>> import triptych
    >>> triptych.run_step("quantize_cloud", {"cloud": "results/P1/import_cloud"}, "out", n_centers=32)  # doctest: +SKIP
    """
    from triptych.engine.run import run_step as run
    from triptych.steps import load_step

    execution = {
        key: settings.pop(key)
        for key in ("workers", "executor", "scheduler", "device", "sheet", "kind")
        if key in settings
    }
    return run(load_step(name), inputs, out, settings, **execution).manifest
