"""Adapters of programs that authors published: what one training epoch of each is.

An adapter imports the program from the folder that you fetched, with the options of its
script for Amazon Beauty, and returns a function that trains an epoch. The programs are
used as they are: what a new version of a library or a CPU lacks is supplied here.

* ICLRec asks faiss for an index on a GPU, and gets the same index on the CPU.
* CoSeRec writes its item similarities into a file, here of a temporary folder.
* DuoRec and MCLRec are modified copies of RecBole 0.2. Their data are written in its
  format. DuoRec reads the sequences with the same target from a file, which is written
  here, as its own code for it does not run with numpy 2.
* BSARec starts four processes that make batches; here the process makes them itself.
* RecBole uses names that numpy 2 has removed. Only its SASRec is trained, with the
  defaults of version 1.2 and at most 50 items of history, which is its default, too.
"""

import importlib
import logging
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

MODEL: dict[str, Any] = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "hidden_act": "gelu",
    "attention_probs_dropout_prob": 0.5,
    "hidden_dropout_prob": 0.5,
    "initializer_range": 0.02,
    "max_seq_length": 50,
    "lr": 0.001,
    "batch_size": 256,
    "weight_decay": 0.0,
    "adam_beta1": 0.9,
    "adam_beta2": 0.999,
    "seed": 1,
    "no_cuda": True,
    "cuda_condition": False,
    "log_freq": 1,
    "log_file": os.devnull,
}
CONTRAST: dict[str, Any] = {
    "cf_weight": 0.1,
    "rec_weight": 1.0,
    "temperature": 1.0,
    "n_views": 2,
    "tao": 0.2,
    "gamma": 0.7,
    "beta": 0.2,
}
ICLREC: dict[str, Any] = {
    "num_hidden_layers": 1,
    "augment_type": "random",
    "contrast_type": "Hybrid",
    "num_intent_clusters": "256",
    "seq_representation_type": "mean",
    "seq_representation_instancecl_type": "concatenate",
    "warm_up_epoches": 0,
    "intent_cf_weight": 0.1,
    "de_noise": False,
    "gpu_id": "0",
}
COSEREC: dict[str, Any] = {
    "base_augment_type": "random",
    "augment_threshold": 12,
    "augment_type_for_short": "SIMRC",
    "augmentation_warm_up_epoches": 220,
    "insert_rate": 0.5,
    "substitute_rate": 0.05,
    "max_insert_num_per_pos": 1,
}
COLUMNS = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
REMOVED = {"float_": np.float64, "complex_": np.complex128, "unicode_": np.str_}
"""Names that numpy 2 has removed."""
RECBOLE: dict[str, Any] = {
    "train_neg_sample_args": None,  # the loss is a softmax over all items
    "eval_args": {
        "split": {"LS": "valid_and_test"},
        "order": "TO",
        "mode": "full",
        "group_by": "user",
    },
    "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
}
BSAREC: dict[str, Any] = {"num_attention_heads": 1, "c": 5, "alpha": 0.7}
WEAREC: dict[str, Any] = {"model_type": "WEARec", "num_heads": 8, "alpha": 0.2}


@dataclass(frozen=True)
class Epoch:
    """An epoch of a program.

    Attributes:
        train: Trains it.
        rows: Rows of the training data.
        batches: Batches of the epoch.
    """

    train: Callable[[], object]
    rows: int
    batches: int


def iclrec(folder: Path, beauty: Path, _: Path) -> Epoch:
    """salesforce/ICLRec with the options of ``scripts/run_beauty.sh``."""
    faiss: Any = importlib.import_module("faiss")
    for name in ("StandardGpuResources", "GpuIndexFlatConfig"):
        setattr(faiss, name, lambda: Namespace(noTempMemory=lambda: None))
    faiss.GpuIndexFlatL2 = lambda resources, size, config: faiss.IndexFlatL2(size)
    sys.path.insert(0, str(folder / "src"))
    args, users = _arguments(beauty, MODEL | CONTRAST | ICLREC)
    data = importlib.import_module("datasets")
    of_users = data.RecWithContrastiveLearningDataset(args, users, data_type="train")
    in_order, shuffled = (_loader(of_users, args, shuffle=s) for s in (False, True))
    model = importlib.import_module("models").SASRecModel(args=args)
    trainers = importlib.import_module("trainers")
    trainer = trainers.ICLRecTrainer(model, shuffled, in_order, None, None, args)
    return Epoch(lambda: trainer.train(0), len(of_users), len(shuffled))


def coserec(folder: Path, beauty: Path, scratch: Path) -> Epoch:
    """YChen1993/CoSeRec with the options of ``beauty.sh``."""
    sys.path.insert(0, str(folder / "src"))
    args, users = _arguments(beauty, MODEL | CONTRAST | COSEREC)
    models = importlib.import_module("models")
    args.offline_similarity_model = models.OfflineItemSimilarity(
        data_file=str(beauty),
        similarity_path=str(scratch / "similarity.pkl"),
        model_name="ItemCF_IUF",
        dataset_name="Beauty",
    )
    args.online_similarity_model = models.OnlineItemSimilarity(args.item_size)
    data = importlib.import_module("datasets")
    of_users = data.RecWithContrastiveLearningDataset(args, users, data_type="train")
    loader = _loader(of_users, args, shuffle=True)
    trainers = importlib.import_module("trainers")
    model = models.SASRecModel(args=args)
    trainer = trainers.CoSeRecTrainer(model, loader, None, None, args)
    return Epoch(lambda: trainer.train(0), len(of_users), len(loader))


