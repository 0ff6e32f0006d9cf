"""What makes two runs the same experiment, as a short word."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

WITHOUT_EFFECT = frozenset(
    {"seed", "threads", "progress", "workers", "loggers", "accelerator"}
)
"""Options of training that change no figure, or that are noted beside the figures."""


def fingerprint(options: Mapping[str, Any]) -> str:
    """Twelve letters that two experiments share if they say the same.

    Comments, the order of options and sections without content do not count, nor do
    the seed, the device and the threads. What is not written is not part of it: a
    default that changes later leaves the fingerprint as it is.

    Args:
        options: The sections of an experiment, as written (not resolved).
    """
    written = {name: section for name, section in options.items() if section}
    train = dict(written.pop("train", None) or {})
    kept = {name: train[name] for name in train if name not in WITHOUT_EFFECT}
    written |= {"train": kept} if kept else {}
    text = json.dumps(written, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
