"""Building blocks of models; independent of models, data and sequences."""

from graphseq.nn.adjacency import operator, two_hops
from graphseq.nn.convolution import Convolution
from graphseq.nn.dropout import LearnableDropout, dropout
from graphseq.nn.encoder import Encoder
from graphseq.nn.features import Embedding, Features, embed_items
from graphseq.nn.fourier_filter import FourierFilter
from graphseq.nn.frequency_attention import FrequencyAttention
from graphseq.nn.fused import Fused
from graphseq.nn.heads import Augmenter, ProjectionHead, ResidualLayers
from graphseq.nn.importance import (
    integrated_gradients,
    occlusion,
    saliency,
    top_score,
)
from graphseq.nn.kmeans import kmeans, nearest
from graphseq.nn.normalized import Normalized
from graphseq.nn.pooling import (
    AdditivePooling,
    QueryPooling,
    masked_softmax,
    pool,
    pool_prefixes,
)
from graphseq.nn.pretrained import Pretrained
from graphseq.nn.propagated import Propagated
from graphseq.nn.propagation import GraphEncoder, propagate
from graphseq.nn.prototypes import Prototypes
from graphseq.nn.recurrent import GRU
from graphseq.nn.session_graph import (
    GatedGraph,
    SessionGraphs,
    SessionStates,
    session_graphs,
)
from graphseq.nn.sparse import SymmetricOperator
from graphseq.nn.time_variant_filter import TimeVariantFilter
from graphseq.nn.transformer import Transformer
from graphseq.nn.two_hops import TwoHops
from graphseq.nn.wavelet_filter import WaveletFilter
from graphseq.nn.window import WindowEncoder

__all__ = [
    "GRU",
    "AdditivePooling",
    "Augmenter",
    "Convolution",
    "Embedding",
    "Encoder",
    "Features",
    "FourierFilter",
    "FrequencyAttention",
    "Fused",
    "GatedGraph",
    "GraphEncoder",
    "LearnableDropout",
    "Normalized",
    "Pretrained",
    "ProjectionHead",
    "Propagated",
    "Prototypes",
    "QueryPooling",
    "ResidualLayers",
    "SessionGraphs",
    "SessionStates",
    "SymmetricOperator",
    "TimeVariantFilter",
    "Transformer",
    "TwoHops",
    "WaveletFilter",
    "WindowEncoder",
    "dropout",
    "embed_items",
    "integrated_gradients",
    "kmeans",
    "masked_softmax",
    "nearest",
    "occlusion",
    "operator",
    "pool",
    "pool_prefixes",
    "propagate",
    "saliency",
    "session_graphs",
    "top_score",
    "two_hops",
]
