"""Reports on the results of workflows."""
