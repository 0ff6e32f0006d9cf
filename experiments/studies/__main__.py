"""Repeat studies of the papers: train what is missing, measure, and draw.

    python -m experiments.studies intents --data ../data
    python -m experiments.studies intents --draw

The first trains the experiments of the study that have no finished run in --runs,
replaces its rows in measurements.csv, and draws intents.svg; the second only draws
what measurements.csv holds. Without names, all studies.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from experiments.studies.catalogue import STUDIES
from experiments.studies.measurements import read, write
from experiments.studies.study import Runs
from graphseq.config import load
from graphseq.config.fingerprint import fingerprint
from graphseq.drawing import write_figure
from graphseq.errors import RunError
from graphseq.training import Run, load_run

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results.csv"


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="STUDY", help=", ".join(STUDIES))
    parser.add_argument("--data", type=Path, help="folder of the data sets")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="run folders")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--folder", type=Path, default=Path(), help="of the pictures")
    parser.add_argument("--draw", action="store_true", help="only draw")
    given = parser.parse_args(words)
    if unknown := [name for name in given.names if name not in STUDIES]:
        parser.error(f"no study {', '.join(unknown)}; there are {', '.join(STUDIES)}")
    chosen = given.names or [*STUDIES]
    if not given.draw:
        if given.data is None:
            parser.error("--data names the folder of the data sets; or --draw only")
        runs = Runs(train(chosen, given.data, given.runs, given.seeds))
        measured = read()
        for name in chosen:
            measured[name] = [*STUDIES[name].measure(runs)]
            print(f"{name}: {len(measured[name])} measurements")
        write(measured, STUDIES)
    for name, points in read().items():
        if name in chosen:
            figure = STUDIES[name].draw(points)
            print(write_figure(given.folder / f"{name}.svg", figure))


def path(variant: str) -> str:
    """The experiment ``FILE.yaml:VARIANT`` of a variant."""
    file, name = variant.split(":")
    return f"{os.path.relpath(FOLDER / file)}.yaml:{name}"


def train(
    names: Iterable[str], data: Path, runs: Path, seeds: Sequence[int]
) -> dict[str, list[Run]]:
    """Train every variant that has no finished run; the runs of each."""
    variants = dict.fromkeys(v for name in names for v in STUDIES[name].variants)
    fingerprints = {each: fingerprint(load(path(each)).options) for each in variants}
    for variant, word in fingerprints.items():
        present = finished(runs, word)
        if missing := [seed for seed in seeds if seed not in present]:
            command = [sys.executable, "-m", "graphseq", "train", path(variant)]
            command += ["--data", str(data), "--runs", str(runs), "--resume"]
            command += ["--record", str(RESULTS), "--seeds", *map(str, missing)]
            if code := subprocess.run(command, check=False).returncode:
                sys.exit(code)  # its message is printed
    return {
        variant: [*finished(runs, word).values()]
        for variant, word in fingerprints.items()
    }


def finished(runs: Path, word: str) -> dict[int, Run]:
    """Seed -> finished run of the experiment with a fingerprint, under any name."""
    found = {}
    for folder in sorted(runs.glob(f"*-{word[:8]}-*/")):
        with suppress(RunError):
            run = load_run(folder)
            if run.finished and (folder / "report-test.json").is_file():
                found[int(run.record["seed"])] = run
    return found


if __name__ == "__main__":
    main()
