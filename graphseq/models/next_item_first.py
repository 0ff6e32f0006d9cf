"""The next item alone, before other objectives join: a cheaper start of contrast."""

from typing import final

from torch_geometric.data import HeteroData

from graphseq.models.backbone import Backbone
from graphseq.models.base import Stage, Step
from graphseq.models.encoding import Encoding
from graphseq.models.sequence_model import Auxiliary, Terms
from graphseq.schema import Size
from graphseq.sequences.batch import Batch


@final
class NextItemFirst(Auxiliary):
    """Trains the backbone by the next item alone for some epochs.

    With a contrast, every row is encoded three times or more. The first epochs bring
    the item vectors into place, which the next item does alone, for the cost of one
    pass. All objectives of the model are trained together in the remaining epochs;
    Adam restarts with them, and the schedule of the learning rate covers all epochs.

    It adds no term and no weights. The other objectives are not refreshed before they
    join: ``IntentContrast`` clusters no users, and ``ExplainedViews``, whose updates
    are counted from the first epoch of the run, makes up for those that it missed by
    one when it joins. In a list of auxiliaries its place is that of its epochs among
    those of other objectives that train in stages.

    Args:
        epochs: Their number, below ``max_epochs`` of the run.
    """

    def __init__(self, *, epochs: Size = 10) -> None:
        super().__init__()
        self.epochs = epochs

    def stages(self, backbone: Backbone) -> tuple[Stage, ...]:
        """The next item alone."""

        def losses(batch: Batch, graph: HeteroData) -> Terms:
            items = backbone.items(graph, batch)
            encoding = backbone.encode(items, batch, graph, every_position=False)
            return {"next_item": backbone.next_item(encoding.with_users, items, batch)}

        steps = (Step(losses, (backbone,)),)
        return (Stage(steps, epochs=self.epochs, refreshed=False),)

    def terms(self, encoding: Encoding, graph: HeteroData) -> Terms:
        """None: the model has the next item's."""
        return {}
