"""Configuration of ``make docs``.

Autosummary writes the reference, the pages under ``tutorials`` and ``how-to`` are
executed, and any warning fails the build.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "_ext")]

# IPython runs this file when a page is executed.
IPYTHON = Path(tempfile.mkdtemp(prefix="ipython-"))
(IPYTHON / "profile_default" / "startup").mkdir(parents=True)
shutil.copy(ROOT / "docs/_ext/bash_cells.py", IPYTHON / "profile_default" / "startup")

# The executed pages import this tree, call its command, and use one thread.
os.environ["PYTHONPATH"] = str(ROOT)
os.environ["PATH"] = os.pathsep.join(
    [str(Path(sys.executable).parent), os.environ["PATH"]]
)
os.environ |= {
    "GRAPHSEQ_QUIET": "1",  # a slow machine prints progress, which fails the build
    "OMP_NUM_THREADS": "1",
    "COLUMNS": "96",
    "IPYTHONDIR": str(IPYTHON),
    "PYTHONWARNINGS": "ignore:IProgress not found",  # tqdm's, in any notebook
}

import graphseq  # noqa: E402

project = "graphseq"
author = "The graphseq developers"
version = release = graphseq.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "mathml",
    "reference",
]
templates_path = ["_templates"]
exclude_patterns = [
    "_build",
    "_ext",
    "_templates",
    "**/.ipynb_checkpoints",
    "jupyter_execute",
]

html_theme = "furo"
html_title = "graphseq"
html_static_path = ["_static"]
html_css_files = ["graphseq.css"]
html_js_files = ["sortable.js"]
html_math_renderer = "mathml"
html_show_copyright = False
pygments_style = "friendly"

nitpicky = True
nitpick_ignore_regex = [
    # types of other projects in signatures: no inventory to link them to
    (r"py:(class|obj|exc|data)", r"(?!graphseq).*"),
    # modules and classes that are not public have no entry; type variables
    (r"py:mod", r"graphseq\..*"),
    (r"py:class", r"graphseq\.\w+\.\w+\.\w+"),
    (r"py:class", r"graphseq\..*\.[A-Z]"),
]

autosummary_ignore_module_all = False  # document the names in __all__
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
    "Departs from the published results",
    "Adds",
]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 900  # seconds a cell; CI runs the tests at the same time
nb_execution_in_temp = True
nb_output_stderr = "warn"  # with -W: a page that prints a warning fails the build
nb_merge_streams = True
