"""What Spark's processes do to the events of a partition, in numpy."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphseq.spark.batches import Columns

Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]


def rename(users: Int32s, items: Int32s, batch: Columns) -> dict[str, Any]:
    """Give events new dense ids, and drop those of users or items with -1."""
    user, item = users[batch["user"]], items[batch["item"]]
    kept = (user >= 0) & (item >= 0)
    made = {"user": user, "item": item, "time": batch["time"], "row": batch["row"]}
    return {name: column[kept] for name, column in made.items()}


def counts(
    users: NDArray[np.bool_], items: NDArray[np.bool_], batch: Columns
) -> dict[str, Any]:
    """How many events each user and each item has, of those that both have left."""
    kept = users[batch["user"]] & items[batch["item"]]
    ids, amounts = [], []
    for name in ("user", "item"):
        found, amount = np.unique(batch[name][kept], return_counts=True)
        ids.append(found)
        amounts.append(amount)
    kinds = np.repeat(np.arange(2), [len(found) for found in ids])
    return {"kind": kinds, "id": np.concatenate(ids), "n": np.concatenate(amounts)}


def before(time: Int64s, row: Int64s, batch: Columns) -> dict[str, Any]:
    """Keep the events that come before a moment of their user's.

    Args:
        time: Moment of every user, (U,).
        row: Of events at that moment, the first that is not kept, (U,).
        batch: Events.
    """
    user = batch["user"]
    same = (batch["time"] == time[user]) & (batch["row"] < row[user])
    kept = (batch["time"] < time[user]) | same
    return {name: column[kept] for name, column in batch.items()}


def successions(window: int, self_loops: bool, batch: Columns) -> dict[str, Any]:
    """How often an item follows another at each distance, of whole users' events."""
    order = np.lexsort((batch["row"], batch["time"], batch["user"]))
    user, item = batch["user"][order], batch["item"][order].astype(np.int64)
    parts = []
    for distance in range(1, window + 1):
        earlier, later = item[:-distance], item[distance:]
        kept = user[:-distance] == user[distance:]
        if not self_loops:
            kept &= earlier != later
        pairs, amount = np.unique(earlier[kept] << 32 | later[kept], return_counts=True)
        parts.append((pairs, np.full(len(pairs), distance), amount))
    pair, distance_of, amount = (
        np.concatenate(each) for each in zip(*parts, strict=True)
    )
    return {
        "source": pair >> 32,
        "target": pair & 0xFFFFFFFF,
        "distance": distance_of,
        "n": amount,
    }


def weighed(decay: float, table: Columns) -> dict[str, Any]:
    """The weights of all transitions out of some items, as the local engine sums.

    It adds up the weight of a distance once for each time, then the distances, the
    shortest first; the sums here are the same floats.
    """
    pair = table["source"].astype(np.int64) << 32 | table["target"]
    pairs, place = np.unique(pair, return_inverse=True)
    total = np.zeros(len(pairs))
    for distance in np.unique(table["distance"]).tolist():
        at = table["distance"] == distance
        amount = np.zeros(len(pairs), dtype=np.int64)
        np.add.at(amount, place[at], table["n"][at])
        one = np.full(int(amount.max(initial=0)) + 1, decay ** (distance - 1))
        one[0] = 0
        total = total + np.cumsum(one)[amount]
    kept = total != 0
    return {
        "source": pairs[kept] >> 32,
        "target": pairs[kept] & 0xFFFFFFFF,
        "weight": total[kept].astype(np.float32),
    }
