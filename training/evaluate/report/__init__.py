"""Results as tables, plots, reports and model cards."""
