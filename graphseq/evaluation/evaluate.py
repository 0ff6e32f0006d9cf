"""Full ranking of the catalogue for held-out users."""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import polars as pl
from annotated_types import MinLen
from jaxtyping import Int
from torch import Tensor
from torch_geometric.data import HeteroData

from graphseq import runtime
from graphseq.constants import (
    HAS_ATTRIBUTE,
    INTERACTS,
    ITEM,
    USER,
    Part,
    Protocol,
)
from graphseq.data import HeldOut
from graphseq.errors import GraphSeqError
from graphseq.evaluation.extra_metrics import (
    ALWAYS,
    METRICS,
    Lists,
    Metric,
    compute,
    named_metrics,
)
from graphseq.evaluation.held_out import Rows, by_length, held_out_users, per_user
from graphseq.evaluation.metrics import accuracy, coverage, popularity
from graphseq.evaluation.noise import add_noise
from graphseq.evaluation.ranking import Ranked, eval_mode, join, rank_block
from graphseq.evaluation.report import Report
from graphseq.graphs import graph_hash, held_out_hash, whole_hash
from graphseq.graphs.repeats import repeated
from graphseq.models.base import Model
from graphseq.models.scoring import Blocks
from graphseq.schema import Count, Fraction, Size, checked, describe
from graphseq.sequences.batch import histories

History = Literal["both", "kept", "excluded"]


@checked
def evaluate(
    model: Model,
    graph: HeteroData,
    part: Part = "test",
    *,
    ks: Annotated[Sequence[Size], MinLen(1)] = (5, 10, 20),
    history: History = "both",
    comirec: bool = False,
    metrics: Sequence[Any] = (),
    noise: Fraction = 0.0,
    noise_seed: Count = 0,
    batch_size: Size = 512,
    progress: bool = False,
    folder: str | Path | None = None,
) -> Report:
    """Rank every item for every held-out user, and compute the metrics.

    Both history protocols come out of one pass over the scores. No candidates are
    sampled. The model is put in evaluation mode, and its former mode is restored.

    Args:
        model: The model.
        graph: The graph it was trained on, with the held-out users, on its device.
        part: Which held-out users.
        ks: Lengths of the recommended lists.
        history: Whether items of a user's history can be recommended to that user:
            ``kept`` (they can), ``excluded`` (they cannot; a target among them is a
            miss), ``both``.
        comirec: Add the metric NDCG-ComiRec.
        metrics: More metrics, at each of ``ks``: names (Precision, Recall-capped,
            NDCG-ComiRec, MAP, novelty, Gini, personalization, diversity), or functions
            from :class:`graphseq.evaluation.Lists` to a value for each user or for all.
        noise: Random items that are inserted into the histories which the model reads,
            for each event, see ``evaluation/noise.py``. The candidates stay the same:
            ``excluded`` excludes the items of the history without noise.
        noise_seed: Seed of the noise.
        batch_size: Users that the model represents at once; changes no result.
        progress: Show a progress bar.
        folder: Save the report there, with noise under a name of its own. Protocols and
            list lengths of an earlier report in the folder are computed again with
            those requested, so that it never becomes a smaller one; the report returned
            has those requested only.

    Raises:
        ConfigError: Options are invalid.
        GraphError: The graph does not fit the model or lacks that part, or items for
            the noise.
        GraphSeqError: A score is NaN.
    """
    model.check(graph, model.ranks_with)
    held_out = held_out_users(graph, part)
    requested = sorted(set(ks))
    protocols = get_args(Protocol) if history == "both" else (history,)
    lists, saved = requested, protocols
    extra = named_metrics([*metrics, "NDCG-ComiRec"] if comirec else metrics)
    if folder is not None:
        earlier = Report.find(folder, part, noise, noise_seed)
        lists, saved = _include_saved(earlier, lists, saved)
        extra = _saved_metrics(earlier, graph) | extra
        _report_lost(earlier, extra, folder)
    rows = by_length(held_out)
    read = held_out
    if noise:
        read = add_noise(held_out, noise, model.num_items, noise_seed)
    words = f"rank {part} users with {type(model).__name__}"
    with runtime.timed(__name__, words), runtime.limit_threads(), eval_mode(model):
        ranked = _rank(model, graph, read, rows, lists[-1], batch_size, progress)
    counts = graph[INTERACTS].edge_index[1].bincount(minlength=model.num_items).cpu()
    means: dict[str, dict[str, float]] = {}
    frames = []
    for protocol in saved:
        ranks = getattr(ranked, protocol)
        top = getattr(ranked, f"{protocol}_top")
        users = accuracy(ranks, rows.targets, lists)
        users |= popularity(top, counts, lists)
        found = Lists(top, ranks, rows.targets, counts, graph, lists[-1])
        more, overall = compute(extra, found, lists)
        users |= more
        means[protocol] = (
            {
                name: float(column.mean())
                for name, column in users.items()
                if name != "best_rank"
            }
            | coverage(top, model.num_items, lists)
            | overall
        )
        frames.append(per_user(graph, held_out, rows, protocol, users, counts))
    facts = _facts(model, graph, part, lists, rows, counts)
    if extra:
        facts["metrics"] = [*extra]
    if noise:
        facts |= {"noise": noise, "noise_seed": noise_seed}
    report = Report(means, pl.concat(frames), facts)
    if folder is not None:
        report.save(folder)
    if (lists, saved) == (requested, protocols):
        return report
    return report.select(protocols, requested)


