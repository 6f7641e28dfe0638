"""A lossless codec of images, made of a VAE: bits back with the entropy coder of `constriction`.

    report = tv.codec.encode(vae, images, "images.tfpvae")    # bits per pixel near -elbo / log 2
    images = tv.codec.decode(vae, "images.tfpvae")

An image costs -log q(z|x) bits less than x given z and z itself, because z is drawn with bits that
are there already: those of the images before (Townsend et al., "Practical lossless compression with
latent variables using bits back coding", ICLR 2019). `coding` says in which order, `format` what
stands in a file, `agreed` what both sides compute.
"""

from tfp_vae.codec.coding import Codec, Report, Seconds, decode, encode
from tfp_vae.codec.measuring import Measured, measure, write

__all__ = ["Codec", "Measured", "Report", "Seconds", "decode", "encode", "measure", "write"]
