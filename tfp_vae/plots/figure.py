"""A figure that notebooks show by themselves."""

import io

import matplotlib.figure


class Figure(matplotlib.figure.Figure):
    """A matplotlib figure, which needs no `pyplot`: a notebook shows what its last line returns."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()
