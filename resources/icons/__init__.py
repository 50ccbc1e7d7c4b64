"""The icons, as SVG files in one colour."""
