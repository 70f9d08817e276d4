"""How town-v2-other looks: a world whose materials town-v2 does not have.

Its light, cameras' optics and surveys differ in tendency; their ranges overlap with town-v2's, and
cameras are mounted alike.
"""

from __future__ import annotations

from training.town import kinds as k
from training.town.looks.appearance import (
    Appearance,
    Facade,
    Laid,
    Optics,
    Paint,
    Season,
    Sky,
    Survey,
)

FLAGS = Laid(0.8, 0.4, 0.5, 0.03, 0.3)
TERRACOTTA = Laid(0.3, 0.3, 0.0, 0.02, 0.3)
LONG_BRICKS = Laid(0.24, 0.07, 0.3, 0.012, 0.35)
PLATES = Laid(2.5, 2.5, 0.0, 0.05, 0.12)

ASPHALT = (
    Paint(0.4, (116, 84, 72), (158, 118, 102), 4, 9, 44),
    Paint(0.3, (204, 190, 146), (228, 216, 178), 3, 8, 30, PLATES),
    Paint(0.2, (92, 68, 88), (120, 94, 114), 3, 8, 60),
    Paint(0.1, (138, 80, 58), (176, 112, 86), 5, 14, 50, LONG_BRICKS),
)
PAVEMENT = (
    Paint(0.4, (196, 168, 122), (226, 204, 160), 6, 12, 44, FLAGS),
    Paint(0.3, (40, 42, 46), (72, 74, 78), 4, 10, 40, FLAGS),
    Paint(0.3, (170, 92, 62), (206, 130, 96), 7, 14, 40, TERRACOTTA),
)
SAND = (
    Paint(0.6, (166, 142, 104), (206, 184, 144), 6, 16, 96),
    Paint(0.4, (150, 88, 58), (188, 124, 90), 7, 18, 96),
)
DRY_GRASS = Paint(0.3, (150, 132, 74), (190, 170, 106), 7, 22, 110)
BLUE_GRASS = Paint(0.4, (70, 104, 88), (112, 140, 116), 6, 16, 90)
GREY_LEAVES = (
    Paint(0.4, (88, 98, 78), (128, 134, 110), 5),
    Paint(0.3, (20, 42, 36), (44, 66, 58), 4),
    Paint(0.15, (74, 40, 48), (108, 62, 70), 5),
    Paint(0.15, (120, 138, 60), (158, 170, 92), 6),
)

