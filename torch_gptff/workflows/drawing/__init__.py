"""Figures of records on axes of matplotlib, for reports and for ``plot()`` of records."""
