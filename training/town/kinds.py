"""Numbers that name what the town is made of."""

from __future__ import annotations

# Ground classes.
GRASS, ASPHALT, PAVEMENT, KERB, MARK, YELLOW, YARD, SOIL, PATCH, COVER, LOT, BED = range(12)
# Ground classes that town-v1 has not: tram rails, their ballast, cycle and bus lanes, cobbles,
# concrete, gravel.
RAIL, BALLAST, CYCLE, BUS, COBBLE, CONCRETE, GRAVEL = range(12, 19)
GROUND_CLASSES = 19

# Surfaces that stand up, as the camera's columns see them.
WALL, ROOF, CAR, HEDGE, FENCE, POLE, CROWN, TRUNK, BOX, GLASSHOUSE = range(10)

# Painting order of the ground.
L_BASE, L_PARCEL, L_PAVEMENT, L_DRIVE, L_KERB, L_ROAD, L_BUILDOUT, L_PATCH, L_MARK = range(9)
L_ISLAND, L_RAIL = 9, 10
