"""The flags of bounds with a penalty on what the codes of a batch are together."""

from absl import flags

GROUP = "Bound"
_BETA_TC_ESTIMATE = flags.DEFINE_enum(
    "beta_tc_estimate", "mss", ["mss", "mws"], "Of log q(z) in beta_tc, whose weight is --beta."
)
_DIP_KIND = flags.DEFINE_integer(
    "dip_kind", 2, "Of dip: 1, covariance of means; 2, of draws.", 1, 2
)
_DIP_OFF_DIAGONAL = flags.DEFINE_float(
    "dip_off_diagonal", 10.0, "Weight of squared covariances in dip.", lower_bound=0
)
_DIP_DIAGONAL = flags.DEFINE_float(
    "dip_diagonal",
    None,
    "Weight of (variance - 1)^2 in dip; 10 times the other of kind 1, as much of kind 2.",
    lower_bound=0,
)
_FACTOR_GAMMA = flags.DEFINE_float(
    "factor_gamma", 10.0, "Weight of the total correlation in factor.", lower_bound=0
)
_FACTOR_WIDTH = flags.DEFINE_integer(
    "factor_width", 256, "Of the layers of its discriminator.", lower_bound=1
)
_FACTOR_DEPTH = flags.DEFINE_integer("factor_depth", 3, "How many there are.", lower_bound=1)
_INFO_ALPHA = flags.DEFINE_float("info_alpha", 0.0, "1 - weight of the KL in info.")
_INFO_MMD = flags.DEFINE_float("info_mmd", 1000.0, "lambda of info.")
_WAE_DISCREPANCY = flags.DEFINE_enum(
    "wae_discrepancy", "mmd", ["mmd", "sliced"], "Between codes and prior in wae."
)
_WAE_WEIGHT = flags.DEFINE_float("wae_weight", 100.0, "Of it.", lower_bound=0)
_WAE_PROJECTIONS = flags.DEFINE_integer(
    "wae_projections", 50, "Directions of --wae_discrepancy=sliced.", lower_bound=1
)
OPTIONS = (
    *(_BETA_TC_ESTIMATE, _DIP_KIND, _DIP_OFF_DIAGONAL, _DIP_DIAGONAL),
    *(_FACTOR_GAMMA, _FACTOR_WIDTH, _FACTOR_DEPTH),
    *(_INFO_ALPHA, _INFO_MMD, _WAE_DISCREPANCY, _WAE_WEIGHT, _WAE_PROJECTIONS),
)
