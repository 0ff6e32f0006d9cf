"""Print the table of results from ``results.csv``: python experiments/tables.py."""

from pathlib import Path

import polars as pl

HERE = Path(__file__).parent
ROWS = {  # experiment -> data set and model
    "pop.yaml:beauty": ("Amazon Beauty", "POP"),
    "beauty/baselines.yaml:bprmf": ("Amazon Beauty", "BPR-MF"),
    "beauty/baselines.yaml:lightgcn": ("Amazon Beauty", "LightGCN"),
    "beauty/gru4rec.yaml:targets": ("Amazon Beauty", "GRU4Rec, softmax, targets"),
    "beauty/caser.yaml:targets": ("Amazon Beauty", "Caser"),
    "beauty/caser.yaml:no-user": ("Amazon Beauty", "Caser without user vectors"),
    "beauty/baselines.yaml:comirec": ("Amazon Beauty", "ComiRec-SA"),
    "beauty/baselines.yaml:gcsan": ("Amazon Beauty", "GC-SAN"),
    "beauty/baselines.yaml:srgnn": ("Amazon Beauty", "SR-GNN"),
    "beauty/bert4rec.yaml:bf16": ("Amazon Beauty", "BERT4Rec, bf16"),
    "beauty/bert4rec.yaml:light-dropout": (
        "Amazon Beauty",
        "BERT4Rec, less dropout, bf16",
    ),
    "beauty/sasrec.yaml:original": (
        "Amazon Beauty",
        "SASRec, its authors' encoder, BCE",
    ),
    "beauty/sasrec.yaml:s3": ("Amazon Beauty", "SASRec, BCE, users"),
    "beauty/sasrec.yaml:ce-prefix": ("Amazon Beauty", "SASRec, softmax, prefixes"),
    "beauty/sasrec.yaml:ce-targets": ("Amazon Beauty", "SASRec, softmax, targets"),
    "beauty/sasrec.yaml:bf16": ("Amazon Beauty", "SASRec, softmax, targets, bf16"),
    "beauty/sasrec.yaml:bf16-patient": (
        "Amazon Beauty",
        "as above, ten epochs of patience",
    ),
    "beauty/sasrec.yaml:propagated": ("Amazon Beauty", "SASRec on graph features"),
    "beauty/s3rec.yaml:mip-targets": ("Amazon Beauty", "S3-Rec (MIP), targets, bf16"),
    "beauty/s3rec.yaml:isp-targets": ("Amazon Beauty", "S3-Rec (ISP), targets, bf16"),
    "beauty/s3rec.yaml:full-targets": ("Amazon Beauty", "S3-Rec, targets, bf16"),
    "beauty/dssrec.yaml:targets": ("Amazon Beauty", "DSSRec, targets, bf16"),
    "beauty/cl4srec.yaml:targets": ("Amazon Beauty", "CL4SRec, targets, bf16"),
    "beauty/coserec.yaml:targets": ("Amazon Beauty", "CoSeRec, targets, bf16"),
    "beauty/lma4rec.yaml:targets": ("Amazon Beauty", "LMA4Rec, targets, bf16"),
    "beauty/srma.yaml:targets": ("Amazon Beauty", "SRMA, targets, bf16"),
    "beauty/duorec.yaml:targets": ("Amazon Beauty", "DuoRec, targets, bf16"),
    "beauty/iclrec.yaml:targets": ("Amazon Beauty", "ICLRec, targets, bf16"),
    "beauty/ec4srec.yaml:targets": ("Amazon Beauty", "EC4SRec, targets, bf16"),
    "beauty/ec4srec.yaml:ssl-targets": (
        "Amazon Beauty",
        "EC4SRec (SSL), targets, bf16",
    ),
    "beauty/ec4srec.yaml:sl-targets": ("Amazon Beauty", "EC4SRec (SL), targets, bf16"),
    "beauty/ec4srec.yaml:gru-targets": (
        "Amazon Beauty",
        "EC4SRec on a GRU, targets, bf16",
    ),
    "beauty/ec4srec.yaml:caser-targets": (
        "Amazon Beauty",
        "EC4SRec on convolutions, targets, bf16",
    ),
    "beauty/mclrec.yaml:targets": ("Amazon Beauty", "MCLRec, targets, bf16"),
    "sasrec-others.yaml:toys": ("Amazon Toys", "SASRec, softmax, targets, bf16"),
    "ml-100k.yaml:sasrec-targets": ("MovieLens 100K", "SASRec, softmax, targets"),
    "ml-100k.yaml:sasrec-large": ("MovieLens 100K", "SASRec, batches of 2,048"),
    "ml-100k.yaml:cl4srec-targets": ("MovieLens 100K", "CL4SRec, targets"),
    "ml-100k.yaml:cl4srec-large": ("MovieLens 100K", "CL4SRec, batches of 2,048"),
    "ml-100k.yaml:duorec-targets": ("MovieLens 100K", "DuoRec, targets"),
    "ml-100k.yaml:duorec-large": ("MovieLens 100K", "DuoRec, batches of 2,048"),
    "ml-100k.yaml:ec4srec-ssl-targets": ("MovieLens 100K", "EC4SRec (SSL), targets"),
    "ml-100k.yaml:ec4srec-sl-targets": ("MovieLens 100K", "EC4SRec (SL), targets"),
    "beauty/mclsr.yaml": ("Amazon Beauty", "MCLSR"),
    "clothing.yaml:mclsr": ("Amazon Clothing, user split", "MCLSR"),
}


def table(results: pl.DataFrame) -> str:
    """Markdown; the newest row of each experiment."""
    lines = [
        "| data | model | HR kept | NDCG kept | HR excluded | NDCG excluded | CPU s |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, (data, model) in ROWS.items():
        found = results.filter(experiment=f"experiments/{name}").tail(1)
        for row in found.iter_rows(named=True):
            k = 20 if row["HR@10 kept"] is None else 10
            cells = [
                f"{row[f'{metric}@{k} {protocol}']:.4f}"
                for protocol in ("kept", "excluded")
                for metric in ("HR", "NDCG")
            ]
            shown = f"{data} (@{k})"
            cells = [shown, model, *cells, f"{row['cpu_seconds']:.0f}"]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(pl.read_csv(HERE / "results.csv", infer_schema_length=None)))
