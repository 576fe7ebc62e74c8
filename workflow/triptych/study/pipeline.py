"""Where the Snakefile, rules, envs, profiles and config.yaml lie: in the checkout if there is one, else in the package."""

from __future__ import annotations

from pathlib import Path

from triptych.errors import UsageError


def pipeline_root() -> Path:
    """The folder with the Snakefile."""
    package = Path(__file__).resolve().parents[1]
    checkout = package.parents[1]
    if (checkout / "Snakefile").is_file() and (checkout / "pyproject.toml").is_file():
        return checkout
    return package / "pipeline"


def profile_folder(name: str) -> Path:
    """Folder of a Snakemake profile: a path, or the name of one that triptych brings.

    Raises
    ------
    UsageError
        There is no such profile.
    """
    given = Path(name)
    if given.is_dir() and "/" in name:
        return given.absolute()
    profiles = pipeline_root() / "profiles"
    if (profiles / name).is_dir():
        return profiles / name
    known = ", ".join(sorted(path.name for path in profiles.iterdir() if path.is_dir()))
    raise UsageError(f"there is no profile {name}; there are {known}, or give the path of a folder")
