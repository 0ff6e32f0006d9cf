"""What a researcher wishes to do, each in at most ten lines.

Runs in any folder, in a few seconds: ``python docs/tour.py``. It writes its runs and
pictures into the folder in which it is started.
"""

from pathlib import Path

import numpy as np
import polars as pl
import torch
from safetensors.torch import save_file

import graphseq as gs
from graphseq.config import load
from graphseq.config.tune import tune
from graphseq.data import from_hetero, hold_out_items, synthetic
from graphseq.errors import ConfigError
from graphseq.export import export_model
from graphseq.graphs.cost import estimate
from graphseq.plots import plot_items, plot_learning
from graphseq.report_page import write_page
from graphseq.training import CosineDecay, fit_items, load_run

log = synthetic.communities(80, 60, num_communities=4, seed=0)
split = gs.leave_one_out(log)
quick = {"max_epochs": 2, "lr": 0.01, "progress": False, "threads": 1}


def small(encoder=None, **options):
    return gs.Backbone(log.num_items, dim=16, encoder=encoder, max_length=8, **options)


# 1. Read my events from polars (eager or lazy), pandas, or a dict of arrays.
frame = log.frame()
for events in (frame, frame.lazy(), frame.to_pandas(), frame.to_dict(as_series=False)):
    assert gs.Interactions.from_frame(events) == gs.Interactions.from_frame(frame)

# 2. Read the events of a graph or data set of PyG.
data = gs.build_graph(split)
assert len(from_hetero(data)) == len(split.train)

# 3. Keep users and items with three events or more.
assert gs.k_core(log, 3).num_items <= log.num_items

# 4. Build item and user graphs, and see what they hold.
kinds = {item: [f"kind-{row % 6}"] for row, item in enumerate(log.items.ids)}
relations = [gs.CoOccurrence("item", top_k=5), gs.graphs.Attributes(kinds)]
graph = gs.build_graph(split, [*relations, gs.Transitions()])
print(gs.summary(graph))

# 5. Know the size of a graph before it is built.
print(estimate(split.train, [gs.CoOccurrence("item", top_k=5)]))

# 6. Plot the degrees of every relation.
gs.summary(graph).plot("degrees.svg")

# 7. Plot the neighbourhood of one item.
ego = gs.graphs.to_networkx(graph, log.items.ids[0], kind="item", max_nodes=12)
gs.graphs.draw(ego, "neighbourhood.svg")

# 8. Train a model, and keep the run.
torch.manual_seed(0)
model = gs.models.SASRec(log.num_users, small(gs.nn.GRU(16)))
run = gs.fit(model, graph, folder="runs/gru-0", **quick)
report = gs.evaluate(model, graph, folder="runs/gru-0")

# 9. Repeat with another seed, and report mean and standard deviation.
values = [report["kept"]["NDCG@10"]]
for seed in (1, 2):
    torch.manual_seed(seed)
    other = gs.models.SASRec(log.num_users, small(gs.nn.GRU(16)))
    gs.fit(other, graph, seed=seed, folder=f"runs/gru-{seed}", **quick)
    found = gs.evaluate(other, graph, folder=f"runs/gru-{seed}")
    values.append(found["kept"]["NDCG@10"])
print(f"NDCG@10 {np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}")

# 10. Read item vectors that are propagated over the item graph.
torch.manual_seed(0)
features = gs.nn.Propagated(log.num_items, dim=16, relation="item")
propagated = gs.models.SASRec(log.num_users, small(gs.nn.GRU(16), features=features))
gs.fit(propagated, graph, folder="runs/graph", **quick)
gs.evaluate(propagated, graph, folder="runs/graph")

# 11. Is it better, or is the difference due to chance?
print(gs.compare("runs/graph", "runs/gru-0", history="kept"))

# 12. Combine the graph with contrast.
views = gs.models.ViewContrast(gs.augment.CropMaskReorder(crop_keep=0.6), weight=0.05)
features = gs.nn.Propagated(log.num_items, dim=16, relation="item")
both = gs.models.SequenceModel(log.num_users, small(features=features), [views])
gs.fit(both, graph, **quick)

# 13. Search for good options, without a look at the test.
Path("search.yaml").write_text(
    "data: {cycle: {num_users: 24}}\nsplit: {leave_one_out: {}}\n"
    "model: {BPRMF: {dim: 4}}\ntrain: {max_epochs: 1, progress: false, threads: 1}\n"
    "tune: {train.lr: {log: [0.001, 0.1]}}\n"
)
trials = tune(load("search.yaml"), trials=2, folder="study")

# 14. For whom is it good? Users by the length of their history.
print(report.by("history_length", bins=[4, 8]))

# 15. And users by the popularity of what they chose last.
counts = np.bincount(split.train.item, minlength=log.num_items)
last = counts[graph.test.target.numpy()]
users = pl.DataFrame({"user": log.users.decode(graph.test.user), "popularity": last})
print(report.by("popularity", bins=[10, 20], frame=users))

