"""The README's table of results, made from ``results.csv``.

python experiments/tables.py            print it
python experiments/tables.py README.md  put it between the marks in the file
"""

import sys
from pathlib import Path

import polars as pl

HERE = Path(__file__).parent
BEGIN, END = "<!-- results: begin", "<!-- results: end -->"
ROWS = {  # experiment file -> what it is called
    "pop/beauty": ("Amazon Beauty", "POP"),
    "bprmf/beauty": ("Amazon Beauty", "BPR-MF"),
    "lightgcn/beauty": ("Amazon Beauty", "LightGCN"),
    "gru4rec/beauty": ("Amazon Beauty", "GRU4Rec, softmax, targets"),
    "caser/beauty": ("Amazon Beauty", "Caser"),
    "caser/beauty-no-user": ("Amazon Beauty", "Caser without user vectors"),
    "comirec/beauty": ("Amazon Beauty", "ComiRec-SA"),
    "gcsan/beauty": ("Amazon Beauty", "GC-SAN"),
    "srgnn/beauty": ("Amazon Beauty", "SR-GNN"),
    "bert4rec/beauty-bf16": ("Amazon Beauty", "BERT4Rec, bf16"),
    "bert4rec/beauty-light-dropout": ("Amazon Beauty", "BERT4Rec, less dropout, bf16"),
    "sasrec/beauty-original": ("Amazon Beauty", "SASRec, its authors' encoder, BCE"),
    "sasrec/beauty-s3": ("Amazon Beauty", "SASRec, BCE, users"),
    "sasrec/beauty-ce-prefix": ("Amazon Beauty", "SASRec, softmax, prefixes"),
    "sasrec/beauty-ce-targets": ("Amazon Beauty", "SASRec, softmax, targets"),
    "sasrec/beauty-bf16": ("Amazon Beauty", "SASRec, softmax, targets, bf16"),
    "sasrec/beauty-bf16-patient": ("Amazon Beauty", "the same, ten epochs of patience"),
    "sasrec/beauty-propagated": ("Amazon Beauty", "SASRec on graph features"),
    "s3rec/beauty-mip-targets": ("Amazon Beauty", "S3-Rec (MIP), targets, bf16"),
    "s3rec/beauty-isp-targets": ("Amazon Beauty", "S3-Rec (ISP), targets, bf16"),
    "s3rec/beauty-full-targets": ("Amazon Beauty", "S3-Rec, targets, bf16"),
    "dssrec/beauty-targets": ("Amazon Beauty", "DSSRec, targets, bf16"),
    "cl4srec/beauty-targets": ("Amazon Beauty", "CL4SRec, targets, bf16"),
    "coserec/beauty-targets": ("Amazon Beauty", "CoSeRec, targets, bf16"),
    "lma4rec/beauty-targets": ("Amazon Beauty", "LMA4Rec, targets, bf16"),
    "srma/beauty-targets": ("Amazon Beauty", "SRMA, targets, bf16"),
    "duorec/beauty-targets": ("Amazon Beauty", "DuoRec, targets, bf16"),
    "iclrec/beauty-targets": ("Amazon Beauty", "ICLRec, targets, bf16"),
    "ec4srec/beauty-targets": ("Amazon Beauty", "EC4SRec, targets, bf16"),
    "ec4srec/beauty-ssl-targets": ("Amazon Beauty", "EC4SRec (SSL), targets, bf16"),
    "ec4srec/beauty-sl-targets": ("Amazon Beauty", "EC4SRec (SL), targets, bf16"),
    "ec4srec/beauty-gru-targets": ("Amazon Beauty", "EC4SRec on a GRU, targets, bf16"),
    "ec4srec/beauty-caser-targets": (
        "Amazon Beauty",
        "EC4SRec on convolutions, targets, bf16",
    ),
    "mclrec/beauty-targets": ("Amazon Beauty", "MCLRec, targets, bf16"),
    "sasrec/toys": ("Amazon Toys", "SASRec, softmax, targets, bf16"),
    "sasrec/ml-100k-targets": ("MovieLens 100K", "SASRec, softmax, targets"),
    "sasrec/ml-100k-large": ("MovieLens 100K", "SASRec, batches of 2,048"),
    "cl4srec/ml-100k-targets": ("MovieLens 100K", "CL4SRec, targets"),
    "cl4srec/ml-100k-large": ("MovieLens 100K", "CL4SRec, batches of 2,048"),
    "duorec/ml-100k-targets": ("MovieLens 100K", "DuoRec, targets"),
    "duorec/ml-100k-large": ("MovieLens 100K", "DuoRec, batches of 2,048"),
    "ec4srec/ml-100k-ssl-targets": ("MovieLens 100K", "EC4SRec (SSL), targets"),
    "ec4srec/ml-100k-sl-targets": ("MovieLens 100K", "EC4SRec (SL), targets"),
    "mclsr/beauty": ("Amazon Beauty", "MCLSR"),
    "mclsr/clothing": ("Amazon Clothing, user split", "MCLSR"),
}


def table(results: pl.DataFrame) -> str:
    """Markdown; of several rows of an experiment, the newest."""
    lines = [
        "| data | model | HR kept | NDCG kept | HR excluded | NDCG excluded | CPU s |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, (data, model) in ROWS.items():
        found = results.filter(experiment=f"experiments/{name}.yaml").tail(1)
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


def main() -> None:
    made = table(pl.read_csv(HERE / "results.csv", infer_schema_length=None))
    if len(sys.argv) == 1:
        print(made)
        return
    path = Path(sys.argv[1])
    before, rest = path.read_text().split(BEGIN)
    note, rest = rest.split("-->\n", 1)
    _, after = rest.split(END)
    path.write_text(f"{before}{BEGIN}{note}-->\n{made}\n{END}{after}")


if __name__ == "__main__":
    main()
