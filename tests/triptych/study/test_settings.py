"""Settings: defaults < config.yaml < --set, one model, one sentence per mistake."""

from pathlib import Path

import pytest
import yaml

from triptych.errors import InputError, UsageError
from triptych.steps import NAMES, all_steps, study_model
from triptych.study.settings import (
    apply_sets,
    check_settings,
    default_yaml,
    read_yaml,
    resolved_yaml,
    study_root,
    write_resolved,
)

CHECKOUT = Path(__file__).resolve().parents[3]


def test_generated_files_are_fresh() -> None:
    import json

    assert (CHECKOUT / "config.yaml").read_text() == default_yaml(study_model())
    assert json.loads((CHECKOUT / "config.schema.json").read_text()) == study_model().model_json_schema()


def test_default_file_means_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(default_yaml(study_model()))
    assert check_settings(read_yaml(tmp_path / "config.yaml"), study_model()) == study_model()()


def test_every_setting_is_described() -> None:
    for step in all_steps().values():
        assert step.settings.__doc__
        for name, field in step.settings.model_fields.items():
            assert field.description, f"{step.name}.{name} has no description"
            assert not field.is_required(), f"{step.name}.{name} has no default"


def test_resolved_file_is_named_by_its_content_and_stable(tmp_path: Path) -> None:
    settings = study_model()()
    key = write_resolved(tmp_path, settings)
    assert write_resolved(tmp_path, settings) == key
    assert check_settings(read_yaml(tmp_path / key), study_model()) == settings
    assert resolved_yaml(
        check_settings(yaml.safe_load(resolved_yaml(settings)), study_model())
    ) == resolved_yaml(settings)
    assert study_root(tmp_path / key) == tmp_path
    assert study_root(tmp_path / "config.yaml") == tmp_path


def test_sets_win_and_keep_their_types() -> None:
    content = apply_sets({"quantize_cloud": {"n_centers": 8}}, ["quantize_cloud.n_centers=16", "title=007"])
    assert content == {"quantize_cloud": {"n_centers": 16}, "title": 7}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"quantise_cloud": {}}, "unknown setting quantise_cloud; did you mean quantize_cloud"),
        (
            {"quantize_cloud": {"n_centres": 4}},
            r"unknown setting quantize_cloud\.n_centres; did you mean n_centers",
        ),
        ({"quantize_cloud": {"n_centers": 0}}, r"quantize_cloud\.n_centers = 0"),
        ({"quantize_cloud": {"n_centers": "many"}}, r"quantize_cloud\.n_centers = 'many'"),
        ({"cohort": {"min_samples": -1}}, r"cohort\.min_samples = -1"),
    ],
)
def test_wrong_settings_name_the_key(content: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_settings(content, study_model())


@pytest.mark.parametrize(
    "text",
    ["a: [1", "- a list\n", "title: a\ntitle: b\n", "title: 2020-13-45\n", "a: " + "9" * 5000, "[" * 3000],
)
def test_wrong_yaml_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UsageError, match=r"config\.yaml"):
        read_yaml(tmp_path / "config.yaml")


def test_yaml_cannot_make_objects(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("title: !!python/object/apply:os.system ['true']\n")
    with pytest.raises(UsageError):
        read_yaml(tmp_path / "config.yaml")


def test_missing_config_is_an_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="triptych init"):
        read_yaml(tmp_path / "config.yaml")


@pytest.mark.parametrize("assignment", ["novalue", "=3", "title.x=1", "title=[1", "title=2020-13-45"])
def test_wrong_assignments_are_refused(assignment: str) -> None:
    with pytest.raises(UsageError, match="--set"):
        apply_sets({"title": "t"}, [assignment])


def test_names_of_sections_are_names_of_steps() -> None:
    assert set(NAMES) <= set(study_model().model_fields)
