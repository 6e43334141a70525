"""The names under which runs are tracked, said once for what logs them and what draws them."""

from __future__ import annotations

EPOCH = "epoch"
TRAIN_LOSS = "train_loss"

TEST_LOSS, TEST_F1, OOB_F1 = "test_loss", "test_f1", "oob_f1"
CELL_CURVES = (TRAIN_LOSS, TEST_LOSS, TEST_F1, OOB_F1)

TEST_MSE, TEST_SSE = "test_mse", "test_sse"
PRETRAIN_CURVES = (TRAIN_LOSS, TEST_MSE, TEST_SSE)

BEST_F1, SELECTED_F1, LCI = "best_f1", "selected_f1", "lci"
CELL_SUMMARY = (BEST_F1, SELECTED_F1, LCI, "macro_f1", "n_train")
"""Entries of a run record that are in the summary of the run, by the same names."""

BEST_TEST_SSE = "best_test_sse"
"""What pretraining has in its summary: the error of the epoch that the bundle holds."""

CONFUSION = "confusion"
CONFUSION_CHART = "wandb/confusion_matrix/v1"
CONFUSION_FIELDS = {name: name for name in ("Actual", "Predicted", "nPredictions")}
RECONSTRUCTION = "reconstruction"

INIT, FRACTION, SEED = "init.name", "fraction", "seed"
"""Keys of a run's config by which runs are told apart; a dot leads into a group."""

PRETRAIN_JOB = "pretrain"
"""Job type of a pretraining; that of a cell is its init."""
