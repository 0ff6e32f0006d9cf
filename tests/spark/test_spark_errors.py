from pathlib import Path
from typing import Any

import pytest

from graphseq.errors import DataError
from graphseq.spark.numbering import read_events


def test_a_malformed_line_of_several_files_is_reported_with_its_file(
    spark: Any, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("user,item\n1,2\n")
    (tmp_path / "b.csv").write_text("user,item\n1,2\n3\n")
    with pytest.raises(DataError, match=r"line 3 of b\.csv: wrong number of columns"):
        read_events(spark, str(tmp_path), columns={"user": "user", "item": "item"})
