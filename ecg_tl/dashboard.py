"""ENTRY: a study's workspace in Weights & Biases. python -m ecg_tl.dashboard entity=NAME project=NAME [study=NAME]"""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import TYPE_CHECKING

import wandb

from ecg_tl import command_line
from ecg_tl.config import DashboardConfig
from ecg_tl.tracking_keys import (
    BEST_F1,
    BEST_TEST_SSE,
    CELL_SUMMARY,
    CONFUSION,
    CONFUSION_CHART,
    CONFUSION_FIELDS,
    EPOCH,
    FRACTION,
    INIT,
    LCI,
    OOB_F1,
    RECONSTRUCTION,
    SEED,
    SELECTED_F1,
    TEST_F1,
    TEST_LOSS,
    TEST_MSE,
    TEST_SSE,
    TRAIN_LOSS,
)

if TYPE_CHECKING:
    from wandb_workspaces.workspaces import Section, Workspace


def main(config: DashboardConfig) -> None:
    """Make the workspace and print where it is, or print what would be made."""
    if find_spec("wandb_workspaces") is None:
        raise ValueError("dashboard: wandb-workspaces is not installed; pip install -e '.[dashboard]'")
    board = workspace(config.entity or "ENTITY", config.project, config.study)
    if config.dry_run:
        print(json.dumps(board._to_model().model_dump(mode="json", by_alias=True, exclude_none=True), indent=1))
        return
    try:
        board.save()
    except wandb.Error as error:
        raise ValueError(f"entity={config.entity} project={config.project}: W&B says: {error}; wandb login?") from error
    print(board.url)


def workspace(entity: str, project: str, study: str | None) -> Workspace:
    """Lay out the workspace: runs in groups by fraction and init, of one study or of all, and a section a question."""
    import wandb_workspaces.workspaces as ws

    config = [f"config:{_in_config(key)}" for key in (INIT, FRACTION, SEED)]
    return ws.Workspace(
        entity,
        project,
        name=f"ecg_tl: {study or 'all studies'}",
        sections=_sections(),
        settings=ws.WorkspaceSettings(x_axis=EPOCH, max_runs=100),
        runset_settings=ws.RunsetSettings(
            filters=ws.And(ws.Metric("Group") == study) if study else "",
            groupby=[ws.Config(FRACTION), ws.Config(INIT)],
            pinned_columns=[*config, *(f"summary:{key}" for key in CELL_SUMMARY)],
        ),
    )


def _sections() -> list[Section]:
    import wandb_workspaces.reports.v2 as wr
    import wandb_workspaces.workspaces as ws

    def bars(key: str, title: str) -> wr.BarPlot:
        title = f"{title}, mean of a group"
        return wr.BarPlot(title=title, metrics=[wr.SummaryMetric(key)], orientation="v", max_bars_to_show=100)

    def dots(key: str, title: str) -> wr.ScatterPlot:
        return wr.ScatterPlot(title=f"{title}, every run", x=wr.Config(FRACTION), y=wr.SummaryMetric(key))

    def curves(key: str, title: str) -> wr.LinePlot:
        return wr.LinePlot(title=title, x=EPOCH, y=[key], groupby_aggfunc="mean", groupby_rangefunc="minmax")

    best, selected = "Best test F1 (epoch chosen on the test set)", "Test F1, epoch chosen out of bag"
    return [
        ws.Section(
            "F1 by fraction and init",
            [bars(SELECTED_F1, selected), bars(BEST_F1, best), dots(SELECTED_F1, selected), dots(BEST_F1, best)],
            is_open=True,
        ),
        ws.Section("Learning curve index", [bars(LCI, "LCI"), dots(LCI, "LCI")], is_open=True),
        ws.Section(
            "Learning curves",
            [
                curves(TEST_F1, "Test F1"),
                curves(OOB_F1, "Out-of-bag F1"),
                curves(TEST_LOSS, "Test loss"),
                curves(TRAIN_LOSS, "Training loss"),
            ],
            is_open=True,
        ),
        ws.Section(
            "Cells",
            [
                wr.RunComparer(diff_only="split"),
                wr.CustomChart(
                    query={"summaryTable": {"tableKey": f"{CONFUSION}_table"}},
                    chart_name=CONFUSION_CHART,
                    chart_fields=CONFUSION_FIELDS,
                    chart_strings={"title": "Best epoch"},
                ),
            ],
        ),
        ws.Section(
            "Pretraining",
            [
                curves(TEST_SSE, "Squared error of a held-out window"),
                curves(TEST_MSE, "Squared error of a held-out sample"),
                bars(BEST_TEST_SSE, "Squared error of the bundle"),
                wr.MediaBrowser(title="Held-out windows, given back", media_keys=[RECONSTRUCTION]),
            ],
        ),
    ]


def _in_config(key: str) -> str:
    """Spell a config key as W&B keeps it: `value` stands between a group and the name in it."""
    group, dot, name = key.partition(".")
    return f"{group}.value{dot}{name}"


if __name__ == "__main__":
    command_line.run("dashboard", main)
