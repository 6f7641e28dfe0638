"""What a prior over codes is: log p(codes), which is all that a point mass needs for a bound."""

from collections.abc import Callable
from typing import Any

import keras

from tfp_vae.arguments import check_count
from tfp_vae.distributions.codes.base import support_of
from tfp_vae.distributions.codes.books import Codebook
from tfp_vae.distributions.priors.base import Prior
from tfp_vae.registry import Registry

registered = keras.saving.register_keras_serializable(package="tfp_vae.code_priors")
CODE_PRIORS = Registry("tfp_vae.distributions.code_priors", "prior over codes", first=("uniform",))


class CodePrior(Prior):
    """p(codes) of T places with K codes of E numbers.

    Args:
        places: T.
        count: K.
        width: E.
    """

    def __init__(self, places: int, count: int, width: int, **kwargs: Any):
        self.places, self.count = check_count("places", places), check_count("count", count, 2)
        self.width = check_count("width", width)
        kwargs.pop("latent_dim", None)
        super().__init__(places * width, **kwargs)
        self._book_of: Callable[[], Codebook] | None = None

    @classmethod
    def of(cls, encoder: Any, **options: Any) -> "CodePrior":
        """Returns a prior over the codes of an encoder; raises `ValueError` if it has none.

        Args:
            encoder: of `tfp_vae.codes`.
            **options: of the constructor, beside the sizes.
        """
        book = getattr(encoder, "book", None)
        if book is None or book.size != encoder.latent_dim:
            raise ValueError(
                "There are no codes to have a prior over. Expected an encoder whose latents are "
                f"codes alone, such as codes.FiniteScalar. Received a {type(encoder).__name__}."
            )
        return cls(book.places, book.count, book.width, **options)

    @property
    def support(self) -> str:
        """The codes, in words."""
        return support_of(self.places, self.count, self.width)

    def meet(self, encoder: keras.Layer) -> None:
        """Takes the way to the codebook of an encoder, as it is when it is asked for."""
        self._book_of = lambda: encoder.book

    @property
    def book(self) -> Codebook:
        """The codebook of the encoder of the same latent.

        Raises:
            ValueError: outside of a model.
        """
        if self._book_of is None:
            raise ValueError(
                "A prior over codes has the codebook of a model. Expected it as the prior of a "
                f"VAE. Received a {type(self).__name__} without one."
            )
        return self._book_of()

    def get_config(self) -> dict:
        """Returns the constructor's arguments, as JSON."""
        config = super().get_config()
        del config["latent_dim"]
        return {**config, "places": self.places, "count": self.count, "width": self.width}
