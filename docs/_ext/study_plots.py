"""The pictures of the studies, from their recorded measurements."""

from experiments.studies.catalogue import STUDIES
from experiments.studies.measurements import read
from graphseq.drawing import svg


def plots() -> dict[str, str]:
    """File name -> SVG, for each study that was measured."""
    return {
        f"study-{name}.svg": svg(STUDIES[name].draw(points))
        for name, points in read().items()
    }
