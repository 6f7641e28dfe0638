"""What all pictures share: colours, percent, fonts, and that matplotlib is there."""

import functools

from tfp_vae import extras

extras.need("report", "Pictures")

INK = "#1b2a41"
TRAIN, VALIDATION = "#1f77b4", "#d1495b"
# Fonts that have Chinese letters, where systems have them: the first that is there is taken.
_CHINESE = (
    *("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN"),
    *("PingFang SC", "Hiragino Sans GB", "Microsoft YaHei", "WenQuanYi Micro Hei"),
    *("WenQuanYi Zen Hei", "Heiti SC", "STHeiti", "SimHei", "SimSun", "Arial Unicode MS"),
    *("Noto Sans CJK JP", "Noto Sans CJK TC", "Droid Sans Fallback", "Noto Serif CJK SC"),
)


def percent(value: float, _place: "int | None" = None) -> str:
    """Returns a share as it is said, 0.1 as 10% and never 10.00000%: a format of an axis."""
    return f"{100 * value:.6g}%"


@functools.cache
def chinese_font() -> "str | None":
    """Returns the name of a font that has Chinese letters, or None if there is none."""
    from matplotlib import font_manager, ft2font  # loaded when used

    manager = font_manager.fontManager
    known = {font.fname for font in manager.ttflist}
    # What was installed since matplotlib looked for fonts is not in its list.
    for path in set(font_manager.findSystemFonts()) - known:
        try:
            manager.addfont(path)
        except (OSError, RuntimeError):  # a font that it cannot read
            continue
    files = {font.name: font.fname for font in manager.ttflist}
    for name in _CHINESE:
        try:
            if name in files and ft2font.FT2Font(files[name]).get_char_index(ord("变")):
                return name
        except (OSError, RuntimeError):
            continue
    return None
