"""How large a saved model may say that it is: no larger than the weights in its file make it.

A config of a few bytes can ask for layers of gigabytes, for thousands of members or for millions of
layers. What a model holds is known before it is built, because every weight is in the file; so a
config is held against them, and while the model is built every variable is.
"""

import math
import re
from collections.abc import Iterator

from tfp_vae.export.saved.archive import Held, Refused

# Below these nothing takes long, whatever the weights are.
_ALWAYS_SIZE, _ALWAYS_SHAPE = 2**20, 2**24
_ALWAYS_VARIABLE, _ALWAYS_VALUES = 2**16, 2**20
_ALWAYS_OBJECTS, _OBJECTS_PER_ARRAY = 2_000, 50
_ALWAYS_VARIABLES = 200
# A model in the making holds its weights several times: the pattern of an ensemble, its members
# and their stack, the moments of an optimizer.
_COPIES = 4
# Numbers that count nothing that is made.
_NO_SIZES = re.compile(r"seed|steps|num_data|frequency|value|mean|variance|scale|rate|object_id")
_SIZES = re.compile(r"shape|dim|size|units|filters|num_|groups|height|width|length|bins")


def check_sizes(config: object, held: Held) -> None:
    """Holds every number in a config that may be a size against what the weights hold.

    Args:
        config: of a saved model, as JSON gives it, and not nested beyond measure.
        held: what is in its weights.

    Raises:
        Refused: for a size or a shape beyond what the weights can fill, for more objects than they
            can belong to, and for operations on no input, which would run at once.
    """
    most = max(_ALWAYS_SIZE, held.values)
    most_objects = _ALWAYS_OBJECTS + _OBJECTS_PER_ARRAY * held.arrays
    objects = 0
    for key, value in _walk(config):
        if isinstance(value, dict):
            objects += "class_name" in value
            if objects > most_objects:
                raise Refused("has more parts than weights", f"more than {most_objects} parts")
        elif key == "inbound_nodes" and isinstance(value, list):
            if not all(_is_symbolic(node) for node in value):
                raise Refused("has an operation without an input", "constants alone")
        elif key.endswith("shape") and isinstance(value, list):
            sizes = [size for size in value if _is_positive(size)]
            if math.prod(sizes) > max(_ALWAYS_SHAPE, held.values):
                raise Refused(_TOO_LARGE, f"{key} {value}"[:200])
        elif _is_size(key, value) and value > most:
            raise Refused(_TOO_LARGE, f"{key or 'a number'} {value}"[:200])


_TOO_LARGE = "says that it is larger than its weights"


def _walk(config: object) -> "Iterator[tuple[str, object]]":
    """Yields (key, value) of everything in a config; what is in a list has the key of the list."""
    pending = [("", config)]
    while pending:
        key, value = pending.pop()
        yield key, value
        if isinstance(value, dict):
            pending += value.items()
        elif isinstance(value, list):
            pending += [(key, inner) for inner in value]


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _is_size(key: str, value: object) -> bool:
    if not _is_positive(value) or _NO_SIZES.search(key):
        return False
    return isinstance(value, int) or bool(_SIZES.search(key))


def _is_symbolic(node: object) -> bool:
    return any(inner == "__keras_tensor__" for _, inner in _walk(node))


class Budget:
    """What variables a model may make while it is built.

    Args:
        held: what is in the weights of its file.
    """

    def __init__(self, held: Held):
        self._largest = max(_ALWAYS_VARIABLE, held.largest)
        self._values = _ALWAYS_VALUES + _COPIES * held.values
        # An ensemble makes the variables of each member, and keeps them as rows of one.
        self._count = _ALWAYS_VARIABLES + _COPIES * (held.arrays + held.rows)

    def take(self, shape: "tuple[int, ...]") -> None:
        """Counts a variable before it is made.

        Raises:
            Refused: if there is no such one in the file, or so many.
        """
        values = math.prod(shape)
        self._values -= values
        self._count -= 1
        if values > self._largest or self._values < 0 or self._count < 0:
            raise Refused(_TOO_LARGE, f"a variable of shape {tuple(shape)} or too many of them")
