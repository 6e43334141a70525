"""Pretrain on unlabelled ECGs, transfer to few labelled ones, and test honestly whether that helped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ecg_tl.inference import PretrainedClassifier, PretrainedEncoder, load_classifier, load_encoder

__all__ = ["PretrainedClassifier", "PretrainedEncoder", "load_classifier", "load_encoder"]


def __getattr__(name: str) -> Any:
    """Import what the package offers when it is asked for: torch takes seconds."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ecg_tl import inference

    return getattr(inference, name)
