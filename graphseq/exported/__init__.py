"""Recommend from a folder that ``graphseq export-model`` wrote, without torch.

The package needs numpy, polars and safetensors, and onnxruntime for models that read
histories. It can be installed without the dependencies of training:
``pip install --no-deps graphseq``.
"""

from graphseq.exported.folder import checksum
from graphseq.exported.model import ExportedModel
from graphseq.exported.topk import Lists, best_items

__all__ = ["ExportedModel", "Lists", "best_items", "checksum"]
