from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix, f1_score
from torch.nn import functional

from ecg_tl.callbacks import LearningCurve, Scores, score


def test_scores_are_sklearns() -> None:
    random = np.random.default_rng(0)
    rhythm = random.integers(0, 4, 200)
    logits = torch.from_numpy(random.normal(size=(200, 4)) + 2 * np.eye(4)[rhythm]).float()
    scores, predicted = score(logits, torch.from_numpy(rhythm)), logits.argmax(1).numpy()
    assert scores.f1 == pytest.approx(f1_score(rhythm, predicted, average="weighted"), abs=1e-6)
    assert scores.macro_f1 == pytest.approx(f1_score(rhythm, predicted, average="macro"), abs=1e-6)
    assert scores.f1_per_rhythm == pytest.approx(f1_score(rhythm, predicted, average=None).tolist(), abs=1e-6)
    assert scores.confusion == confusion_matrix(rhythm, predicted).tolist()
    probability = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(1, keepdims=True)
    assert scores.loss == pytest.approx(-np.log(probability[np.arange(200), rhythm]).mean(), abs=1e-5)


def test_a_rhythm_that_never_occurs_keeps_its_place() -> None:
    scores = score(torch.tensor([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0]]), torch.tensor([0, 1]))
    assert scores.f1 == scores.macro_f1 == 1
    assert scores.f1_per_rhythm == [1, 1, 0]
    assert np.array(scores.confusion).shape == (3, 3)


def curve_of(test_f1: list[float], oob_f1: list[float]) -> LearningCurve:
    curve = LearningCurve()
    curve.test_scores = [Scores(0.0, f1, f1, [f1], [[1]]) for f1 in test_f1]
    curve.oob_f1 = oob_f1
    return curve


def test_the_best_epoch_is_the_test_sets_and_the_selected_one_the_out_of_bag_records() -> None:
    curve = curve_of([0.1, 0.5, 0.9, 0.4], [0.2, 0.6, 0.3, 0.6])
    assert (curve.best_epoch, curve.best.f1) == (3, 0.9)
    assert (curve.selected_epoch, curve.selected.f1) == (2, 0.5)
    assert curve.index.value == pytest.approx(0.4 / 0.5 * 0.9)


def test_without_out_of_bag_records_the_last_epoch_is_selected() -> None:
    curve = curve_of([0.1, 0.5, 0.4], [math.nan] * 3)
    assert curve.selected_epoch == 3


def test_the_predictions_kept_are_those_of_the_best_and_of_the_selected_epoch() -> None:
    rhythm = torch.tensor([0, 1, 1])
    said = {1: ([0, 1, 1], [1, 0, 0]), 2: ([0, 0, 1], [0, 1, 1]), 3: ([1, 1, 1], [0, 1, 0])}
    curve, module = LearningCurve(), SimpleNamespace(log=lambda *_: None, log_dict=lambda *_: None)
    for test, oob in said.values():
        for loader, predicted in enumerate((test, oob)):
            logits = functional.one_hot(torch.tensor(predicted), 2).float()
            curve.on_validation_batch_end(None, None, {"logits": logits, "rhythm": rhythm}, None, 0, loader)
        curve.on_validation_epoch_end(None, module)
    assert (curve.best_epoch, curve.selected_epoch) == (1, 2)
    assert (curve.best_predicted, curve.selected_predicted) == ([0, 1, 1], [0, 0, 1])
