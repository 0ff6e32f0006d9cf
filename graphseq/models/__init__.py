"""Models: one file per paper, and the parts that they are made of."""

from graphseq.models.backbone import Backbone
from graphseq.models.base import Model, Stage, Step
from graphseq.models.bert4rec import BERT4Rec
from graphseq.models.bprmf import BPRMF
from graphseq.models.bsarec import BSARec
from graphseq.models.caser import Caser
from graphseq.models.cl4srec import CL4SRec, ViewContrast
from graphseq.models.comirec import ComiRec
from graphseq.models.coserec import CoSeRec
from graphseq.models.direct import DirectModel
from graphseq.models.dssrec import DisentangledFuture, DSSRec
from graphseq.models.duorec import DuoRec, TargetContrast
from graphseq.models.ease import EASE
from graphseq.models.ec4srec import EC4SRec, ExplainedViews
from graphseq.models.encoding import Encoding
from graphseq.models.ensemble import Ensemble
from graphseq.models.feature_contrast import FeatureContrast
from graphseq.models.fmlp import FMLPRec
from graphseq.models.gcsan import GCSAN
from graphseq.models.gfcf import GFCF
from graphseq.models.gru4rec import GRU4Rec
from graphseq.models.iclrec import ICLRec, IntentContrast
from graphseq.models.interest_contrast import InterestContrast
from graphseq.models.itemknn import ItemKNN
from graphseq.models.lightgcn import LightGCN
from graphseq.models.lma4rec import LearnableDropoutContrast, LMA4Rec
from graphseq.models.load_weights import load_weights
from graphseq.models.mclrec import LearnedViews, MCLRec
from graphseq.models.mclsr import MCLSR
from graphseq.models.new_items import WithItems, add_items
from graphseq.models.next_item_first import NextItemFirst
from graphseq.models.pop import POP
from graphseq.models.registry import MODELS, PARTS, create
from graphseq.models.repeat import Repeat
from graphseq.models.repeat_bias import RepeatBias
from graphseq.models.s3rec import MutualInformation, S3Rec
from graphseq.models.sasrec import SASRec
from graphseq.models.sequence_model import Auxiliary, SequenceModel
from graphseq.models.simgcl import SimGCL
from graphseq.models.srgnn import SRGNN
from graphseq.models.srma import SRMA, ModelAugmentation
from graphseq.models.tvrec import TVRec
from graphseq.models.user_context import UserContext
from graphseq.models.wearec import WEARec
from graphseq.models.xsimgcl import XSimGCL

__all__ = [
    "BPRMF",
    "EASE",
    "GCSAN",
    "GFCF",
    "MCLSR",
    "MODELS",
    "PARTS",
    "POP",
    "SRGNN",
    "SRMA",
    "Auxiliary",
    "BERT4Rec",
    "BSARec",
    "Backbone",
    "CL4SRec",
    "Caser",
    "CoSeRec",
    "ComiRec",
    "DSSRec",
    "DirectModel",
    "DisentangledFuture",
    "DuoRec",
    "EC4SRec",
    "Encoding",
    "Ensemble",
    "ExplainedViews",
    "FMLPRec",
    "FeatureContrast",
    "GRU4Rec",
    "ICLRec",
    "IntentContrast",
    "InterestContrast",
    "ItemKNN",
    "LMA4Rec",
    "LearnableDropoutContrast",
    "LearnedViews",
    "LightGCN",
    "MCLRec",
    "Model",
    "ModelAugmentation",
    "MutualInformation",
    "NextItemFirst",
    "Repeat",
    "RepeatBias",
    "S3Rec",
    "SASRec",
    "SequenceModel",
    "SimGCL",
    "Stage",
    "Step",
    "TVRec",
    "TargetContrast",
    "UserContext",
    "ViewContrast",
    "WEARec",
    "WithItems",
    "XSimGCL",
    "add_items",
    "create",
    "load_weights",
]
