"""How the documentation is built: ``make docs``.

The reference is made from the package's own lists of names, the pages under
``tutorials`` and ``how-to`` are executed, and any warning fails the build.
"""

import os
import sys
from functools import partialmethod
from pathlib import Path

from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "_ext")]

# What the executed pages find: this very tree, its command, one thread, one width.
os.environ["PYTHONPATH"] = str(ROOT)
os.environ["PATH"] = os.pathsep.join(
    [str(Path(sys.executable).parent), os.environ["PATH"]]
)
os.environ |= {
    "OMP_NUM_THREADS": "1",
    "COLUMNS": "96",
    "BASH_ENV": str(ROOT / "docs" / "_ext" / "terminal.sh"),
    "PYTHONWARNINGS": "ignore:IProgress not found",  # tqdm's, in any notebook
}

# A command's output comes in pieces, and myst-nb would break the line after each.
NotebookClient.__init__ = partialmethod(NotebookClient.__init__, coalesce_streams=True)

import graphseq  # noqa: E402

project = "graphseq"
author = "The graphseq developers"
version = release = graphseq.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
    "public_names",
]
exclude_patterns = ["_build", "_ext", "**/.ipynb_checkpoints", "jupyter_execute"]

html_theme = "furo"
html_title = "graphseq"
html_static_path = ["_static"]
html_css_files = ["graphseq.css"]
html_show_copyright = False
pygments_style = "friendly"

nitpicky = True
nitpick_ignore_regex = [
    # types in signatures: there is no inventory of other projects to link them to
    (r"py:(class|obj|exc|data)", r"(?!graphseq).*"),
    (r"py:class", r"graphseq\.(data\.columns|nn\.\w+|evaluation\.ragged)\..*"),
    (r"py:class", r"graphseq\.models\.base\.M"),  # a type variable
]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 72
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries_show_parents = "hide"

napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_custom_sections = [
    "Source",
    "Departs from the source",
    "Departs from the paper",
    "Departs from the published figures",
    "Adds",
]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 180
nb_execution_in_temp = True
nb_output_stderr = "warn"  # with -W: a page that prints a warning fails the build
nb_merge_streams = True
