"""Copies files of catalogs and sets some of their cells; all else stays as it is."""
