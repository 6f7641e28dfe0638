"""What an installation may lack: the packages of its extras, loaded when they are used."""

import importlib.util

# The modules that the extras of setup.cfg bring, by extra.
MODULES: "dict[str, tuple[str, ...]]" = {
    "images": ("PIL", "scipy"),
    "report": ("matplotlib", "jinja2"),
    "tensorboard": ("tensorboard",),
    "onnx": ("tf2onnx", "onnx", "onnxruntime"),
    "litert": ("ai_edge_litert",),
    "docs": ("sphinx", "myst_parser", "furo", "latex2mathml"),
    "tables": ("pandas", "pyarrow", "openpyxl"),
    "codec": ("constriction",),
    "tune": ("keras_tuner",),
    "maps": ("umap",),
}


# Those of a table by the ending of its file; of one in the memory the first alone.
_OF_TABLES = {".parquet": "pyarrow", ".xlsx": "openpyxl"}


def need(extra: str, what: str, modules: "tuple[str, ...] | None" = None) -> None:
    """Raises `ImportError`, naming the command that helps, if a package of an extra is missing.

    It imports nothing, so that it can be asked before any work, and before TensorFlow is there.

    Args:
        extra: one of `MODULES`.
        what: what needs it, in the plural, such as "Pictures".
        modules: those of the extra that are needed; None for all.
    """
    missing = [name for name in modules or MODULES[extra] if not _is_there(name)]
    if missing:
        raise ImportError(
            f"{what} need packages that are not installed. Expected "
            f'pip install "tfp_vae[{extra}]". Received no {", ".join(missing)}.'
        )


def need_tables(what: str, *files: object) -> None:
    """Raises `ImportError` if what tables are read and written by is missing.

    Args:
        what: what needs it, in the plural.
        files: paths, by whose endings more than pandas is needed.
    """
    endings = [str(file)[str(file).rfind(".") :].lower() for file in files]
    more = dict.fromkeys(_OF_TABLES[each] for each in endings if each in _OF_TABLES)
    need("tables", what, ("pandas", *more))


def hint(extra: str, what: str) -> str:
    """Returns a sentence on the command that brings what is left out, "" where nothing is.

    Args:
        extra: one of `MODULES`.
        what: is left out, as the start of a sentence.
    """
    missing = [name for name in MODULES[extra] if not _is_there(name)]
    if not missing:
        return ""
    return f'{what} left out without {", ".join(missing)}: pip install "tfp_vae[{extra}]".'


def _is_there(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ValueError:  # a module that somebody made by hand, without a spec
        return True
    except ImportError:  # of a finder that hides it
        return False
