"""TV-Rec: convolutions whose taps vary with the position."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, final

from torch_geometric.data import HeteroData

from graphseq.models.backbone import Backbone
from graphseq.models.sequence_model import SequenceModel, Terms
from graphseq.nn.time_variant_filter import TimeVariantFilter
from graphseq.schema import InvalidOption, Size, Weight
from graphseq.sequences.batch import Batch
from graphseq.specs import class_of


@final
class TVRec(SequenceModel):
    r"""TV-Rec: time-variant convolutional filters, NeurIPS 2025.

    A causal convolution with other taps in each column of the window replaces
    self-attention and positions. The state at the last item should have the largest
    inner product with the next item: a softmax over all items, plus

    .. math:: \lambda \sum_{\text{blocks}} \sum_R ‖\hat R \hat R^⊤ - 1‖_F^2

    over the real and imaginary parts R of each basis, with normalised rows.

    Departs from the paper:
        In the form of the authors' code. Its softmax has the padding as one more class.
        With ``TimeVariantFilter(taps="position")``, which is not in the paper, any
        sampler can be used.

    Args:
        num_users: U.
        backbone: With a ``TimeVariantFilter`` and ``sampler="prefix"``; or V, the
            number of items.
        reg: λ, the weight of the orthogonality of the bases.
    """

    part_defaults: ClassVar = {
        "backbone": {
            "encoder": {"TimeVariantFilter": {}},
            "sampler": "prefix",
        }
    }

    def __init__(
        self, num_users: Size, backbone: Backbone | Size, *, reg: Weight = 0.0
    ) -> None:
        super().__init__(num_users, backbone)
        self.reg = reg

    @classmethod
    def conflicts(cls, options: Mapping[str, Any]) -> Iterator[InvalidOption]:
        """Orthogonal bases need an encoder that has bases."""
        yield from super().conflicts(options)
        encoder = getattr(options["backbone"], "encoder", None)
        fits = encoder is not None and class_of(encoder) is TimeVariantFilter
        if options["reg"] and hasattr(options["backbone"], "encoder") and not fits:
            message = (
                "the orthogonality of bases needs a TimeVariantFilter as the encoder"
            )
            yield InvalidOption("reg", f"{message}; use one, or reg=0")

    def losses(self, batch: Batch, graph: HeteroData) -> Terms:
        """The next item, and the orthogonality of the bases."""
        terms = super().losses(batch, graph)
        if self.reg:
            encoder = self.backbone.encoder
            assert isinstance(encoder, TimeVariantFilter)
            terms["orthogonality"] = self.reg * encoder.correlation()
        return terms
