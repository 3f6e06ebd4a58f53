"""Lists library objects that are more than their items, and what to send instead of each.

`likenesses` asks for the remedy of a class without a row before it takes an object for a list or a dict. To
add a class: one line below, under the module that defines the class or a package above it. Subclasses count
as well. No library is imported here: a class is known by the names of its module and its own.
"""

from __future__ import annotations

from typing import Any

_IN_UTC = "the datetime's astimezone(datetime.UTC)"

_REMEDIES: dict[str, dict[str, str]] = {
    # The standard library.
    "argparse": {"Namespace": "vars(…)"},
    "configparser": {"RawConfigParser": "{name: dict(section) for name, section in ….items()}"},
    "csv": {"DictWriter": "the text that was written"},
    "dateutil.relativedelta": {"relativedelta": "its years, months, days and so on, as a dict"},
    "dateutil.tz": {"tzrangebase": _IN_UTC, "tzlocal": _IN_UTC},
    "email.message": {"Message": "its as_bytes(), and email.message_from_bytes() of that on the other side"},
    "http.client": {"HTTPMessage": "its items(), a list of pairs", "HTTPResponse": "its read()"},
    "http.cookiejar": {"CookieJar": "{cookie.name: cookie.value for cookie in …}"},
    "http.cookies": {"BaseCookie": "its output()", "Morsel": "its OutputString()"},
    "logging": {"LogRecord": "its getMessage()"},
    "mailbox": {"Mailbox": "the bytes of its messages"},
    "mmap": {"mmap": "its bytes: …[:]"},
    "multiprocessing.pool": {"Pool": "what its functions return"},
    "shelve": {"Shelf": "dict(…)"},
    "sqlite3": {
        "Connection": "its serialize(), or the rows of a query by fetchall()",
        "Cursor": "the rows by fetchall()",
        "Row": "dict(…)",
    },
    "string.templatelib": {"Template": "its strings and values"},
    "tarfile": {"TarFile": "the bytes of the file"},
    "tempfile": {
        "_TemporaryFileWrapper": "its read()",
        "SpooledTemporaryFile": "its read()",
        "TemporaryDirectory": "its name, or the files in it",
    },
    "traceback": {"TracebackException": '"".join(….format())'},
    "urllib.response": {"addbase": "its read()"},
    "xml.dom.minidom": {"Node": "its toxml()"},
    "xml.etree.ElementTree": {
        "Element": "xml.etree.ElementTree.tostring(…), and fromstring() of that on the other side",
        "ElementTree": "xml.etree.ElementTree.tostring(….getroot())",
    },
    "zipfile": {"ZipFile": "the bytes of the file", "Path": "its read_bytes()"},
    # Arrays, tables and numbers.
    "astropy.coordinates": {"BaseCoordinateFrame": "its to_table()'s columns", "SkyCoord": "its to_string()"},
    "astropy.io.fits": {"HDUList": "the bytes of the file, or the data of each part"},
    "astropy.table": {"Table": "its to_pandas(), or its as_array()"},
    "astropy.time": {"TimeBase": "its isot, or its jd1, jd2 and scale"},
    "astropy.units": {"Quantity": "its value and str(….unit)", "UnitBase": "str(…)"},
    "cupy": {"ndarray": "its get()"},
    "dask": {"DataFrame": "its compute()", "Array": "its compute()", "Bag": "its compute()"},
    "duckdb": {
        "DuckDBPyRelation": "its arrow() or fetchall()",
        "DuckDBPyConnection": "the rows by fetchall()",
    },
    "geopandas": {
        "GeoDataFrame": "its to_json(), or its to_wkb() and its crs",
        "GeoSeries": "its to_json(), or its to_wkb() and its crs",
    },
    "h5py": {"Dataset": "…[()]", "HLObject": "its datasets by …[()]"},
    "jax": {"Array": "numpy.asarray(…)"},
    "jaxlib": {"ArrayImpl": "numpy.asarray(…)"},
    "mpmath": {"mpf": "str(…)", "mpc": "str(…)", "matrix": "its tolist() with each number as a str"},
    "netCDF4": {"Variable": "…[:]", "Dataset": "its variables by …[:]"},
    "numpy": {
        "poly1d": "its coeffs",
        "ufunc": "its name: a function of yours can call it",
        "vectorize": "the function itself, registered on both sides",
    },
    "numpy.lib": {"NpzFile": "dict(…)"},
    "numpy.polynomial": {"ABCPolyBase": "its coef, domain and window"},
    "numpy.random": {
        "Generator": "its bit_generator.state, or a seed",
        "RandomState": "its get_state(), or a seed",
        "BitGenerator": "its state, or a seed",
    },
    "pandas": {
        "BaseGroupBy": "what is computed of it, such as its sum(), or the table itself",
        "DataFrameGroupBy": "what is computed of it, such as its sum(), or the table itself",
        "SeriesGroupBy": "what is computed of it, such as its sum(), or the column itself",
        "BaseWindow": "what is computed of it, such as its mean(), or the table itself",
        "Resampler": "what is computed of it, such as its mean(), or the table itself",
        "Styler": "its to_html(), or its data",
        "CustomBusinessDay": "its n, weekmask and holidays",
        "BusinessHour": "its n, start and end",
        "DateOffset": "its kwds, and pandas.DateOffset(**kwds) on the other side",
        "BaseOffset": "its freqstr, and pandas.tseries.frequencies.to_offset() of that on the other side",
        "ExcelFile": "the tables by its parse()",
        "HDFStore": "the tables by …[key]",
    },
    "pint": {"PlainQuantity": "its magnitude and str(….units)", "Quantity": "its magnitude and str(….units)"},
    "polars": {
        "DataType": "an empty series of that type: polars.Series([], dtype=…)",
        "Schema": "an empty frame with that schema: polars.DataFrame(schema=…)",
        "LazyFrame": "its collect()",
        "Expr": "its meta.serialize()",
        "GroupBy": "what its agg() gives",
    },
    "pyarrow": {
        "Dataset": "its to_table()",
        "RecordBatchReader": "its read_all()",
        "DataType": "an empty array of that type",
        "Schema": "its empty_table()",
        "Field": "pyarrow.schema([…]).empty_table()",
        "Scalar": "its as_py()",
    },
    "scipy.interpolate": {"PPoly": "its c and x", "BSpline": "its t, c and k", "interp1d": "its x and y"},
    "scipy.sparse": {
        "_spbase": "its tocoo()'s data, coords and shape",
        "spmatrix": "its tocoo()'s data and coords",
    },
    "scipy.spatial": {"Rotation": "its as_quat()", "cKDTree": "its data"},
    "sparse": {"SparseArray": "its data, coords and shape"},
    "tensorflow": {"Tensor": "its numpy()", "Variable": "its numpy()"},
    "torch": {
        "Tensor": "its detach().cpu().numpy(), and torch.from_numpy() of that on the other side",
        "Module": "its state_dict() with each tensor as numpy's array",
        "DataLoader": "what it loads",
        "Generator": "its get_state().numpy()",
    },
    "xarray": {
        "Dataset": "its to_dict(), or its to_netcdf() as bytes",
        "DataArray": "its to_dict(), or its values",
        "Variable": "its values and dims",
    },
    "zarr": {"Array": "…[:]", "Group": "its arrays by …[:]"},
    # Graphs, geometry, chemistry, language.
    "Bio.Seq": {"Seq": "str(…)"},
    "Bio.SeqRecord": {"SeqRecord": 'its format("fasta")'},
    "igraph": {"Graph": "its to_dict_list()"},
    "networkx": {
        "Graph": "networkx.node_link_data(…), and networkx.node_link_graph() of that on the other side"
    },
    "nltk": {"Tree": "str(…), and nltk.Tree.fromstring() of that on the other side"},
    "rdkit": {
        "Mol": "rdkit.Chem.MolToMolBlock(…), or its ToBinary()",
        "ROMol": "rdkit.Chem.MolToMolBlock(…), or its ToBinary()",
    },
    "rustworkx": {"PyGraph": "rustworkx.node_link_json(…)", "PyDiGraph": "rustworkx.node_link_json(…)"},
    "shapely": {"BaseGeometry": "its wkb, and shapely.from_wkb() of that on the other side"},
    "sklearn": {"BaseEstimator": "its get_params(), or what it predicts"},
    "spacy": {"Doc": "its to_json()", "Token": "its text", "Span": "its text"},
    "sympy": {
        "Basic": "sympy.srepr(…), and sympy.sympify() of that on the other side",
        "MatrixBase": "sympy.srepr(…), and sympy.sympify() of that on the other side",
        "NDimArray": "its tolist() with each number by sympy.srepr()",
        "Poly": "sympy.srepr(…), and sympy.sympify() of that on the other side",
    },
    # Figures and documents.
    "altair": {"TopLevelMixin": "its to_dict()"},
    "bokeh": {"Model": "bokeh.embed.json_item(…)"},
    "bs4": {"Tag": "str(…)", "ResultSet": "[str(tag) for tag in …]"},
    "docx": {"Document": "the bytes of the file, saved into a BytesIO"},
    "folium": {"Map": "its get_root().render()"},
    "lxml": {
        "_Element": "lxml.etree.tostring(…), and lxml.etree.fromstring() of that on the other side",
        "_ElementTree": "lxml.etree.tostring(…)",
    },
    "matplotlib": {
        "Figure": 'the bytes of savefig(buffer, format="png"), where buffer is a BytesIO',
        "Artist": "the data that it shows, or the bytes of its figure's savefig()",
        "Colormap": "its name",
    },
    "openpyxl": {"Workbook": "the bytes of the file, saved into a BytesIO", "Worksheet": "list(….values)"},
    "plotly": {"BaseFigure": "its to_json(), or its to_dict()", "BasePlotlyType": "its to_plotly_json()"},
    # Networks and databases.
    "aiohttp": {"ClientResponse": "what its read() gives", "CIMultiDict": "list(….items())"},
    "httpx": {"Response": "its content, or its json()", "Cookies": "dict(…)", "Headers": "its multi_items()"},
    "requests": {
        "Response": "its content, or its json()",
        "RequestsCookieJar": "its get_dict()",
    },
    "sqlalchemy": {
        "Result": "its mappings().all() with each one as a dict",
        "Row": "dict(…._mapping)",
        "Query": "its all() with each one as a dict",
    },
    "urllib3": {"HTTPHeaderDict": "list(….items())", "BaseHTTPResponse": "its data"},
    "werkzeug": {"MultiDict": "its to_dict(flat=False)", "Headers": "list(…)"},
}
"""The value to send, by the module or package and the name of a class; `…` stands for the object."""

# Methods by which an object tells what it is in simpler values, the best ones first.
_METHODS = (
    "to_dict",
    "to_json",
    "tolist",
    "to_arrow",
    "to_pandas",
    "to_numpy",
    "model_dump",
    "as_dict",
    "tobytes",
)


def find_remedy(cls: type) -> str | None:
    """Says why objects of a library's class are refused, and what to send; None if the class is not listed.

    Args:
        cls: The class; one of its bases may be listed instead.
    """
    for base in cls.__mro__:
        module = str(base.__module__)
        while module:
            if remedy := _REMEDIES.get(module, {}).get(base.__qualname__):
                return f"it is more than its items: send {remedy}"
            module = module.rpartition(".")[0]
    return None


def general_remedy(cls: Any) -> str:
    """Says what to send of an object whose class is not listed."""
    for method in _METHODS:
        if callable(getattr(cls, method, None)):
            return f"its {method}(), or list(…) if its items are all that is needed"
    if hasattr(cls, "__array__"):
        return "numpy.asarray(…), or list(…) if its items are all that is needed"
    return "list(…) if its items are all that is needed"
