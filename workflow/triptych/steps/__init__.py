"""The steps by name, in the order of the pipeline.

A name is the module, the rule, the command (``_`` written ``-``), the settings section, the results folder and the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triptych.errors import UsageError

if TYPE_CHECKING:
    from triptych.engine.step import Step
    from triptych.study.settings import StudySettings
    from triptych.study.study import Study

NAMES = (
    "import_volume",
    "predict_boundaries",
    "segment_volume",
    "measure_objects",
    "learn_textures",
    "import_cloud",
    "import_signal",
    "choose_atoms",
    "learn_atoms",
    "learn_cohort_atoms",
    "encode_signal",
    "link_events",
    "describe_atoms",
    "scale_features",
    "quantize_cloud",
    "quantize_cohort",
    "compare_samples",
    "find_populations",
    "analyze_features",
    "report",
)


@cache
def load_step(name: str) -> Step:
    """The declaration of one step; its module imports nothing heavy.

    Raises
    ------
    UsageError
        There is no such step; the nearest name is given.
    """
    import difflib

    wanted = name.replace("-", "_")
    if wanted not in NAMES:
        near = difflib.get_close_matches(wanted, NAMES, n=1)
        hint = (
            f"did you mean {near[0].replace('_', '-')}?"
            if near
            else f"steps: {', '.join(NAMES).replace('_', '-')}"
        )
        raise UsageError(f"there is no step {name}; {hint}")
    step: Step = import_module(f"triptych.steps.{wanted}").STEP
    return step


@cache
def all_steps() -> Mapping[str, Step]:
    """Every step by name."""
    return {name: load_step(name) for name in NAMES}


@cache
def study_model() -> type[StudySettings]:
    """The model of config.yaml."""
    from triptych.study.settings import settings_model

    return settings_model(all_steps().values())


def open_study(config: Path, sets: tuple[str, ...] = ()) -> Study:
    """Open the study that a config.yaml (or a resolved one) describes.

    Raises
    ------
    InputError, UsageError
        The configuration or the sample sheet is not there or is wrong; one sentence says where.
    """
    from triptych.study.settings import apply_sets, check_settings, read_yaml, study_root
    from triptych.study.study import Study

    settings = check_settings(apply_sets(read_yaml(config), sets), study_model(), config.name)
    return Study.open(study_root(config), settings, all_steps())


def open_study_of(config: Mapping[str, Any], root: Path) -> Study:
    """Open a study from a mapping that somebody else has read (Snakemake)."""
    from triptych.study.settings import check_settings
    from triptych.study.study import Study

    return Study.open(root, check_settings(config, study_model()), all_steps())
