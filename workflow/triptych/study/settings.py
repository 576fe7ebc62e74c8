"""Settings of a study: defaults < config.yaml < --set, checked by one model, written once for every process to read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, Field, ValidationError, create_model
from pydantic.fields import FieldInfo

from triptych.engine.files import write_bytes
from triptych.engine.settings import explain
from triptych.engine.step import Settings, Step
from triptych.errors import InputError, UsageError

RESOLVED = ".triptych/config"
WIDTH = 100


class CohortSettings(Settings):
    """Which samples the steps over all samples of a kind take."""

    min_samples: int = Field(
        1, ge=1, description="fewest whole samples of a kind with which its cohort steps run"
    )
    left_out: dict[str, str] = Field(
        default_factory=dict,
        description="sample: reason; samples that take no part (triptych run adds those that failed)",
    )


class StudySettings(Settings):
    """Base of the settings of a study; the sections of the steps are added to it."""

    samples: str = Field("samples.tsv", description="sample sheet, relative to this file")
    cohort: CohortSettings = Field(default_factory=CohortSettings, description="")


def settings_model(steps: Iterable[Step]) -> type[StudySettings]:
    """The whole tree: the study's own settings and one section per step."""
    sections: dict[str, Any] = {
        step.name: (step.settings, Field(default_factory=step.settings, description=step.help))
        for step in steps
    }
    return create_model("StudySettings", __base__=StudySettings, **sections)


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses a key given twice."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            raise yaml.constructor.ConstructorError(
                None, None, f"key {key!r} is there twice", node.start_mark
            )
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping from a file.

    Raises
    ------
    InputError
        The file is not there.
    UsageError
        It is not YAML, or not a mapping.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; triptych init makes a study folder with one") from error
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" line {where.line + 1}" if where else ""
        raise UsageError(
            f"{path}{line} is not valid YAML: {getattr(error, 'problem', None) or error}"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    except (ValueError, RecursionError) as error:  # dates and numbers that cannot be, lists in lists in lists
        raise UsageError(f"{path} is not valid YAML: {error}; quote the value") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UsageError(f"{path} must hold `key: value` lines, not a {type(content).__name__}")
    return content


def apply_sets(content: Mapping[str, Any], sets: Iterable[str]) -> dict[str, Any]:
    """Apply ``a.b=value`` assignments; values are read as YAML."""
    merged: dict[str, Any] = _copy(content)
    for assignment in sets:
        name, equals, text = assignment.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"--set {assignment!r} must read section.key=value")
        target = merged
        *sections, last = name.strip().split(".")
        for section in sections:
            target = target.setdefault(section, {})
            if not isinstance(target, dict):
                raise UsageError(f"--set {assignment!r}: {section} is a value, not a section")
        try:
            target[last] = yaml.load(text, Loader=_Loader)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise UsageError(f"--set {assignment[:80]!r}: the value is not valid YAML") from error
    return merged


def _copy(content: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copy(value) if isinstance(value, Mapping) else value for key, value in content.items()}


def check_settings(
    content: Mapping[str, Any], model: type[StudySettings], source: str = "config.yaml"
) -> StudySettings:
    """Check a whole configuration.

    Raises
    ------
    UsageError
        One sentence that names the key and the nearest known one, or the value and its bound.
    """
    cleaned = {
        key: {} if value is None and _is_section(model, key) else value for key, value in content.items()
    }
    try:
        return model.model_validate(cleaned)
    except ValidationError as error:
        raise UsageError(f"{source}: {explain(error, model)}") from error


def _is_section(model: type[BaseModel], key: str) -> bool:
    field = model.model_fields.get(key)
    return (
        field is not None and isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    )


def resolved_yaml(settings: StudySettings) -> str:
    """The whole tree as YAML: equal settings give equal bytes."""
    return yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=True, allow_unicode=True, width=WIDTH)


def write_resolved(root: Path, settings: StudySettings) -> str:
    """Write the resolved settings under their own digest; returns the path relative to the study folder."""
    content = resolved_yaml(settings).encode()
    key = f"{RESOLVED}/{hashlib.sha256(content).hexdigest()}.yaml"
    if not (root / key).exists():
        write_bytes(root / key, content)
    return key


def study_root(config: Path) -> Path:
    """The study folder a configuration belongs to: its own folder, or that above ``.triptych/config``."""
    folder = config.absolute().parent
    return folder.parents[1] if folder.as_posix().endswith("/" + RESOLVED) else folder


def default_yaml(model: type[StudySettings]) -> str:
    """config.yaml with every key, its default, and what it means."""
    lines = [
        "# Settings of a triptych study: every key with its default. Delete what you do not change.",
        "# The same tree as a JSON schema: config.schema.json. Machine settings (cores, partitions) live in profiles/ only.",
        "",
    ]
    for name, field in model.model_fields.items():
        if _is_section(model, name):
            section: Any = field.annotation
            lines += ["", *_comment((section.__doc__ or "").strip().partition("\n\n")[0], ""), f"{name}:"]
            lines += _entries(section, "  ") or ["  {}"]
        else:
            lines += [*_comment(_meaning(field), ""), _assignment(name, field)]
    return "\n".join(lines) + "\n"


def _entries(model: type[BaseModel], indent: str) -> list[str]:
    lines: list[str] = []
    for name, field in model.model_fields.items():
        lines += [*_comment(_meaning(field), indent), indent + _assignment(name, field)]
    return lines


def _assignment(name: str, field: FieldInfo) -> str:
    default: Any = field.get_default(call_default_factory=True)
    if isinstance(default, BaseModel):
        default = default.model_dump(mode="json")
    if isinstance(default, tuple):
        default = list(default)
    value = yaml.safe_dump(default, default_flow_style=True, width=10_000, allow_unicode=True).strip()
    return f"{name}: {value.removesuffix('...').strip()}"


def _meaning(field: FieldInfo) -> str:
    bounds = [
        f"{sign} {getattr(entry, name)}"
        for entry in field.metadata
        for name, sign in (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<"))
        if getattr(entry, name, None) is not None
    ]
    choices = getattr(field.annotation, "__args__", ())
    if getattr(field.annotation, "__origin__", None) is not None and all(
        isinstance(c, str | int) for c in choices
    ):
        bounds.append(" | ".join(map(str, choices)))
    return (field.description or "") + (f" ({', '.join(bounds)})" if bounds else "")


def _comment(text: str, indent: str) -> list[str]:
    import textwrap

    return textwrap.wrap(
        " ".join(text.split()), WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# "
    )
