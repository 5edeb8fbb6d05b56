"""What records show, drawn on axes of matplotlib: for the figures of reports, and for ``plot()`` of records."""
