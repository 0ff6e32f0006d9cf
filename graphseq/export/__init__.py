"""Export trained models: an ONNX encoder, item vectors, an index and a card.

:mod:`graphseq.exported` reads the folder, without torch.
"""

from graphseq.export.encoder import HistoryEncoder, to_onnx
from graphseq.export.folder import export_model

__all__ = ["HistoryEncoder", "export_model", "to_onnx"]