def duorec(folder: Path, beauty: Path, scratch: Path) -> Epoch:
    """RuihongQiu/DuoRec with ``seq.yaml``: one row per prefix."""
    data = scratch / "Beauty"
    sequences = _write_events(data, beauty, COLUMNS)
    np.save(data / "semantic_augmentation.npy", _with_same_target(sequences))
    return _recbole("DuoRec", scratch, folder, [folder / "seq.yaml"])


def mclrec(folder: Path, beauty: Path, scratch: Path) -> Epoch:
    """QinHsiu/MCLRec with ``seq.yaml``: one row per prefix."""
    _write_events(scratch / "Beauty", beauty, "user_id:token\titem_id:token")
    return _recbole("MCLRec", scratch, folder, [folder / "seq.yaml"])


def recbole(folder: Path, beauty: Path, scratch: Path) -> Epoch:
    """SASRec of RecBole with its defaults: one row per prefix, 2,048 in a batch."""
    for name, kind in REMOVED.items():
        setattr(np, name, kind)
    _write_events(scratch / "Beauty", beauty, COLUMNS)
    return _recbole("SASRec", scratch, folder, [], RECBOLE)


def bsarec(folder: Path, beauty: Path, _: Path) -> Epoch:
    """yehjin-shin/BSARec: one row per prefix, the empty one included."""
    return _filter_program("BSARec", BSAREC, folder, beauty)


def wearec(folder: Path, beauty: Path, _: Path) -> Epoch:
    """xhy963319431/WEARec: one row per prefix, the empty one included."""
    return _filter_program("WEARec", WEAREC, folder, beauty)


def _arguments(beauty: Path, options: dict[str, Any]) -> tuple[Namespace, Any]:
    """The options, and the sequences of all users as the program reads them."""
    utils = importlib.import_module("utils")
    users, last_item, *_ = utils.get_user_seqs(str(beauty))
    found = {"data_file": str(beauty), "item_size": last_item + 2}
    return Namespace(**options, **found, mask_id=last_item + 1), users


def _loader(data: Any, args: Namespace, *, shuffle: bool) -> Any:
    loading = importlib.import_module("torch.utils.data")
    return loading.DataLoader(data, batch_size=args.batch_size, shuffle=shuffle)


def _filter_program(
    name: str, options: dict[str, Any], folder: Path, beauty: Path
) -> Epoch:
    sys.path.insert(0, str(folder / "src"))
    place = {"data_dir": f"{beauty.parent}/", "data_name": beauty.stem}
    args = Namespace(**(MODEL | options | place), num_workers=0)
    data = importlib.import_module("dataset")
    sequences, last_item, _ = data.get_seq_dic(args)
    args.item_size = last_item + 1
    loader, *_ = data.get_dataloder(args, sequences)
    module = importlib.import_module(f"model.{name.lower()}")
    model = getattr(module, f"{name}Model")(args=args)
    trainers = importlib.import_module("trainers")
    logger = logging.getLogger(name)
    trainer = trainers.Trainer(model, loader, None, None, args, logger)
    return Epoch(lambda: trainer.train(0), len(loader.dataset), len(loader))


def _write_events(folder: Path, beauty: Path, columns: str) -> list[list[str]]:
    """The log in RecBole's format, with positions as times; returns the sequences."""
    folder.mkdir(parents=True)
    sequences = []
    with (folder / "Beauty.inter").open("w", encoding="utf-8") as file:
        print(columns, file=file)
        for line in beauty.read_text(encoding="utf-8").splitlines():
            user, *items = line.split()
            sequences.append(items)
            for position, item in enumerate(items):
                cells = [user, item, "1", str(position)]
                print(*cells[: columns.count(":")], sep="\t", file=file)
    return sequences


def _with_same_target(sequences: list[list[str]]) -> np.ndarray:
    """For each training prefix, the other prefixes with its target."""
    targets = np.array([int(item) for s in sequences for item in s[1:-2]])
    order = np.argsort(targets, kind="stable")
    _, starts = np.unique(targets[order], return_index=True)
    found = np.empty(len(targets), dtype=object)
    for group in np.split(order, starts[1:]):
        for row in group:
            found[row] = group[group != row]
    return found


def _recbole(
    name: str,
    scratch: Path,
    folder: Path,
    files: list[Path],
    options: Mapping[str, Any] = MappingProxyType({}),
) -> Epoch:
    """The training of a model of RecBole, or of a program that is a copy of it."""
    sys.path.insert(0, str(folder.resolve()))
    found = [str(file.resolve()) for file in files]
    os.chdir(scratch)  # RecBole writes a log of TensorBoard where it runs
    del sys.argv[1:]  # RecBole reads options from it
    recbole = importlib.import_module("recbole.config")
    data = importlib.import_module("recbole.data")
    utils = importlib.import_module("recbole.utils")
    here = {
        "data_path": str(scratch),
        "checkpoint_dir": str(scratch),
        "log_dir": str(scratch),
        "use_gpu": False,
        "show_progress": False,
    }
    config = recbole.Config(
        model=name,
        dataset="Beauty",
        config_file_list=found,
        config_dict={**here, **options},
    )
    loader, *_ = data.data_preparation(config, data.create_dataset(config))
    is_copy = hasattr(loader, "pr_end")  # of 0.2, where models read the loader
    model = utils.get_model(name)(config, loader if is_copy else loader.dataset)
    trainer = utils.get_trainer(config["MODEL_TYPE"], name)(config, model)
    rows = loader.pr_end if is_copy else len(loader.dataset)
    return Epoch(lambda: trainer._train_epoch(loader, 0), rows, len(loader))
