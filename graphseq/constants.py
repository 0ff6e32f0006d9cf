"""Names that several layers share: a graph's relations, a split's parts."""

from typing import Literal

EdgeType = tuple[str, str, str]

USER = "user"
ITEM = "item"
ATTRIBUTE = "attribute"

INTERACTS: EdgeType = ("user", "interacts", "item")
USER_CO_OCCURS: EdgeType = ("user", "co_occurs", "user")
ITEM_CO_OCCURS: EdgeType = ("item", "co_occurs", "item")
PRECEDES: EdgeType = ("item", "precedes", "item")
HAS_ATTRIBUTE: EdgeType = ("item", "has", "attribute")

Part = Literal["validation", "test"]
Protocol = Literal["kept", "excluded"]
NodeKind = Literal["user", "item"]
EdgeWeight = Literal["count", "binary", "cosine", "jaccard", "adamic_adar", "iuf"]
Symmetrize = Literal["max", "min", "none"]
NOT_A_VARIANT = ("seed", "threads", "progress", "loggers")
"""Options of a training that may differ between the seeds of one variant."""
EventWeight = Literal["binary", "count", "weight"]
"""The weight of a user-item edge: 1, the number of its events, or their weights."""