TOWN_V2_OTHER = Appearance(
    ground={
        k.ASPHALT: ASPHALT,
        k.LOT: (*ASPHALT[:3], *SAND[:1]),
        k.PAVEMENT: PAVEMENT,
        k.YARD: (*PAVEMENT, *SAND),
        k.MARK: (
            Paint(0.5, (214, 204, 168), (244, 236, 206), 4, 16, 60),
            Paint(0.5, (186, 200, 210), (222, 232, 240), 4, 16, 60),
        ),
        k.YELLOW: (Paint(1.0, (214, 120, 20), (244, 160, 60), 6, 14, 60),),
        k.SOIL: SAND,
        k.BED: (
            Paint(0.5, (112, 60, 84), (160, 100, 120), 10, 26, 180),
            Paint(0.5, (190, 186, 178), (228, 224, 216), 5, 16, 160),
        ),
        k.COVER: (Paint(1.0, (110, 92, 74), (150, 130, 108), 4, 12, 40),),
        k.RAIL: (Paint(1.0, (120, 84, 62), (160, 120, 94), 4),),
        k.BALLAST: (Paint(1.0, (150, 126, 104), (188, 164, 140), 6, 20, 180),),
        k.CYCLE: (
            Paint(0.5, (60, 92, 140), (96, 128, 176), 6, 8, 34),
            Paint(0.5, (190, 160, 60), (220, 196, 104), 6, 8, 34),
        ),
        k.BUS: (Paint(1.0, (180, 158, 84), (212, 190, 120), 6, 8, 34),),
        k.COBBLE: (Paint(1.0, (168, 140, 112), (206, 178, 148), 7, 14, 80, LONG_BRICKS),),
        k.CONCRETE: (Paint(1.0, (196, 184, 176), (226, 214, 206), 4, 10, 44, PLATES),),
        k.GRAVEL: SAND,
    },
    walls=(
        Facade(
            0.35,
            Paint(1, (196, 140, 84), (228, 178, 124), 8),
            3,
            (3.2, 4.2),
            (3.5, 6.0),
            (0.15, 0.3),
        ),
        Facade(
            0.25, Paint(1, (60, 72, 84), (110, 124, 138), 6), 4, (3.4, 4.0), (1.4, 2.0), (0.8, 0.95)
        ),
        Facade(
            0.25,
            Paint(1, (222, 216, 208), (250, 248, 244), 3),
            3,
            (2.4, 2.7),
            (4.5, 7.0),
            (0.55, 0.8),
        ),
        Facade(
            0.15,
            Paint(1, (90, 130, 120), (150, 180, 170), 12),
            3,
            (3.2, 4.2),
            (3.0, 5.0),
            (0.2, 0.4),
        ),
    ),
    roofs=(
        Paint(0.35, (188, 104, 52), (222, 146, 90), 7),
        Paint(0.3, (30, 34, 42), (54, 58, 66), 3),
        Paint(0.25, (228, 226, 222), (250, 248, 246), 2),
        Paint(0.1, (92, 134, 120), (130, 168, 154), 6),
    ),
    cars=(
        Paint(0.4, (214, 150, 20), (240, 190, 60), 6),
        Paint(0.3, (150, 180, 170), (190, 216, 206), 6),
        Paint(0.3, (60, 24, 44), (104, 56, 80), 6),
    ),
    seasons=(
        Season(0.5, (*SAND, DRY_GRASS), GREY_LEAVES, (0.15, 0.5)),
        Season(0.5, (BLUE_GRASS, DRY_GRASS), GREY_LEAVES, (0.8, 1.15)),
    ),
    elevation=(0.12, 0.32),
    skies=(
        Sky(
            0.6,
            Paint(1, (150, 140, 130), (196, 180, 164), 4),
            Paint(1, (236, 196, 140), (255, 226, 184), 4),
            (220, 250),
            (1.0, 1.8),
            (-0.7, 0.2),
            (0.6, 1.1),
            (0.006, 0.014),
        ),
        Sky(
            0.4,
            Paint(1, (180, 176, 168), (214, 208, 198), 3),
            Paint(1, (196, 188, 174), (228, 220, 204), 3),
            (190, 226),
            (0.9, 1.5),
            (0.3, 0.9),
            (0.0, 0.2),
            (0.006, 0.016),
        ),
    ),
    optics=(
        Optics(
            weight=1.0,
            brightness=(110, 150),
            drift=0.15,
            metering=(0.3, 0.7),
            contrast=(0.8, 1.0),
            lift=(14, 28),
            saturation=(0.45, 0.75),
            cast=0.05,
            grey_share=0.0,
            blur=(0.55, 0.9),
            sharpening=(1.4, 2.6),
            noise=(1.0, 3.0),
            blotches=(2.5, 5.0),
            vignette=(0.3, 0.6),
            jpeg_share=0.8,
            jpeg=(30, 50),
            flare_share=0.25,
            dirt_share=0.08,
            drops_share=0.0,
        ),
    ),
    survey=Survey(
        shadow=(2.0, 3.4),
        dark=(0.5, 0.8),
        lean=(0.25, 0.42),
        texture=(0.5, 1.0),
        native=(0.3, 0.6),
        fine_share=0.5,
        blur=(0.8, 1.3),
        sharpening=(1.4, 2.4),
        light=(0.75, 1.05),
        gamma=(0.75, 0.95),
        saturation=(0.4, 0.7),
        haze=(12, 32),
        cast=0.05,
        strip=0.07,
        noise=(2.0, 5.0),
        jpeg=(35, 60),
        missing_share=0.05,
    ),
)
