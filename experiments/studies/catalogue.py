"""The studies: what is varied, and what its picture shows."""

from experiments.studies.kinds import Cost, Noise, Segments, Sweep, Variants
from experiments.studies.maps import ItemMap, ViewMap
from experiments.studies.study import Study

MODELS = {
    "SASRec": "baselines:sasrec",
    "CL4SRec": "baselines:cl4srec",
    "DuoRec": "baselines:duorec",
    "ICLRec": "baselines:iclrec",
    "MCLRec (no cl1)": "baselines:mclrec",
    "EC4SRec (SSL)": "operators-guided:all",
}
OF_ICLREC = {name: MODELS[name] for name in ("SASRec", "CL4SRec", "ICLRec")}
OF_MCLREC = {
    name: MODELS[name] for name in ("SASRec", "CL4SRec", "DuoRec", "MCLRec (no cl1)")
}
SIZES = (64, 256, 512, 1024)

STUDIES: dict[str, Study] = {
    "operators-random": Variants(
        "EC4SRec (CIKM 2022), Table 5",
        {
            "all (CL4SRec)": MODELS["CL4SRec"],
            "without reorder": "operators-random:without-reorder",
            "without mask": "operators-random:without-mask",
            "without crop": "operators-random:without-crop",
            "SASRec": MODELS["SASRec"],
        },
        metrics=("HR@5", "NDCG@5"),
    ),
    "operators-guided": Variants(
        "EC4SRec (CIKM 2022), Table 5",
        {
            "all (EC4SRec, SSL)": "operators-guided:all",
            "without reorder": "operators-guided:without-reorder",
            "without mask": "operators-guided:without-mask",
            "without crop": "operators-guided:without-crop",
            "random views (CL4SRec)": MODELS["CL4SRec"],
        },
        metrics=("HR@5", "NDCG@5"),
    ),
    "explanation-updates": Variants(
        "EC4SRec (CIKM 2022), Figs. 3 and 4",
        {
            "no explanation (DuoRec)": MODELS["DuoRec"],
            "1 update": "explanation-updates:one",
            "2 updates": "explanation-updates:two",
            "4 updates": "explanation-updates:four",
            "8 updates": "explanation-updates:eight",
            "4 in the first 5 epochs": "explanation-updates:early",
            "4 in the last 9 epochs": "explanation-updates:late",
        },
    ),
    "explained-losses": Variants(
        "EC4SRec (CIKM 2022), Fig. 5",
        {
            "next item alone (SASRec)": MODELS["SASRec"],
            "positive views": "explained-losses:positive",
            "negative views": "explained-losses:negative",
            "retrieved sequences": "explained-losses:retrieved",
            "positive, negative": "operators-guided:all",
            "positive, retrieved": "explained-losses:positive-retrieved",
            "negative, retrieved": "explained-losses:negative-retrieved",
            "all three": "explained-losses:all",
        },
    ),
    "explained-fraction": Sweep(
        "EC4SRec (CIKM 2022), Fig. 6",
        {
            "fraction μ": {
                "EC4SRec (SSL)": {
                    value / 10: f"explained-fraction:mu-0-{value}"
                    for value in (1, 3, 5, 7, 9)
                }
            }
        },
    ),
    "explanations": Variants(
        "EC4SRec (CIKM 2022), Fig. 7",
        {
            "occlusion": "operators-guided:all",
            "saliency": "explanations:saliency",
            "integrated gradients": "explanations:gradients",
            "attention": "explanations:attention",
            "popularity": "explanations:popularity",
            "random": "explanations:random",
            "occlusion, of the target": "explanations:target",
        },
    ),
    "intents-ablation": Variants(
        "ICLRec (WWW 2022), Table 2",
        {
            "all": "intents-ablation:all",
            "without masks of false negatives": "intents-ablation:without-fnm",
            "contrast with intents alone": "intents-ablation:intents-alone",
            "contrast of sequences alone": "intents-ablation:sequences-alone",
            "intents, without views": "intents-ablation:intents-without-views",
            "without masks, all states": "intents-ablation:flattened",
            "SASRec": MODELS["SASRec"],
        },
        history="excluded",
    ),
    "intents": Sweep(
        "ICLRec (WWW 2022), Fig. 5",
        {
            "number of intents K": {
                "ICLRec": {
                    4: "intents:clusters-4",
                    16: "intents:clusters-16",
                    64: MODELS["ICLRec"],
                    256: "intents:clusters-256",
                    1024: "intents:clusters-1024",
                }
            },
            "weight λ": {
                "ICLRec": {
                    0.004: "intents:weight-0-004",
                    0.02: MODELS["ICLRec"],
                    0.1: "intents:weight-0-1",
                    0.5: "intents:weight-0-5",
                }
            },
        },
        history="excluded",
        log=True,
    ),
    "user-groups": Segments(
        "ICLRec (WWW 2022), Fig. 3",
        OF_ICLREC,
        column="history_length",
        bins=(5, 9, 20),
        history="excluded",
    ),
    "noise": Noise(
        "ICLRec (WWW 2022), Fig. 4, and MCLRec (SIGIR 2023)",
        OF_ICLREC | OF_MCLREC,
        history="excluded",
    ),
    "batch-sizes": Sweep(
        "ICLRec (WWW 2022), Fig. 6, and MCLRec (SIGIR 2023)",
        {
            "targets of a batch": {
                name: {
                    size: MODELS[name]
                    if size == 128
                    else f"batch-sizes:{name.split()[0].lower()}-{size}"
                    for size in sorted((*SIZES, 128))
                }
                for name in ("SASRec", "ICLRec", "MCLRec (no cl1)")
            }
        },
        history="excluded",
        log=True,
    ),
    "learned-views": Variants(
        "MCLRec (SIGIR 2023), Table 4 and Fig. 3",
        {
            "(A) all": "learned-views:all",
            "(B) without cl1": MODELS["MCLRec (no cl1)"],
            "(C) without cl2": "learned-views:without-cl2",
            "(D) without R": "learned-views:without-r",
            "(E) one augmenter": "learned-views:shared",
            "jointly trained": "learned-views:joint",
            "half the steps of the encoder": "learned-views:one-step",
            "SASRec": MODELS["SASRec"],
            "SASRec, twice the steps": "baselines:sasrec-long",
        },
    ),
    "learned-views-weights": Sweep(
        "MCLRec (SIGIR 2023), Fig. 6",
        {
            "weight λ of cl1": {
                "MCLRec": {
                    0.002: "learned-views-weights:lambda-0-002",
                    0.006: "learned-views:all",
                    0.02: "learned-views-weights:lambda-0-02",
                    0.1: "learned-views-weights:lambda-0-1",
                }
            },
            "weight β of cl2": {
                "MCLRec": {
                    0.002: "learned-views-weights:beta-0-002",
                    0.01: "learned-views:all",
                    0.05: "learned-views-weights:beta-0-05",
                    0.2: "learned-views-weights:beta-0-2",
                }
            },
        },
        log=True,
    ),
    "target-groups": Segments(
        "MCLRec (SIGIR 2023), frequency groups",
        OF_MCLREC,
        column="target_events",
        bins=(15, 25, 50),
    ),
    "learned-views-map": ViewMap(
        "MCLRec (SIGIR 2023), t-SNE of views",
        {"with R": "learned-views:all", "without R": "learned-views:without-r"},
    ),
    "cost": Cost("MCLRec (SIGIR 2023), cost", MODELS),
    "graph-contrast": Variants(
        "MCLSR (CIKM 2022), Fig. 3",
        {
            "all": "graph-contrast:all",
            "without the contrast of interests": "graph-contrast:without-interest",
            "without the contrast of users": "graph-contrast:without-user",
            "without the contrast of items": "graph-contrast:without-item",
            "without both": "graph-contrast:without-user-and-item",
        },
    ),
    "graph-depth": Sweep(
        "MCLSR (CIKM 2022), Table 3",
        {
            "layers": {
                "MCLSR": {
                    0: "graph-contrast-weights:layers-0",
                    1: "graph-contrast-weights:layers-1",
                    2: "graph-contrast:all",
                    3: "graph-contrast-weights:layers-3",
                    4: "graph-contrast-weights:layers-4",
                }
            }
        },
    ),
    "graph-contrast-weights": Sweep(
        "MCLSR (CIKM 2022), Fig. 4",
        {
            "α": {
                "MCLSR": {
                    0.1: "graph-contrast-weights:alpha-0-1",
                    0.3: "graph-contrast-weights:alpha-0-3",
                    0.5: "graph-contrast:all",
                    0.7: "graph-contrast-weights:alpha-0-7",
                    0.9: "graph-contrast-weights:alpha-0-9",
                }
            },
            "β": {
                "MCLSR": {
                    0: "graph-contrast:without-interest",
                    0.1: "graph-contrast-weights:beta-0-1",
                    0.3: "graph-contrast-weights:beta-0-3",
                    1: "graph-contrast:all",
                    3: "graph-contrast-weights:beta-3",
                }
            },
            "γ": {
                "MCLSR": {
                    0: "graph-contrast:without-user-and-item",
                    0.01: "graph-contrast-weights:gamma-0-01",
                    0.05: "graph-contrast:all",
                    0.2: "graph-contrast-weights:gamma-0-2",
                    1: "graph-contrast-weights:gamma-1",
                }
            },
        },
    ),
    "item-map": ItemMap(
        "MCLSR (CIKM 2022), Fig. 5",
        {"SASRec": MODELS["SASRec"], "MCLSR": "graph-contrast:all"},
    ),
}