def _include_saved(
    earlier: Report | None,
    ks: list[int],
    protocols: tuple[Protocol, ...],
) -> tuple[list[int], tuple[Protocol, ...]]:
    """List lengths and protocols, with those of an earlier report."""
    if earlier is None:
        return ks, protocols
    order = get_args(Protocol)
    return (
        sorted({*ks, *earlier.facts["ks"]}),
        tuple(name for name in order if name in protocols or name in earlier),
    )


def _report_lost(
    earlier: Report | None, metrics: Mapping[str, Metric], folder: str | Path
) -> None:
    """Warn of metrics of an earlier report that nothing computes now."""
    known = {*METRICS, *ALWAYS, *metrics}
    means = earlier.means.values() if earlier is not None else ()
    names = dict.fromkeys(name.partition("@")[0] for each in means for name in each)
    if lost := [name for name in names if name not in known]:
        warnings.warn(
            f"the report in {folder} had the metrics {', '.join(lost)}, which are not "
            "computed now. To keep them, pass their functions in metrics=",
            stacklevel=3,
        )


def _saved_metrics(earlier: Report | None, graph: HeteroData) -> dict[str, Metric]:
    """The metrics of an earlier report that have a name here.

    Without diversity, if this graph has no attributes, as that of a run folder.
    """
    means = earlier.means.values() if earlier is not None else ()
    names = {name.partition("@")[0] for each in means for name in each}
    if HAS_ATTRIBUTE not in graph.edge_types:
        names -= {"diversity"}
    return {name: metric for name, metric in METRICS.items() if name in names}


def _rank(
    model: Model,
    graph: HeteroData,
    held_out: HeldOut,
    rows: Rows,
    k: int,
    batch_size: int,
    progress: bool,
) -> Ranked:
    """Ranks and top lists of all users, in the order of ``rows``.

    Scores that depend on the candidates are computed for each protocol.
    """
    scorer = model.scorer(graph)
    kept: list[Ranked] = []
    excluded: list[Ranked] = []

    def rank(start: int, blocks: Blocks) -> Iterator[Ranked]:
        for first, scores in blocks:
            begin, end = start + first, start + first + len(scores)
            targets = rows.targets.between(begin, end)
            history = rows.history.between(begin, end)
            try:
                yield rank_block(scores, model.num_items, targets, history, k)
            except FloatingPointError as error:
                _, row, item = error.args
                user = int(held_out.user[rows.order[begin + row]])
                raise GraphSeqError(
                    f"{type(model).__name__} scores {_name(graph, ITEM, item)} NaN for "
                    f"{_name(graph, USER, user)}, so the items cannot be ranked. Its "
                    "training diverged: lower lr, or return to an earlier checkpoint"
                ) from error

    for start in _steps(len(rows.order), batch_size, progress):
        chosen = rows.order[start : start + batch_size]
        batch = histories(held_out, chosen, model.max_length, model.num_items)
        batch = batch.to(scorer.device)
        kept += rank(start, scorer.blocks(batch))
        if scorer.depends_on_candidates:
            history = rows.history.between(start, start + len(batch))
            excluded += rank(start, scorer.candidate_blocks(batch, history))
    both, without = join(kept), join(excluded or kept)
    return Ranked(both.kept, without.excluded, both.kept_top, without.excluded_top)


def _steps(total: int, size: int, progress: bool) -> Iterable[int]:
    steps = range(0, total, size)
    if not progress:
        return steps
    from rich.progress import track

    return track(steps, description="ranking", transient=True)


def _name(graph: HeteroData, kind: str, dense: int) -> str:
    """A node for a message: its raw id, if the graph has them."""
    if "vocabulary" not in graph[kind]:
        return f"{kind} {dense} (dense id)"
    return f"{kind} {graph[kind].vocabulary.decode([dense])[0]!r}"


def _facts(
    model: Model,
    graph: HeteroData,
    part: Part,
    ks: list[int],
    rows: Rows,
    counts: Int[Tensor, "V"],
) -> dict[str, Any]:
    """How the evaluation was done, as JSON data.

    ``training_hash`` covers the training events and the vocabularies, and is the same
    for every graph derived from them; ``graph_hash`` covers all relations.
    """
    return {
        "part": part,
        "ks": ks,
        "users": len(rows.order),
        "targets": len(rows.targets.items),
        "items": model.num_items,
        "cold_targets": float((counts[rows.targets.items] == 0).double().mean()),
        "known_targets": repeated(held_out_users(graph, part)),
        "graph_hash": whole_hash(graph),
        "training_hash": graph_hash(_training_events(graph)),
        "held_out_hash": held_out_hash(graph),
        "model": describe(model),
    }


def _training_events(graph: HeteroData) -> HeteroData:
    """The graph without the relations derived from its training events."""
    events = HeteroData()
    for kind in (USER, ITEM):
        events[kind].num_nodes = graph[kind].num_nodes
        if "vocabulary" in graph[kind]:
            events[kind].vocabulary = graph[kind].vocabulary
    events[INTERACTS].edge_index = graph[INTERACTS].edge_index
    return events
