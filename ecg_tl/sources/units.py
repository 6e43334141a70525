"""What a unit of voltage is in millivolts, and when the amplitudes that come out are hardly those of an ECG."""

from __future__ import annotations

import numpy as np

MV_OF_UNIT = {"v": 1e3, "mv": 1.0, "uv": 1e-3, "nv": 1e-6}
"""By the unit's name, casefolded."""

PLAUSIBLE_MV = (0.05, 20.0)
"""Between these a median peak-to-peak is taken at its word: an ECG has 0.2 to 5 mV, and units are off by 1,000."""


def doubt_of_unit(swings_mv: np.ndarray | list[float]) -> str | None:
    """Say why peak-to-peak amplitudes in millivolts, any shape, are hardly those of ECGs, or None if they may be."""
    median_mv = float(np.median(swings_mv))
    if PLAUSIBLE_MV[0] <= median_mv <= PLAUSIBLE_MV[1]:
        return None
    return f"unit? median peak-to-peak is {median_mv:.3g} mV, and an ECG has 0.2 to 5"