# 16. How much do random clicks in the history harm?
print(gs.evaluate(model, graph, noise=0.2)["kept"]["NDCG@10"])

# 17. Precision, MAP, novelty, Gini, personalization and diversity of the lists.
names = ["Precision", "MAP", "novelty", "Gini", "personalization", "diversity"]
print(gs.evaluate(model, graph, metrics=names, ks=[5])["kept"])


# 18. A metric of my own: the rarest item of a list.
def rarest(lists):
    return lists.counts[lists.items].amin(dim=1).double()


print(gs.evaluate(model, graph, metrics=[rarest], ks=[5])["kept"]["rarest@5"])

# 19. The curves of several runs in one picture.
runs = {name: load_run(f"runs/{name}") for name in ("gru-0", "graph")}
plot_learning(runs, "curves.svg")

# 20. A map of the items.
plot_items(model, "items.svg", graph=graph)

# 21. One page with tables, curves, segments and tests.
write_page(runs, Path("report.html"))


# 22. An encoder of my own.
class Mean(gs.nn.Encoder):
    def __init__(self, dim=16):
        super().__init__()
        self.dim, self.map = dim, torch.nn.Linear(dim, dim)

    def forward(self, x, mask):
        counts = mask.cumsum(dim=1).clamp(min=1)[..., None]
        return (x + self.map(x.cumsum(dim=1) / counts)) * mask[..., None]


# 23. An objective of my own, besides the next item.
class SmallStates(gs.models.Auxiliary):
    def __init__(self, *, weight=0.01):
        super().__init__()
        self.weight = weight

    def terms(self, encoding, graph):
        return {"size": self.weight * encoding.at_targets.square().mean()}


# 24. An augmentation of my own.
def mask_twice(batch):
    return gs.augment.join(gs.augment.mask(batch, 0.3), gs.augment.mask(batch, 0.3))


objectives = [gs.models.ViewContrast(mask_twice), SmallStates()]
own = gs.models.SequenceModel(log.num_users, small(Mean()), objectives)
gs.fit(own, graph, **quick)

# 25. Are my parts correct?
gs.testing.check_encoder(Mean)
gs.testing.check_auxiliary(SmallStates)
gs.testing.check_augmentation(lambda: mask_twice)

# 26. Combine two models, with weights from the validation part.
ensemble = gs.Ensemble([model, propagated])
print(gs.choose_weights(ensemble, graph))

# 27. Continue on newer events with the weights of an earlier run.
torch.manual_seed(0)
newer = gs.models.SASRec(log.num_users, small(gs.nn.GRU(16)))
gs.fit(newer, graph, start="runs/gru-0", **quick)

# 28. Recommend for users of the log, and for a history that I type.
recommender = gs.Recommender(model, graph)
print(recommender.recommend(log.users.ids[:2], k=3))
print(recommender.recommend(histories=[log.items.ids[:3].to_list()], k=3))

# 29. Rank items that were in no event, by their vectors.
cold = hold_out_items(log, fraction=0.1)
table = pl.DataFrame({"item": log.items.ids, "vector": np.eye(log.num_items).tolist()})
known = gs.build_graph(cold.split, [gs.graphs.ItemVectors(table)])
vectors = gs.nn.Pretrained(known["item"].num_nodes, size=log.num_items, dim=16)
backbone = gs.Backbone(known["item"].num_nodes, features=vectors, encoder=gs.nn.GRU(16))
reader = gs.models.SASRec(log.num_users, backbone)
gs.fit(reader, known, **quick)
larger = gs.add_items(reader, known, [gs.graphs.ItemVectors(table)], items=cold.items)

# 30. Load weights that another program trained, by a table of names.
theirs = {f"net.{name}": tensor for name, tensor in model.state_dict().items()}
save_file(theirs, "theirs.safetensors")
mine = gs.models.SASRec(log.num_users, small(gs.nn.GRU(16)))
names = {"net.{a}.{b}.{c}": "{a}.{b}.{c}", "net.{a}.{b}.{c}.{d}": "{a}.{b}.{c}.{d}"}
gs.load_weights(mine, "theirs.safetensors", names)

# 31. Give the model to a server that has no torch.
try:
    export_model(model, graph, "exported")
except ConfigError as error:  # the extra onnx is not installed
    print(error)


# 32. Choose the epoch by a number of my own: accuracy and variety together.
def balanced(report):
    return report["kept"]["NDCG@10"] + 0.1 * report["kept"]["coverage@10"]


gs.fit(mine, graph, monitor=balanced, lr_schedule=CosineDecay(), **quick)

# 33. Give new items good vectors from their few events, and leave all others.
fit_items(mine, graph, items=torch.arange(50, 60))
