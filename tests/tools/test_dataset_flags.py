"""Every data set's own flags reach the tools, and from there its opener."""

from __future__ import annotations

import argparse

import pytest

from upright.datasets import registry
from upright.datasets.coco import ENTRY as COCO
from upright.datasets.entry import DatasetEntry, Flag
from upright.detector.evaluation.protocols import PROTOCOLS
from upright.tools.dataset_flags import add_dataset_flags, dataset_options, recorded_options, validation_options


def parsed(*flags: str, training: bool = True) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--dataset", default="synthetic")
    add_dataset_flags(parser.add_argument_group("data"), training=training)
    return parser.parse_args(flags)


def test_only_the_options_of_the_chosen_data_set_are_given_to_it() -> None:
    flags = ["--annotations", "new", "--every", "3", "--sets", "0", "1", "--length", "7"]
    assert dataset_options(parsed("--dataset", "caltech", *flags)) == {
        "annotations": ["new"],
        "every": 3,
        "sets": [0, 1],
    }
    rolled = [*flags, "--roll", "45", "--poses", "all"]
    assert dataset_options(parsed(*rolled)) == {"length": 7, "roll": 45.0, "poses": "all"}


def test_evaluation_has_no_flag_that_only_training_takes(capsys: pytest.CaptureFixture[str]) -> None:
    evaluation = parsed("--dataset", "citypersons", "--annotations", "a.mat", training=False)
    assert dataset_options(evaluation) == {"annotations": ["a.mat"], "riders": None}
    with pytest.raises(SystemExit):
        parsed("--riders", training=False)
    assert "--riders" in capsys.readouterr().err


def test_without_validation_there_is_no_flag_that_validates_alone(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_dataset_flags(parser, training=True, validation=False)
    assert parser.parse_args(["--riders"]).riders
    with pytest.raises(SystemExit):
        parser.parse_args(["--val-annotations", "b.json"])
    assert "--val-annotations" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("--dataset synthetic --length 7", {}),
        ("--dataset synthetic --length 7 --roll 45", {"roll": 45.0}),
        ("--dataset coco --annotations a.json", None),
        ("--dataset coco --annotations a.json --val-annotations b.json", {"annotations": ["b.json"], "person": None}),
        ("--dataset yolo --person man", {"annotations": None, "person": "man"}),
        ("--dataset kitti --annotations a.txt --val-annotations b.txt", {"annotations": ["b.txt"]}),
        ("--dataset caltech --annotations new --every 3 --sets 0", {"annotations": ["new"]}),
        ("--dataset citypersons --riders", {"annotations": None}),
    ],
)
def test_what_a_training_is_validated_on(flags: str, expected: dict[str, object] | None) -> None:
    assert validation_options(parsed(*flags.split())) == expected


def test_the_settings_of_a_run_keep_their_names() -> None:
    """Runs begun earlier are resumed by these names."""
    assert recorded_options(parsed("--riders", "--val-annotations", "b.json")) == {
        "length": None,
        "roll": None,
        "poses": None,
        "annotations": None,
        "sets": None,
        "every": None,
        "riders": True,
        "person": None,
    }


@pytest.mark.parametrize("name", registry.DATASETS)
def test_every_data_set_is_evaluated_by_a_protocol_that_there_is(name: str) -> None:
    assert registry.dataset_entry(name).protocol in PROTOCOLS


def test_a_shared_flag_says_what_it_is_to_each_data_set(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed("--help")
    text = " ".join(capsys.readouterr().out.split())
    assert "coco: JSON files; caltech: original or new; citypersons: file" in text


def test_a_new_data_set_is_one_line_in_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = DatasetEntry(open=COCO.open, flags=(Flag("labels_folder", "where the labels lie"),))
    monkeypatch.setitem(registry.DATASETS, "another", "a.module.of.its.own")
    monkeypatch.setattr(registry, "import_module", one_more(registry.import_module, entry))
    assert dataset_options(parsed("--dataset", "another", "--labels-folder", "labels")) == {"labels_folder": "labels"}


def test_data_sets_that_mean_different_flags_by_one_name_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = DatasetEntry(open=COCO.open, flags=(Flag("every", "seconds", type=float),))
    monkeypatch.setitem(registry.DATASETS, "another", "a.module.of.its.own")
    monkeypatch.setattr(registry, "import_module", one_more(registry.import_module, entry))
    with pytest.raises(TypeError, match="--every of another and of caltech"):
        parsed()


def one_more(import_module, entry: DatasetEntry):
    """Imports modules as ever, and one that is not there."""
    return lambda name: argparse.Namespace(ENTRY=entry) if name == "a.module.of.its.own" else import_module(name)
