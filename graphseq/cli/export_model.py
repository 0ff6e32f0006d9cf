"""``graphseq export-model``: a folder from which a trained model is served."""

from pathlib import Path
from typing import Literal

from graphseq.cli.app import check_folder, parse_pairs
from graphseq.cli.evaluate import graph_of
from graphseq.cli.id_files import TITLES, read_titles
from graphseq.cli.new_items import check_files, with_new_items
from graphseq.schema import Count


def export_model(
    run: Path,
    folder: Path,
    /,
    *,
    titles: Path | None = None,
    title_columns: list[str] | None = None,
    without_histories: bool = False,
    neighbours: Count = 20,
    index: Literal["flat", "hnsw"] = "flat",
    license: str | None = None,
    overwrite: bool = False,
    new_vectors: Path | None = None,
    new_attributes: Path | None = None,
    graph: Path | None = None,
    data: Path | None = None,
) -> None:
    """Export a trained model: an ONNX encoder, item vectors, an index and a card.

    The folder needs neither torch nor the graph: features are computed once and frozen.
    examples/serving answers requests from it, examples/batch writes lists for all
    users. The export needs the extra onnx: pip install '.[onnx]' in the source tree.

    Examples:
      graphseq export-model runs/sasrec-beauty-0 exported/sasrec
      graphseq export-model runs/mclsr exported/mclsr --titles titles.csv --overwrite
      graphseq export-model runs/sasrec-own exported/sasrec --license CC-BY-4.0

    Args:
        run: Run folder.
        folder: Folder to write.
        titles: Table with a title for each item: CSV, TSV, Parquet or JSON lines.
        title_columns: Its columns, such as item=asin title=name.
        without_histories: Leave out the users and their known items; only requests
            with histories are then answered. For models that read histories.
        neighbours: Neighbours in the item graph that are written for each item.
        index: Index of item vectors: exact (flat), or approximate, for millions of
            items (hnsw).
        license: Licence of the folder, for its card.
        overwrite: Replace an earlier export.
        new_vectors: File with vectors of items that the run does not know: they are
            exported too. Read as the vectors of the graph were.
        new_attributes: File with attributes of items that the run does not know.
        graph: Folder of the graph; default: the graph in the run folder. That one has
            the relations that the model reads; neighbours need a relation of items.
        data: Folder of the data sets: build the graph again from the experiment.
    """
    check_folder("FOLDER", folder)
    check_files(new_vectors, new_attributes)
    from graphseq.export import encoder, export_model
    from graphseq.training import load_run

    encoder.check_installed()
    loaded = load_run(run)
    named = parse_pairs(
        "--title-columns", title_columns, "item=asin title=name", TITLES.__contains__
    )
    words = None if titles is None else dict(read_titles(titles, **named).iter_rows())
    built, _ = graph_of(run, graph, data)
    model = loaded.model(built)
    export_model(
        *with_new_items(model, built, new_vectors, new_attributes),
        folder,
        run=loaded,
        titles=words,
        histories=not without_histories,
        neighbours=neighbours,
        index=index,
        license=license,
        overwrite=overwrite,
    )
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"exported to {folder}, {size / 1e6:.1f} MB")


export_model.__name__ = "export-model"
