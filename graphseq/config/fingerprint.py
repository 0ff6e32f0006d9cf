"""Fingerprints: equal for experiments with the same options."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

WITHOUT_EFFECT = frozenset(
    {"seed", "threads", "progress", "workers", "loggers", "accelerator"}
)
"""Options of training that change no result, or that are recorded next to it."""


def fingerprint(options: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits of a hash of the options.

    Comments, the order of options, empty sections, the seed, the device and the number
    of threads have no effect. Options that are not written are not part of the hash, so
    it does not change with a default.

    Args:
        options: Sections of an experiment as written, not resolved.
    """
    written = {name: section for name, section in options.items() if section}
    train = dict(written.pop("train", None) or {})
    kept = {name: train[name] for name in train if name not in WITHOUT_EFFECT}
    written |= {"train": kept} if kept else {}
    text = json.dumps(written, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
