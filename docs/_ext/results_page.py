"""All results, from ``results.csv``: a table for each data set."""

import statistics
from collections.abc import Iterable

import evidence
from evidence import Experiment, Result
from reference import heading, table

from graphseq.models import MODELS

DATA = {
    ("amazon-beauty", "leave_one_out"): "Amazon Beauty",
    ("amazon-toys", "leave_one_out"): "Amazon Toys",
    ("amazon-sports", "leave_one_out"): "Amazon Sports",
    ("yelp-2019", "leave_one_out"): "Yelp 2019",
    ("ml-1m-5core", "leave_one_out"): "MovieLens 1M",
    ("ml-100k", "leave_one_out"): "MovieLens 100K",
    ("amazon-clothing", "leave_one_out"): "Amazon Clothing",
    ("amazon-clothing", "by_user"): "Amazon Clothing, users divided",
    ("lastfm", "leave_one_out"): "LastFM",
}
METRICS = ("HR", "NDCG")
WIDTH = 64
MISSING = "–"


def page() -> str:
    """A section for each data set that has results."""
    found = [each for run in evidence.experiments() if (each := evidence.result(run))]
    return "\n".join(line for key in DATA for line in section(key, found))


def section(key: tuple[str, str], results: Iterable[Result]) -> list[str]:
    """The results on one data set and split, the best first."""
    own = [r for r in results if (r.experiment.data, r.experiment.split) == key]
    if not own:
        return []
    k = 10 if "NDCG@10" in own[0].means("kept") else 20
    own.sort(key=lambda result: -result.means("excluded")[f"NDCG@{k}"])
    names = [f"{metric}, {each}" for each in evidence.PROTOCOLS for metric in METRICS]
    header = ("model and experiment", "features", "training", *names, "seeds", "CPU s")
    title = f"{DATA[key]}, {' and '.join(METRICS)} at {k}"
    rows = [row(result, k) for result in own]
    return [*heading(title, "-"), *table(rows, header, "results sortable")]


def row(result: Result, k: int) -> tuple[str, ...]:
    """The cells of one experiment: means over the seeds, newest row of each."""
    run = result.experiment
    seconds = statistics.mean(float(each["cpu_seconds"]) for each in result.rows)
    return (
        f"| {model(run)}\n       | ``{run.name}``",  # two lines
        features(run),
        training(result),
        *(
            spread(result, f"{metric}@{k} {protocol}")
            for protocol in evidence.PROTOCOLS
            for metric in METRICS
        ),
        str(len(result.seeds)),
        f"{seconds:.0f}",
    )


def spread(result: Result, column: str) -> str:
    """The mean, and of several seeds the standard deviation."""
    values = [float(each[column]) for each in result.rows]
    mean = f"{statistics.mean(values):.4f}"
    return f"{mean} ± {statistics.stdev(values):.4f}" if len(values) > 1 else mean


def model(run: Experiment) -> str:
    """The model, its variant, an encoder that is not its own, another width."""
    own = {"FMLP", "BSARec", "WEARec", "TVRec", "GRU4Rec", "Caser"}
    encoder = run.part("encoder")[0]
    words = [run.model + f" ({run.variant.upper()})" * (run.variant != "full")]
    if run.model not in own and encoder not in ("", "Transformer"):
        words.append(f"on {encoder}")
    dim = run.option("dim") or run.part("encoder")[1].get("dim") or WIDTH
    return " ".join(words) + f", D = {dim}" * (dim != WIDTH)


def features(run: Experiment) -> str:
    """The relations that the items are propagated over, and who joins the state."""
    words = [evidence.RELATIONS[relation] for relation in run.relations]
    words += ["L2-normalised"] * run.normalized
    words += [f"users ({run.users})"] * bool(run.users)
    return ", ".join(words) or MISSING


def training(result: Result) -> str:
    """Training rows, loss and schedule; for weights of others, their origin."""
    run = result.experiment
    if not run.trained:
        return "weights of others"
    if not int(result.rows[0]["epochs"]):
        return "closed form"
    sampler = run.option("sampler", MODELS[run.model].sampler)
    schedule = next(iter(run.train.get("lr_schedule") or {}), "")
    words = [sampler, run.option("loss", ""), schedule.removesuffix("Decay").lower()]
    return ", ".join(filter(None, words))
