from __future__ import annotations

from pathlib import Path

import pytest

from ecg_tl.identity import differences, fingerprint, read_config, refuse_change, settings_of

RESOLVED = {
    "study": "a",
    "outputs": "here",
    "epochs": 3,
    "logger": {"name": "csv", "project": None},
    "init": {"name": "image", "weights": "auto"},
    "data": {"path": "x.h5", "records": 60, "seed": 0, "test_fraction": 0.2},
    "trainer": {"accelerator": "cpu", "threads": 2},
    "encoder": None,
}


def test_settings_are_what_a_result_depends_on() -> None:
    assert settings_of(RESOLVED) == {
        "epochs": 3,
        "init.name": "image",
        "init.weights": "auto",
        "data.test_fraction": 0.2,
        "trainer.accelerator": "cpu",
    }


def test_weights_count_only_where_they_are_used() -> None:
    assert "init.weights" not in settings_of(RESOLVED | {"init": {"name": "random", "weights": "auto"}})


def test_a_fingerprint_does_not_depend_on_order_and_does_on_values() -> None:
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1}) != fingerprint({"a": 1, "b": 3})


def test_every_difference_is_shown() -> None:
    refuse_change(Path("f"), {"epochs": 3}, {"epochs": 3})
    with pytest.raises(ValueError, match=r"f: finished with other settings \(batch: None -> 8, epochs: 3 -> 4\)"):
        refuse_change(Path("f"), {"epochs": 3}, {"epochs": 4, "batch": 8})


@pytest.mark.parametrize("content", [None, "a: [", "- 1\n"])
def test_a_config_that_cannot_be_read_is_named(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(ValueError, match=r"config\.yaml: .* remove the folder"):
        read_config(tmp_path / "config.yaml")


def test_checksums_are_cut_short() -> None:
    assert (
        differences({"merge": ["a" * 64, "b" * 64]}, {"merge": None}) == f"merge: ['{'a' * 12}', '{'b' * 12}'] -> None"
    )
